"""Files on this machine that images come from, as params.yaml names them for DVC, which watches their content."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from pneumo.errors import SourceError


def path(given: str | None, key: str, otherwise: str | None = None, *, project: Path) -> str:
    """`given`, the value of the parameter `key`: relative to the folder `project` if it lies inside, else absolute.

    otherwise: what is watched where none is given.
    `~` is the home folder. A relative path is relative to `project`, so that it also holds in the copy in which DVC
    carries out a queued run. Where nothing is there, that is said on stderr: the images may have come from elsewhere.
    Raises SourceError for no path, and for a folder with links or devices in it, which DVC would follow or wait for.
    """
    given = given if given is not None else otherwise
    if given is None:
        raise SourceError(f"{key} is null: name a file or folder with -S {key}=…")
    place = Path(os.path.normpath(project / Path(given).expanduser()))
    if place.is_dir():
        for _ in regular_files(place):
            pass
    elif not place.exists():
        print(
            f"warning: {key}: nothing is at {place}. Correct it; or, where data/raw is to stay as it is, add "
            "--allow-missing to `dvc repro` and `dvc exp run`",
            file=sys.stderr,
        )
    elif not place.is_file():
        raise SourceError(f"{place}: found neither a file nor a folder; correct {key}")
    return place.relative_to(project).as_posix() if place.is_relative_to(project) else str(place)


def regular_files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, in a fixed order. Raises SourceError at the first that is neither file nor folder."""
    for parent, subfolders, names in os.walk(folder, onerror=_unlistable):
        subfolders.sort()
        for entry in (Path(parent) / name for name in (*subfolders, *sorted(names))):
            mode = entry.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise SourceError(f"{entry}: found a symbolic link; give a copy without links (cp -rL {folder} COPY)")
            if stat.S_ISREG(mode):
                yield entry
            elif not stat.S_ISDIR(mode):
                raise SourceError(f"{entry}: found neither a file nor a folder; remove it")


def refuse_overlap(path: Path, raw: Path) -> None:
    """Raise SourceError where replacing `raw` would take away what is at `path`."""
    source, target = path.resolve(), raw.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise SourceError(
            f"{path}: overlaps {raw}, which is about to be replaced; move the images elsewhere and set data.path"
        )


def _unlistable(error: OSError) -> None:
    raise error  # os.walk would skip the folder
