"""A folder written whole or not at all, which replaces nothing but its own earlier version."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pneumo import files
from pneumo.errors import HubError

SUMS = "SHA256SUMS"  # of all other files, for `sha256sum --check`
ALWAYS = ("README.md", "config.json", "model.json", "model.onnx", "preprocessor_config.json")  # in an export


def require_free(to: Path) -> None:
    """Raise HubError unless nothing is at `to`, an empty folder, or an earlier export that nobody has changed."""
    if to.is_dir():
        present = [path for path in sorted(to.rglob("*")) if path.is_symlink() or not path.is_dir()]
        sums = _sums(to)
        changed = [path.relative_to(to) for path in present if not _as_exported(path, to, sums)]
        if changed:
            raise HubError(
                f"{to} is not empty, and {changed[0]} in it does not come from an export or was changed since: name "
                "another folder, or move that file away"
            )
    elif to.exists() or to.is_symlink():
        raise HubError(f"{to} is not a folder: name another path")


def write(to: Path, texts: Mapping[str, str], copies: Mapping[str, Path]) -> None:
    """Fill the folder `to`: name -> text, and name -> the file to copy. Raises HubError, OSError's reason in it."""
    require_free(to)
    to = to.resolve()
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as beside:
            made, old = Path(beside, "made"), Path(beside, "old")
            for name, text in texts.items():
                files.write_text(made / name, text)
            for name, path in copies.items():
                shutil.copyfile(path, files.fresh(made / name))
            names = sorted([*texts, *copies])
            files.write_text(made / SUMS, "".join(f"{files.sha256(made / name)}  {name}\n" for name in names))
            _swap(made, to, old)
    except OSError as error:
        raise HubError(f"{to} cannot be written: {error.strerror}. Name another folder") from None


def _swap(made: Path, to: Path, old: Path) -> None:
    if to.exists():
        to.rename(old)
    try:
        made.rename(to)
    except OSError:
        if old.exists():
            old.rename(to)
        raise


def _as_exported(path: Path, folder: Path, sums: Mapping[str, str]) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    name = path.relative_to(folder).as_posix()
    return name == SUMS or sums.get(name) == files.sha256(path)


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    sums = {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
    return sums if set(ALWAYS) <= set(sums) else {}  # other folders have sums, too
