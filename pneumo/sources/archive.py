"""Images from a zip file or a folder laid out like the Kaggle chest X-ray data set: .../train/NORMAL/x.jpeg."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING

from pneumo import files
from pneumo.data import listing
from pneumo.errors import SourceError
from pneumo.sources import FOLDERS, kermany, local
from pneumo.sources.replacing import replacing

if TYPE_CHECKING:
    from pneumo.params import Source

MAX_MEMBER_BYTES = 200_000_000  # the largest JPEG of the Kaggle data set has under 3 MB
NO_CLASS = "in no class folder"  # why a file is left out
OPTIONAL = ("val/NORMAL", "val/PNEUMONIA")  # pooled with train anyway; version 3 of the publishers' data has none
_CHUNK_BYTES = 1 << 20
_FOLDER_NAMES = {folder.casefold(): folder for folder in FOLDERS}
# What zipfile raises on damaged zips, collected by changing bytes at random.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class Member:
    """One file of a zip or folder: its name there, its declared size in bytes, and how to read it."""

    name: str
    size: int
    checksum: Callable[[], object]
    open: Callable[[], IO[bytes]]


def obtain(data: Source, raw: Path, downloads: Path) -> dict[str, int]:
    """Fill `raw` from the zip or folder that data.inputs.images names."""
    return unpack(Path(data.inputs.images), raw, sha256=data.sha256, expected=data.expected)


def unpack(
    path: Path, raw: Path, *, sha256: str | None = None, expected: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Fill `raw` with {train,val,test}/{NORMAL,PNEUMONIA}/* from a zip or folder; return the number of files by folder.

    The folders above {train,val,test} do not matter. A second, identical copy of the tree, hidden files and `__MACOSX`
    are dropped; every other file in a class folder is taken, readable or not. Files in no class folder are said and
    listed in raw/left_out.csv. val may be missing. An existing `raw` is replaced only when everything new is
    on disk.

    sha256: hexadecimal digest that the zip must have. expected: number of files that each folder ("train/NORMAL") must
    have. Raises SourceError, with `raw` as it was, if the source is missing, damaged, unsafe or not as expected.
    """
    if not path.exists():
        raise SourceError(f"{path}: expected a zip file or a folder, found nothing; correct data.path")
    local.refuse_overlap(path, raw)
    try:
        if sha256 is not None:
            _check_sha256(path, sha256)
        with _members(path) as members:
            images, left_out = _select(members, path)
            _require_classes(images, left_out, path)
            counts = _count(images, path, expected)
            with replacing(raw, FOLDERS) as fresh:
                _refuse_full_disk(images, fresh)
                for name, member in images.items():
                    _copy(member, fresh / name, path)
                _list(images, left_out, fresh)
    except OSError as error:
        raise SourceError(f"{path}: {error}; check its permissions and the disk of {raw}") from error
    return counts


def _check_sha256(path: Path, sha256: str) -> None:
    if path.is_dir():
        raise SourceError(f"{path}: data.sha256 needs a zip file, found a folder; set data.sha256=null or give the zip")
    digest = files.sha256(path)
    if digest != sha256.strip().lower():
        raise SourceError(
            f"{path}: expected SHA-256 {sha256}, found {digest}; download the zip again, or correct data.sha256"
        )


@contextmanager
def _members(path: Path) -> Iterator[list[Member]]:
    """Every file of the source, in a fixed order; the zip stays open while they are read."""
    if path.is_dir():
        yield [_file_member(file, path) for file in local.regular_files(path)]
        return
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise SourceError(f"{path}: {_why_not_a_zip(path)} ({error})") from error
    with archive:
        yield [_zip_member(archive, info, path) for info in archive.infolist() if info.orig_filename[-1:] != "/"]


def _why_not_a_zip(path: Path) -> str:
    if files.is_lfs_pointer(path):
        return "found a Git LFS pointer in place of the zip; run `git lfs pull` where it comes from"
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return "the end of this zip is missing or damaged, probably cut short; copy or download it again"
    return "expected a zip file or a folder, found another kind of file; correct data.path"


def _file_member(file: Path, path: Path) -> Member:
    name = file.relative_to(path).as_posix()
    return Member(name, file.stat().st_size, checksum=lambda: files.sha256(file), open=lambda: file.open("rb"))


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise SourceError(f"{path}: member {info.filename!r} is a link or a device; zip the images without it")
    if info.flag_bits & 0x1:  # zip specification (APPNOTE) 4.4.4, bit 0: encrypted
        raise SourceError(f"{path}: member {info.filename!r} is encrypted; zip the images without a password")
    name = info.orig_filename  # zipfile cuts filename at a NUL
    return Member(name, info.file_size, checksum=lambda: info.CRC, open=lambda: archive.open(info))


def _select(members: list[Member], path: Path) -> tuple[dict[str, Member], list[str]]:
    """The images among the members, by their path under raw and sorted by it; names of files in no class folder."""
    images: dict[str, Member] = {}
    trees: dict[str, set[str]] = {}  # the folder above {train,val,test} -> paths under raw
    left_out = []
    spellings: dict[str, str] = {}  # a name as macOS and Windows compare it -> the path under raw
    for member in members:
        parts = PurePosixPath(member.name).parts
        _refuse_unsafe(member.name, parts, path)
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        place = _place(member.name, parts, path)
        if place is None:
            left_out.append(member.name)
            continue
        tree, name = place
        trees.setdefault(tree, set()).add(name)
        spelling = spellings.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if spelling != name:
            raise SourceError(
                f"{path}: {images[spelling].name!r} and {member.name!r} differ only by case or accents, and some file "
                "systems would keep only one of them; rename or remove one"
            )
        if not _same_content(images.setdefault(name, member), member):
            raise SourceError(
                f"{path}: {images[name].name!r} and {member.name!r} are both {name}, with different content; remove one"
            )
        if member.size > MAX_MEMBER_BYTES:
            raise SourceError(
                f"{path}: member {member.name!r}: expected at most {MAX_MEMBER_BYTES:,} bytes, found {member.size:,}; "
                "remove it"
            )
    _refuse_other_trees(trees, path)
    return dict(sorted(images.items())), sorted(left_out)


def _refuse_other_trees(trees: Mapping[str, set[str]], path: Path) -> None:
    """A second tree must be a copy of the first: otherwise it holds other images, perhaps of another organ."""
    for (first, names), (second, others) in pairwise(sorted(trees.items(), key=lambda tree: (len(tree[1]), tree[0]))):
        if names != others:
            only = min(names - others or others - names)
            where = first if only in names else second
            remedy = (
                "Set data.path to one of them" if path.is_dir() else "Unpack the zip and set data.path to one of them"
            )
            raise SourceError(
                f"{path}: {min(first, second)!r} and {max(first, second)!r} both hold images and are no copies of each "
                f"other: {only} is in {where!r} alone. {remedy}, or remove the other"
            )


def _same_content(first: Member, second: Member) -> bool:
    return first is second or (first.size == second.size and first.checksum() == second.checksum())


def _refuse_unsafe(name: str, parts: tuple[str, ...], path: Path) -> None:
    if "\\" in name:
        raise SourceError(
            f"{path}: member {name!r} has an unsafe name, with '\\' between folders; "
            "unpack it and set data.path to the folder"
        )
    unsafe = name.startswith("/") or ".." in parts or re.search(r"[\x00-\x1f]", name)
    if unsafe or any(PureWindowsPath(part).drive for part in parts):
        raise SourceError(f"{path}: member {name!r} has an unsafe name (absolute, '..' or drive); rename it")


def _place(name: str, parts: tuple[str, ...], path: Path) -> tuple[str, str] | None:
    """The tree and the path under raw of a file of a class folder, as "chest_xray" and "train/NORMAL/x"; else None."""
    folders = [_FOLDER_NAMES.get("/".join(pair).casefold()) for pair in pairwise(parts[:-1])]
    if not any(folders):
        return None
    if folders[-1] is None:
        raise SourceError(f"{path}: {name!r} is in a folder below a class folder; move it up or remove it")
    return "/".join(parts[:-3]) or ".", f"{folders[-1]}/{parts[-1]}"


def _list(images: Iterable[str], left_out: list[str], fresh: Path) -> None:
    if left_out:
        print(f"left out: {len(left_out)} files {NO_CLASS}, such as {left_out[0]!r}", flush=True)
    listing.write([kermany.identify(name) for name in images], ((name, NO_CLASS) for name in left_out), fresh)


def _require_classes(images: Mapping[str, Member], left_out: list[str], path: Path) -> None:
    needed = [folder for folder in FOLDERS if folder not in OPTIONAL]
    filled = {name.rpartition("/")[0] for name in images}
    missing = [folder for folder in needed if folder not in filled]
    if missing:
        zips = [name for name in left_out if name.lower().endswith(".zip")]
        inside = f"unpack {zips[0]!r}, which is in it, and set data.path to that" if zips else "get the whole data set"
        raise SourceError(
            f"{path}: expected files in {', '.join(needed)}, found none in {', '.join(missing)}; {inside}, or correct "
            "data.path"
        )


def _count(images: Mapping[str, Member], path: Path, expected: Mapping[str, int] | None) -> dict[str, int]:
    counts = Counter(name.rpartition("/")[0] for name in images)
    wrong = [
        f"{folder} has {counts[folder]} files, expected {count}"
        for folder, count in (expected or {}).items()
        if counts[folder] != count
    ]
    if wrong:
        others = [name for name in images if PurePosixPath(name).suffix.lower() not in (".jpeg", ".jpg", ".png")]
        found = f" Remove what is no image, such as {others[0]}." if others else ""
        raise SourceError(
            f"{path}: {'; '.join(wrong)}.{found} Get the whole data set, or correct data.expected "
            "(for other images: -S data.expected=null)"
        )
    return {folder: counts[folder] for folder in FOLDERS}


def _refuse_full_disk(images: Mapping[str, Member], fresh: Path) -> None:
    needed, free = sum(member.size for member in images.values()), shutil.disk_usage(fresh).free
    if needed > free:
        raise SourceError(f"{fresh}: expected {needed:,} bytes free, found {free:,}; make room on this disk")


def _copy(member: Member, target: Path, path: Path) -> None:
    """Stream a member to `target`; zipfile checks its CRC as the last byte is read."""
    written = 0
    try:
        with member.open() as source, target.open("xb") as file:
            while written <= member.size and (chunk := source.read(_CHUNK_BYTES)):
                written += file.write(chunk)
    except NotImplementedError as error:  # Deflate64, for example, which Windows writes for large files
        raise SourceError(
            f"{path}: member {member.name!r} cannot be read: {error}; unpack it and set data.path to the folder"
        ) from error
    except _UNREADABLE as error:
        raise SourceError(
            f"{path}: member {member.name!r} cannot be read: {error}; copy or download the zip again"
        ) from error
    if written != member.size:
        raise SourceError(
            f"{path}: member {member.name!r}: expected {member.size:,} bytes, found {written:,}; get it again"
        )
