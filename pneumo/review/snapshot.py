"""A commit, or the working tree, as text: read with git alone, without a checkout, DVC or its cache."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from pneumo.errors import ReviewError
from pneumo.record.record import Record
from pneumo.record.tree import FILES, FOLDERS, Folder, Tree

LINK = "120000"  # mode of a symbolic link
RECORD = (*FILES, *FOLDERS)
# What cannot change a result or, as conf/, shows elsewhere. All else can: Python takes a timm.py at the top for timm.
NOT_CODE = (*RECORD, "conf", "docs", "reports", "results", "tests")
FULL_CLONE = "this clone is shallow: `git fetch --unshallow`, or `fetch-depth: 0` in actions/checkout"


@dataclass(frozen=True)
class Snapshot(Tree):
    """`name`: what the user calls it; `commit`: its full hash, None for the working tree; `files`: path -> content of
    the record; `code`: path -> git's hash of each file that may be code; `kept`: path -> content of the parameters and
    figures of the records in results/.
    """

    name: str
    commit: str | None
    files: Mapping[str, bytes]
    code: Mapping[str, str]
    kept: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """As a reader finds it again: main (1a2b3c4d5e)."""
        if self.commit is None:
            return self.name
        return self.commit[:10] if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:10]})"

    @cached_property
    def record(self) -> Record:
        """Files that it lacks count as empty, so that all of the other side's content is new."""
        return Record(self, lenient=True)

    @cached_property
    def results(self) -> dict[str, Record]:
        """The records in results/, by folder, with parameters and figures alone."""
        by_folder: dict[str, dict[str, bytes]] = {}
        for path, content in self.kept.items():
            folder, name, inside = path.split("/", 2)
            by_folder.setdefault(f"{folder}/{name}", {})[inside] = content
        return {
            folder: Snapshot(f"{self.name}:{folder}", self.commit, files, {}).record
            for folder, files in sorted(by_folder.items())
        }

    def paths(self) -> list[str]:
        return sorted(self.files)

    def has(self, path: str) -> bool:
        return path in self.files

    def content(self, path: str) -> bytes:
        return self.files[path]

    def where(self, path: str) -> str:
        """Of a commit in the form that `git show` takes."""
        return f"{self.commit[:10]}:{path}" if self.commit else path

    def remedy(self, path: str) -> str:
        if self.commit:
            return "run `dvc repro` and `pneumo verify` on that commit, or compare with another"
        return Folder(Path()).remedy(path)


def commit(top: Path, revision: str) -> Snapshot:
    """The commit that `revision` names. Raises ReviewError where there is none, or `top` is in no repository."""
    full_hash = resolve(top, revision)
    listed = _git(top, "ls-tree", "-r", "-z", full_hash).split(b"\0")
    blobs, code, kept = {}, {}, {}
    for about, name in (line.split(b"\t", 1) for line in listed if line):
        mode, kind, blob = about.decode().split()
        path = name.decode("utf-8", "replace")
        if _is_code(path):
            code[path] = blob
        elif _is_kept(path):
            if kind == "blob" and mode != LINK:
                kept[path] = blob
        elif PurePosixPath(path).parts[0] not in RECORD:
            continue
        elif mode == LINK:
            raise ReviewError(f"{revision}: {path} is a symbolic link; commit the file itself")
        elif kind == "blob":
            blobs[path] = blob
    contents = _contents(top, revision, {**blobs, **kept})
    return Snapshot(
        revision,
        full_hash,
        {path: contents[path] for path in blobs},
        code,
        {path: contents[path] for path in kept},
    )


def _is_code(path: str) -> bool:
    return PurePosixPath(path).parts[0] not in NOT_CODE and not path.endswith(".md")


def _is_kept(path: str) -> bool:
    """Whether it is results/RECORD/params.yaml or results/RECORD/metrics/NAME.json."""
    parts = PurePosixPath(path).parts
    if parts[0] != "results":
        return False
    return parts[2:] == ("params.yaml",) or (len(parts) == 4 and parts[2] == "metrics" and parts[3].endswith(".json"))


def _contents(top: Path, revision: str, blobs: Mapping[str, str]) -> dict[str, bytes]:
    """`blobs`: path -> git's hash of its content."""
    output = _git(top, "cat-file", "--batch", given="".join(f"{blob}\n" for blob in blobs.values()))
    files, at = {}, 0
    for path in blobs:
        header = output[at : output.index(b"\n", at)]
        if header.endswith(b" missing"):
            raise ReviewError(f"git lacks the content of {revision}:{path}: run `git fetch`; `git fsck` says more")
        start, size = at + len(header) + 1, int(header.split()[2])
        files[path] = output[start : start + size]
        at = start + size + 1
    return files


def reproduced(folder: Path, head: Snapshot) -> Snapshot:
    """What the code of `head` gave when it was run in `folder`."""
    tree = Folder(folder)
    files = {path: tree.content(path) for path in tree.paths()}
    return Snapshot(f"reproduced in {folder}", None, files, head.code)


def working_tree(top: Path) -> Snapshot:
    """What lies in `top` now, committed or not."""
    folder = Folder(top)
    if not folder.has("params.yaml"):
        raise ReviewError("there is no params.yaml here: run from the project's top folder")
    unmerged = _git(top, "diff", "--name-only", "--diff-filter=U", "--relative").decode().split()
    if unmerged:
        raise ReviewError(
            f"a merge is not finished ({unmerged[0]}): finish it (docs/pull-requests.md, Merging), then review"
        )
    kept = {path.relative_to(top).as_posix(): path for path in sorted((top / "results").glob("*/*")) if path.is_file()}
    kept |= {path.relative_to(top).as_posix(): path for path in sorted((top / "results").glob("*/metrics/*.json"))}
    return Snapshot(
        "working tree",
        None,
        {path: folder.content(path) for path in folder.paths()},
        _code(top),
        {name: path.read_bytes() for name, path in kept.items() if _is_kept(name) and not path.is_symlink()},
    )


def _code(top: Path) -> dict[str, str]:
    """Path -> the hash that git gives the content of each file that may be code, committed or not, but not ignored."""
    listed = _git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(b"\0")
    paths = sorted({name.decode("utf-8", "replace") for name in listed if name})
    files = [path for path in paths if _is_code(path) and (top / path).is_file()]
    # Git would take relative paths from the top of the repository, in which `top` may be a folder.
    absolute = "".join(f"{(top / path).resolve()}\n" for path in files)
    hashes = _git(top, "hash-object", "--stdin-paths", given=absolute)
    return dict(zip(files, hashes.decode().split(), strict=True))


def resolve(top: Path, revision: str) -> str:
    """The full hash of the commit that `revision` names."""
    _git(top, "rev-parse", "--show-toplevel")
    try:
        full_hash = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except ReviewError:
        hint = FULL_CLONE if _shallow(top) else "`git branch -a` lists the branches, `git fetch` gets new ones"
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


def differs(top: Path, revision: str, path: str) -> bool:
    """Whether what git tracks of `path`, below `top`, is not as in the commit `revision`, committed or not."""
    named = ["diff", "--name-only", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none"]
    return bool(_git(top, *named, resolve(top, revision), "--", path).strip())


def changed(top: Path, paths: Sequence[str]) -> list[str]:
    """Files of `paths`, below `top`, that are not as in HEAD, also new ones that git does not ignore."""
    words = ["-z", "--", *paths]
    differ = _git(
        top, "diff", "--name-only", "--relative", "--no-renames", "--no-ext-diff", "--no-textconv", "HEAD", *words
    )
    names = differ + _git(top, "ls-files", "--others", "--exclude-standard", *words)
    return sorted({name.decode("utf-8", "replace") for name in names.split(b"\0") if name})


def _shallow(top: Path) -> bool:
    return _git(top, "rev-parse", "--is-shallow-repository").strip() == b"true"


def _git(top: Path, *words: str, given: str | None = None) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", str(top), *words],
            input=None if given is None else given.encode(),
            capture_output=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        raise ReviewError("git is not on the PATH: install it") from None
    except subprocess.CalledProcessError as error:
        raise ReviewError(f"git {words[0]}: {error.stderr.decode(errors='replace').strip()}") from None
