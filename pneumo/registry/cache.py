"""Fetched models on this machine, by the hash of their content.

MD5/                      a model's folder; MD5 is DVC's hash of it, which dvc.lock has
commits/COMMIT/NAME       the MD5 of the artifact NAME in that commit
repositories/             tags of other repositories
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from pneumo.errors import RegistryError


def folder() -> Path:
    """PNEUMO_MODELS, or pneumo/models in the user's cache."""
    named = os.environ.get("PNEUMO_MODELS")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pneumo/models")


def find(commit: str, name: str) -> Path | None:
    """The model's folder, of the very content that it was fetched with; None where it is not here.

    Raises RegistryError where it has been changed.
    """
    kept = _kept(_entry(commit, name))
    if kept is None:
        return None
    try:
        unchanged = content_hash(kept) == kept.name
    except OSError as error:
        raise RegistryError(f"{error.filename or kept} cannot be read ({error.strerror})") from None
    if not unchanged:
        raise RegistryError(
            f"{kept} has changed since it was fetched: a file in it was changed, added or removed, so its hash is no "
            "longer the one in dvc.lock. Delete that folder, and the model is fetched again"
        )
    return kept


def entries() -> list[tuple[str, str]]:
    """Commit and name of what is here."""
    return [(path.parent.name, unquote(path.name)) for path in folder().glob("commits/*/*") if _kept(path)]


def add(commit: str, name: str, md5: str, *, fetch: Callable[[Path], None], check: Callable[[Path], None]) -> Path:
    """The model's folder, which `fetch` writes where it is told to, once its hash is `md5` and `check` lets it pass.

    Complete or not there, whoever else fetches it. Raises RegistryError where it has another hash, or cannot be kept.
    """
    kept, entry = folder() / md5, _entry(commit, name)
    with writing(folder()), tempfile.TemporaryDirectory(dir=folder(), prefix=".") as made:
        if not kept.is_dir():
            new = Path(made, "new")
            fetch(new)
            if content_hash(new) != md5:
                raise RegistryError(
                    f"the remote's copy of {name} is damaged: its hash is not the one in dvc.lock of commit "
                    f"{commit[:10]} ({md5}). Delete it from the remote, and `dvc push` it again from a clone where it "
                    "is intact"
                )
            check(new)
            place(new, kept)
        Path(made, "entry").write_text(md5)
        entry.parent.mkdir(parents=True, exist_ok=True)
        Path(made, "entry").replace(entry)
    found = find(commit, name)
    assert found is not None
    return found


def content_hash(path: Path) -> str:
    """DVC's hash of a folder: the MD5 of a list of its files with the MD5 of each."""
    files = [file for file in path.rglob("*") if file.is_file()]
    listed = [{"md5": _md5(file), "relpath": file.relative_to(path).as_posix()} for file in files]
    text = json.dumps(sorted(listed, key=lambda file: file["relpath"]), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def place(new: Path, kept: Path) -> None:
    """Rename the folder `new` to `kept`, unless another process was quicker."""
    try:
        new.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes the folder `path`. Raises RegistryError where nothing can be written there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        where = error.filename if error.filename and str(error.filename).startswith(str(path)) else path
        raise RegistryError(
            f"{where} cannot be written ({error.strerror}). Name another folder for models: PNEUMO_MODELS=FOLDER"
        ) from None


def _entry(commit: str, name: str) -> Path:
    return folder() / "commits" / commit / quote(name, safe="")


def _kept(entry: Path) -> Path | None:
    """The folder that `entry` names, where both are here."""
    md5 = entry.read_text(errors="replace") if entry.is_file() else ""
    return folder() / md5 if re.fullmatch("[0-9a-f]{32}", md5) and (folder() / md5).is_dir() else None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
