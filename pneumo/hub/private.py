"""What must not leave the house with a model: folders of this machine, and names of images, which name patients."""

import re
from collections.abc import Mapping

from pneumo.errors import HubError

FORBIDDEN = {
    "a path of this machine": re.compile(r"(?<![\w./:<~-])(?:~|/[\w.-]+)/[\w.-]+|\b[A-Za-z]:\\"),
    "the name of an image": re.compile(r"[\w()-]+\.(?:jpe?g|png|dcm|dicom|tiff?)\b", re.IGNORECASE),
}


def refuse(texts: Mapping[str, str]) -> None:
    """Raise HubError for the first of FORBIDDEN in `texts`, by the names of their files."""
    for name, text in texts.items():
        for what, pattern in FORBIDDEN.items():
            if match := pattern.search(text):
                raise HubError(
                    f"{name} contains what looks like {what}, {match[0]!r}, which everybody would see: remove it, "
                    "perhaps from params.yaml, and run the stage again"
                )
