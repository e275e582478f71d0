"""Where images come from. Every source leaves what pneumo.data.listing describes: image files, and a table of them.

A source is a module here, named in params.SOURCES, with a function

    def obtain(data: Source, raw: Path, downloads: Path) -> dict[str, int]

that replaces the folder `raw`, whole or not at all, and returns the number of images by part and class. `data` is the
section of that name in params.yaml, or one with its keys. `downloads` is a folder that outlives the stage, for what can
be resumed or used again. It raises SourceError where the images cannot be obtained or are not those that were asked
for. Here its files are packed into shards, beside the tables.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo import shards
from pneumo.data import listing
from pneumo.errors import SourceError
from pneumo.sources import local
from pneumo.sources.replacing import replacing

if TYPE_CHECKING:
    from pneumo.params import Source

DOWNLOADS = Path(".downloads")  # outlives the stage, so that an interrupted download can be resumed
FOLDERS = tuple(f"{split}/{label}" for split in ("train", "val", "test") for label in ("NORMAL", "PNEUMONIA"))


def obtain(data: Source, raw: Path, downloads: Path, section: str = "data") -> dict[str, int]:
    """Fill `raw` with shards and tables from the source that `data` names, whole or not at all; return the number of
    images by part and class. No other source's module, with its libraries, is imported.

    section: of params.yaml, such as sites.nih; errors name its keys.
    """
    try:
        local.refuse_overlap(Path(data.inputs.images), raw)
        with replacing(raw) as fresh:
            loose = fresh.with_name("loose")
            counts: dict[str, int] = import_module(f"{__name__}.{data.source}").obtain(data, loose, downloads)
            try:
                shards.pack(listing.read(loose), loose, fresh, remove=True)
                for name in (listing.IMAGES, listing.LEFT_OUT):
                    (loose / name).rename(fresh / name)
            except OSError as error:
                raise SourceError(f"{raw}: {error}; check its permissions, and make room on its disk") from error
        return counts
    except SourceError as error:
        keys = "|".join((*type(data).model_fields, "path"))
        raise SourceError(re.sub(rf"(?<![\w/.-])data\.(?=({keys})\b)", f"{section}.", str(error))) from error.__cause__
