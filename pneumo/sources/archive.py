"""Images from a zip file or a folder laid out like the Kaggle chest X-ray data set: .../train/NORMAL/x.jpeg."""

from __future__ import annotations

import hashlib
import lzma
import os
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from pneumo.errors import SourceError
from pneumo.sources import FOLDERS

MAX_MEMBER_BYTES = 200_000_000  # the largest JPEG of the Kaggle data set has under 3 MB
_CHUNK_BYTES = 1 << 20
_FOLDER_NAMES = {folder.casefold(): folder for folder in FOLDERS}
# What zipfile raises for damage, found by changing bytes at random.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class Member:
    """One file of a source: its name there, its declared size in bytes, and how to read it."""

    name: str
    size: int
    checksum: Callable[[], object]
    open: Callable[[], IO[bytes]]


def unpack(
    path: Path, raw: Path, *, sha256: str | None = None, expected: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Fill `raw` with {train,val,test}/{NORMAL,PNEUMONIA}/* from a zip or folder; return each folder's count.

    What stands above {train,val,test} does not matter. A second, identical copy of the tree, hidden files and
    `__MACOSX` are dropped; every other file in a class folder is taken, readable or not. An existing `raw` is
    replaced, and only once all of the new one is on disk.

    sha256: hex digest that the zip must have. expected: files that each folder ("train/NORMAL") must have.
    Raises SourceError, with `raw` as it was, if the source is missing, damaged, unsafe or not what was expected.
    """
    if not path.exists():
        raise SourceError(f"{path}: expected a zip file or a folder, found nothing; correct data.path")
    _refuse_overlap(path, raw)
    try:
        if sha256 is not None:
            _check_sha256(path, sha256)
        with _members(path) as members:
            chosen = _choose(members, path)
            counts = _count(chosen, path, expected)
            with _replacing(raw) as fresh:
                _refuse_full_disk(chosen, fresh)
                for tail, member in chosen.items():
                    _copy(member, fresh / tail, path)
    except OSError as error:
        raise SourceError(f"{path}: {error}; check its permissions, and the disk of {raw}") from error
    return counts


def _refuse_overlap(path: Path, raw: Path) -> None:
    source, target = path.resolve(), raw.resolve()
    if source.is_relative_to(target) or target.is_relative_to(source):
        raise SourceError(f"{path}: overlaps {raw}, which is replaced; move the source elsewhere and set data.path")


def _check_sha256(path: Path, sha256: str) -> None:
    if path.is_dir():
        raise SourceError(f"{path}: sha256 needs a zip file, found a folder; remove data.sha256 or give the zip")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.strip().lower():
        raise SourceError(f"{path}: expected sha256 {sha256}, found {found}; get the zip again, or correct data.sha256")


@contextmanager
def _members(path: Path) -> Iterator[list[Member]]:
    """Every file of the source, in a fixed order; the zip stays open while they are read."""
    if path.is_dir():
        yield list(_folder_members(path))
        return
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise SourceError(f"{path}: {_why_not_a_zip(path)} ({error})") from error
    with archive:
        yield [_zip_member(archive, info, path) for info in archive.infolist() if info.orig_filename[-1:] != "/"]


def _why_not_a_zip(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return "the end of this zip is missing or damaged, as if cut short; copy or download it again"
    return "expected a zip file or a folder, found another kind of file; correct data.path"


def _folder_members(path: Path) -> Iterator[Member]:
    for folder, subfolders, names in os.walk(path, onerror=_unlistable):
        subfolders.sort()
        for entry in (Path(folder) / name for name in (*subfolders, *sorted(names))):
            mode = entry.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise SourceError(f"{entry}: is a symbolic link; give a copy without links (cp -rL {path} COPY)")
            if stat.S_ISREG(mode):
                yield _file_member(entry, path)
            elif not stat.S_ISDIR(mode):
                raise SourceError(f"{entry}: is neither a file nor a folder; remove it from the source")


def _unlistable(error: OSError) -> None:
    raise error  # os.walk would pass over the folder


def _file_member(file: Path, path: Path) -> Member:
    name = file.relative_to(path).as_posix()
    return Member(name, file.stat().st_size, checksum=lambda: _digest(file), open=lambda: file.open("rb"))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise SourceError(f"{path}: member {info.filename!r} is a link or a device; make the zip without it")
    if info.flag_bits & 0x1:  # zip specification (APPNOTE) 4.4.4, bit 0: encrypted
        raise SourceError(f"{path}: member {info.filename!r} is encrypted; make the zip without a password")
    name = info.orig_filename  # zipfile cuts filename at a NUL
    return Member(name, info.file_size, checksum=lambda: info.CRC, open=lambda: archive.open(info))


def _choose(members: list[Member], path: Path) -> dict[str, Member]:
    """The members to take, by their path under raw, sorted by it."""
    chosen: dict[str, Member] = {}
    by_key: dict[str, str] = {}  # what macOS and Windows hold to be the same name -> the path under raw
    for member in members:
        tail = _tail(member.name, path)
        if tail is None:
            continue
        taken = by_key.setdefault(unicodedata.normalize("NFC", tail).casefold(), tail)
        if taken != tail:
            raise SourceError(
                f"{path}: {chosen[taken].name!r} and {member.name!r} differ only by case or accents and overwrite "
                "each other on some file systems; rename or remove one"
            )
        if not _same_content(chosen.setdefault(tail, member), member):
            raise SourceError(
                f"{path}: {chosen[tail].name!r} and {member.name!r} are both {tail}, with different content; remove one"
            )
        if member.size > MAX_MEMBER_BYTES:
            raise SourceError(
                f"{path}: member {member.name!r}: expected at most {MAX_MEMBER_BYTES:,} bytes, found {member.size:,}; "
                "remove it"
            )
    return dict(sorted(chosen.items()))


def _same_content(first: Member, second: Member) -> bool:
    return first is second or (first.size == second.size and first.checksum() == second.checksum())


def _tail(name: str, path: Path) -> str | None:
    """`train/NORMAL/x.jpeg` for a file of a class folder, None for one to drop, SourceError for an unsafe name."""
    parts = PurePosixPath(name).parts
    unsafe = name.startswith("/") or ".." in parts or re.search(r"[\\\x00-\x1f]", name)
    if unsafe or any(PureWindowsPath(part).drive for part in parts):
        raise SourceError(f"{path}: member {name!r} has an unsafe name (absolute, '..', drive or '\\'); rename it")
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    folders = [_FOLDER_NAMES.get("/".join(pair).casefold()) for pair in pairwise(parts[:-1])]
    if not any(folders):
        return None
    if folders[-1] is None:
        raise SourceError(f"{path}: {name!r} is in a folder below a class folder; move it up or remove it")
    return f"{folders[-1]}/{parts[-1]}"


def _count(chosen: Mapping[str, Member], path: Path, expected: Mapping[str, int] | None) -> dict[str, int]:
    found = Counter(tail.rpartition("/")[0] for tail in chosen)
    missing = [folder for folder in FOLDERS if not found[folder]]
    if missing:
        raise SourceError(
            f"{path}: expected files in {', '.join(FOLDERS)}, found none in {', '.join(missing)}; "
            "get the whole data set, or correct data.path"
        )
    wrong = [f"{folder}: {n} != {found[folder]}" for folder, n in (expected or {}).items() if found[folder] != n]
    if wrong:
        raise SourceError(
            f"{path}: the number of files is off (expected != found): {'; '.join(wrong)}; "
            "get the whole data set, or correct the expected counts"
        )
    return {folder: found[folder] for folder in FOLDERS}


@contextmanager
def _replacing(raw: Path) -> Iterator[Path]:
    """A new folder beside `raw` that takes its place if the body succeeds and vanishes if it does not."""
    staging = raw.with_name(f".{raw.name}.part")
    shutil.rmtree(staging, ignore_errors=True)  # a killed run may have left one
    fresh, old = staging / "new", staging / "old"
    try:
        for folder in FOLDERS:
            (fresh / folder).mkdir(parents=True)
        yield fresh
        if os.path.lexists(raw):
            raw.rename(old)
        fresh.rename(raw)
    finally:
        if os.path.lexists(old) and not os.path.lexists(raw):
            old.rename(raw)
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_full_disk(chosen: Mapping[str, Member], fresh: Path) -> None:
    needed, free = sum(member.size for member in chosen.values()), shutil.disk_usage(fresh).free
    if needed > free:
        raise SourceError(f"{fresh}: expected {needed:,} bytes free, found {free:,}; make room on this disk")


def _copy(member: Member, target: Path, path: Path) -> None:
    """Stream a member to `target`; zipfile checks its CRC as the last byte is read."""
    written = 0
    try:
        with member.open() as source, target.open("xb") as file:
            while written <= member.size and (chunk := source.read(_CHUNK_BYTES)):
                written += file.write(chunk)
    except _UNREADABLE as error:
        raise SourceError(f"{path}: member {member.name!r} cannot be read: {error}; get the source again") from error
    if written != member.size:
        raise SourceError(
            f"{path}: member {member.name!r}: expected {member.size:,} bytes, found {written:,}; get the source again"
        )
