"""From which side a film was taken, by the words of a table or a DICOM header."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from pneumo.data.listing import ASIDE, Listed

CHEST = ("CHEST", "THORAX", "LUNG", "RIB", "STERNUM")  # body parts of which a chest film may be
UNKNOWN = "unknown"
# A word of the earlier entries decides: a `left lateral decubitus` is no lateral view. LLD to RLO are defined terms of
# View Position in DICOM PS3.3 C.8.1.1.
_SPECIAL = {
    "DECUBITUS": {"DECUBITUS", "DECUB", "LLD", "RLD"},
    "OBLIQUE": {"OBLIQUE", "OBL", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO"},
    "LORDOTIC": {"LORDOTIC"},
}
_LATERAL = {"LATERAL", "LAT", "LL", "RL", "LLAT", "RLAT"}
_PROJECTIONS = (
    (re.compile(r"\bPOSTERO[- ]?ANTERIOR\b"), "PA"),
    (re.compile(r"\bANTERO[- ]?POSTERIOR\b"), "AP"),
)


def view_of(text: str) -> str:
    """PA, AP, FRONTAL (one of these), LATERAL, OBLIQUE, DECUBITUS or LORDOTIC; UNKNOWN where `text` does not say.

    Frontal and lateral at once, as in the name of a whole study, say nothing about one film.
    """
    text = text.upper()
    for pattern, projection in _PROJECTIONS:
        text = pattern.sub(projection, text)
    words = set(re.findall(r"[A-Z]+", text))
    for view, names in _SPECIAL.items():
        if words & names:
            return view
    frontal = sorted(words & {"AP", "PA"})
    if words & _LATERAL:
        return UNKNOWN if frontal or "FRONTAL" in words else "LATERAL"
    if len(frontal) == 1:
        return frontal[0]
    return "FRONTAL" if frontal or "FRONTAL" in words else UNKNOWN


def set_aside(images: Sequence[Listed], views: Collection[str] | None) -> list[Listed]:
    """The images, those of another view than `views` with the reason; None takes all. An unknown view is taken."""
    if views is None:
        return list(images)
    return [_judged(image, views) for image in images]


def _judged(image: Listed, views: Collection[str]) -> Listed:
    view = view_of(image.details.get("view", ""))
    if image.rejected or view == UNKNOWN or view in views:
        return image
    return replace(image, rejected=f"{ASIDE}view {view}; preprocess.views takes {', '.join(views)}")
