"""A commit, or the working tree, as text: read with git alone, without a checkout, DVC or its cache."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pneumo.errors import ReviewError
from pneumo.verification.compare import CODE

FILES = ("params.yaml", "dvc.lock", "requirements.lock")
FOLDERS = ("metrics", "scores")
LINK = b"120000"
FULL_CLONE = "this clone is shallow: `git fetch --unshallow`, or `fetch-depth: 0` in actions/checkout"


@dataclass(frozen=True)
class Snapshot:
    """`name`: what the user calls it; `commit`: its full hash, None for the working tree; `files`: path -> content of
    FILES and of everything in FOLDERS; `code`: path -> git's hash of each file in CODE.
    """

    name: str
    commit: str | None
    files: Mapping[str, bytes]
    code: Mapping[str, str]

    @property
    def label(self) -> str:
        """As a reader finds it again: main (1a2b3c4d5e)."""
        if self.commit is None:
            return self.name
        return self.commit[:10] if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:10]})"

    def where(self, path: str) -> str:
        """`path` in errors; of a commit in the form that `git show` takes."""
        return f"{self.commit[:10]}:{path}" if self.commit else path

    def text(self, path: str) -> str:
        """Raises ReviewError where the file is missing or no text."""
        if path not in self.files:
            raise ReviewError(f"{self.label} has no {path}")
        try:
            return self.files[path].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ReviewError(f"{self.where(path)} is not UTF-8 text: {error}") from None


def commit(top: Path, revision: str) -> Snapshot:
    """The commit that `revision` names. Raises ReviewError where there is none, or `top` is in no repository."""
    full_hash = resolve(top, revision)
    listed = _git(top, "ls-tree", "-r", "-z", full_hash, "--", *FILES, *FOLDERS, *CODE).split(b"\0")
    blobs, code_hashes = {}, {}
    for about, name in (line.split(b"\t", 1) for line in listed if line):
        mode, kind, blob = about.split()
        path = name.decode("utf-8", "replace")
        if path.startswith(CODE):
            code_hashes[path] = blob.decode()
            continue
        if mode == LINK:
            raise ReviewError(f"{revision}: {path} is a symbolic link; commit the file itself")
        if kind == b"blob":
            blobs[path] = blob
    output = _git(top, "cat-file", "--batch", given=b"".join(blob + b"\n" for blob in blobs.values()))
    files, at = {}, 0
    for path in blobs:
        header = output[at : output.index(b"\n", at)]
        if header.endswith(b" missing"):
            raise ReviewError(f"git lacks the content of {revision}:{path}: `git fetch`, or `git fsck` says more")
        start, size = at + len(header) + 1, int(header.split()[2])
        files[path] = output[start : start + size]
        at = start + size + 1
    return Snapshot(revision, full_hash, files, code_hashes)


def working_tree(top: Path) -> Snapshot:
    """What lies in `top` now, committed or not."""
    if not (top / "params.yaml").is_file():
        raise ReviewError("there is no params.yaml here: run from the project's top folder")
    unmerged = _git(top, "diff", "--name-only", "--diff-filter=U", "--relative").decode().split()
    if unmerged:
        raise ReviewError(
            f"a merge is not finished ({unmerged[0]}): finish it (docs/pull-requests.md, Merging), then review"
        )
    paths = [top / name for name in FILES]
    paths += [path for folder in FOLDERS for path in sorted((top / folder).rglob("*"))]
    links = [path for path in paths if path.is_symlink()]
    if links:
        raise ReviewError(f"{links[0]} is a symbolic link; put the file itself there")
    files = {path.relative_to(top).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    return Snapshot("working tree", None, files, _code_of(top))


def _code_of(top: Path) -> dict[str, str]:
    """Files of CODE in the working tree that git does not ignore: path -> the hash that git gives the content."""
    listed = _git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CODE).split(b"\0")
    hashes = {}
    for path in sorted({name.decode("utf-8", "replace") for name in listed if name}):
        if (top / path).is_file():
            content = (top / path).read_bytes()
            hashes[path] = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return hashes


def resolve(top: Path, revision: str) -> str:
    """The full hash of the commit that `revision` names."""
    _git(top, "rev-parse", "--show-toplevel")
    try:
        full_hash = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except ReviewError:
        hint = FULL_CLONE if _shallow(top) else "`git branch -a` shows the branches there are, `git fetch` gets more"
        raise ReviewError(f"git knows no commit {revision!r}: {hint}") from None
    return full_hash.decode().strip()


def merge_base(top: Path, revision: str, other: str = "HEAD") -> str:
    """The newest commit that `revision` and `other` have in common, where the branch began."""
    commits = [resolve(top, name) for name in (revision, other)]
    try:
        return _git(top, "merge-base", *commits).decode().strip()
    except ReviewError:
        hint = FULL_CLONE if _shallow(top) else "their histories are unrelated"
        raise ReviewError(f"{revision} and {other} have no commit in common: {hint}") from None


def _shallow(top: Path) -> bool:
    return _git(top, "rev-parse", "--is-shallow-repository").strip() == b"true"


def _git(top: Path, *words: str, given: bytes | None = None) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(top), *words], input=given, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise ReviewError("there is no git on the PATH: install it") from None
    except subprocess.CalledProcessError as error:
        raise ReviewError(f"git {words[0]}: {error.stderr.decode(errors='replace').strip()}") from None
