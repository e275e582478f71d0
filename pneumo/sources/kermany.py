"""What a path of the Kermany data set says: train/PNEUMONIA/person1_virus_6.jpeg."""

import hashlib
import re

from pneumo.data.listing import UNKNOWN, Listed

# The number counts separately per prefix and per subtype: person1_virus_6 and person1_bacteria_1 are two children.
# With a coarser key, some patients of the real dataset would be on both sides of the official train/test border.
_PNEUMONIA = re.compile(r"person(\d+)_(bacteria|virus)_\d+(?:_\d+)?")
_NORMAL = re.compile(r"((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)?")
# The publishers' own scheme (Mendeley Data, rscbjbr9sj, version 3): CLASS-patient-image.
_PUBLISHERS = re.compile(r"(BACTERIA|VIRUS|NORMAL)-(\d+)-\d+")
_SUBTYPES = {"bacteria": "bacterial", "virus": "viral"}


def identify(image: str) -> Listed:
    """Parse `image`, a path like `train/PNEUMONIA/person1_virus_6.jpeg`.

    A name that follows no rule, or that contradicts its folder, becomes a patient of its own, `unknown-<hash>`.
    """
    source_split, folder, name = image.split("/", 2)
    label = {"NORMAL": 0, "PNEUMONIA": 1}[folder]
    stem = name.rsplit(".", 1)[0]
    if label and (match := _PNEUMONIA.fullmatch(stem)):
        return Listed(image, label, _SUBTYPES[match[2]], f"{match[2]}-{int(match[1])}", source_split)
    if not label and (match := _NORMAL.fullmatch(stem)):
        return Listed(image, label, "normal", match[1], source_split)
    if (match := _PUBLISHERS.fullmatch(stem)) and label == (match[1] != "NORMAL"):
        subtype = _SUBTYPES[match[1].lower()] if label else "normal"
        return Listed(image, label, subtype, f"{match[1]}-{int(match[2])}", source_split)
    digest = hashlib.sha256(image.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Listed(image, label, "unknown" if label else "normal", f"{UNKNOWN}{digest}", source_split)
