"""Files on this machine that images come from, as params.yaml names them for DVC, which watches their content."""

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pneumo.errors import SourceError


def path(given: str | None, key: str, otherwise: str | None = None, *, project: Path) -> str:
    """`given`, the value of the parameter `key`: relative to `project` if git or DVC carries it, else absolute.

    otherwise: what is watched where none is given.
    `~` is the home folder, and a relative path counts from `project`. DVC carries out a queued run in a copy of what
    git and DVC track, where only an absolute path leads to other files. Where nothing is there, that is said on stderr:
    the images may have come from elsewhere. Raises SourceError for no path, and for a folder with links or devices in
    it, which DVC would follow or wait for.
    """
    given = given if given is not None else otherwise
    if given is None:
        raise SourceError(f"{key} is null: name a file or folder with -S {key}=VALUE")
    try:
        place = Path(os.path.normpath(project / Path(given).expanduser()))
    except RuntimeError as error:
        raise SourceError(f"{key} is {given!r}: {error}; give the path without '~'") from None
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
    return place.relative_to(project).as_posix() if _is_tracked(place, project) else str(place)


def _is_tracked(place: Path, project: Path) -> bool:
    if not place.is_relative_to(project) or place == project:
        return False
    inside = [place, *(folder for folder in place.parents if folder.is_relative_to(project))]
    if any(entry.with_name(f"{entry.name}.dvc").is_file() for entry in inside):
        return True
    words = ["git", "-C", str(project), "ls-files", "--error-unmatch", "--", str(place)]
    return subprocess.run(words, capture_output=True).returncode == 0


def regular_files(folder: Path) -> Iterator[Path]:
    """All files below `folder`, in a fixed order. Raises SourceError at the first that is neither file nor folder."""
    for parent, subfolders, names in os.walk(folder, onerror=_unlistable):
        subfolders.sort()
        for entry in (Path(parent) / name for name in (*subfolders, *sorted(names))):
            mode = entry.lstat().st_mode
            if stat.S_ISLNK(mode):
                copied = shlex.join([str(folder), f"{folder.name} without links"])
                raise SourceError(f"{entry}: found a symbolic link; give a copy without links: cp -rL {copied}")
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
