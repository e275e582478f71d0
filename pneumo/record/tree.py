"""Where a record lies: in a folder on this machine or in a commit. Paths are relative to its top folder, with /."""

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pneumo.errors import RecordError

FILES = ("params.yaml", "dvc.yaml", "dvc.lock", "requirements.lock", "machine.json")
FOLDERS = ("metrics", "scores")


class Tree(ABC):
    """The project's files in one state."""

    @abstractmethod
    def paths(self) -> list[str]:
        """Those of FILES that exist, and everything below FOLDERS; sorted."""

    @abstractmethod
    def has(self, path: str) -> bool:
        """Whether the file `path` exists."""

    @abstractmethod
    def content(self, path: str) -> bytes:
        """The bytes of a file that exists."""

    @abstractmethod
    def where(self, path: str) -> str:
        """`path` as errors name it."""

    @abstractmethod
    def remedy(self, path: str) -> str:
        """What to do if `path` is missing or broken."""

    def text(self, path: str) -> str:
        """The text of a file, with Unix line ends. Raises RecordError where it is missing or is not UTF-8."""
        if not self.has(path):
            raise RecordError(f"{self.where(path)} is missing: {self.remedy(path)}")
        try:
            text = self.content(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise RecordError(f"{self.where(path)} is not UTF-8 text ({error}): {self.remedy(path)}") from None
        return text.replace("\r\n", "\n")  # git may check files out with the line ends of Windows


@dataclass(frozen=True)
class Folder(Tree):
    """The files below `root`, committed or not."""

    root: Path

    def paths(self) -> list[str]:
        files = [self.root / name for name in FILES]
        files += [path for folder in FOLDERS for path in (self.root / folder).rglob("*")]
        present = [path for path in files if path.is_file() or path.is_symlink()]
        return sorted(path.relative_to(self.root).as_posix() for path in present)

    def has(self, path: str) -> bool:
        return (self.root / path).is_file() or (self.root / path).is_symlink()

    def content(self, path: str) -> bytes:
        """Raises RecordError where a file that git keeps is a symbolic link or in one: it would show what lies
        elsewhere. Outputs that DVC keeps may be links to its cache.
        """
        if PurePosixPath(path).parts[0] in (*FILES, *FOLDERS):
            for place in (PurePosixPath(path), *PurePosixPath(path).parents[:-1]):
                if (self.root / place).is_symlink():
                    raise RecordError(f"{self.where(str(place))} is a symbolic link: put the file itself there")
        return (self.root / path).read_bytes()

    def where(self, path: str) -> str:
        return str(self.root / path)

    def remedy(self, path: str) -> str:
        restore = f"restore it with `git checkout -- {shlex.quote(self.where(path))}`"
        if path == "params.yaml":
            return f"run from the project's top folder, or {restore}"
        return f"{restore}, or run the pipeline again and commit what it writes"
