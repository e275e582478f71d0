"""Raw images in a few files: zip files, each with all images of some patients.

DVC and remotes take their time by the file, so thousands of images are kept in shards. A shard is named for the
patients in it: images-011.zip has those of whose names the hash begins with the bits 011, and images.zip has all. A
shard that would be larger than LIMIT is divided by the next bit. So a change to the images of one patient changes one
shard, or divides it, and two versions of the data share all others. The same images give the same bytes.

They are plain zip files without compression: `python -m zipfile -e data/raw/images.zip films` unpacks one. A member has
the name of the image in images.csv.
"""

import hashlib
import io
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pneumo.data.listing import Listed, Raw
from pneumo.errors import ManifestError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PATTERN = "images*.zip"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of the format
_LOCAL_HEADER = 30  # bytes, before name and extra field: APPNOTE 4.3.7
_CHUNK_BYTES = 1 << 20
_REMEDY = "run `dvc checkout`, or `dvc repro --force download`"


class Limit(NamedTuple):
    """Of a shard, unless one patient has more. A change to one image uploads a shard anew, so it must stay small; a
    remote takes its time by the object, so there must be few.
    """

    images: int
    bytes: int


LIMIT = Limit(images=1_024, bytes=64 * 1024**2)


class _Film(NamedTuple):
    image: str
    bits: str  # of the hash of the patient
    size: int  # bytes


class _Place(NamedTuple):
    shard: Path
    start: int  # of its local header in the shard
    size: int
    crc: int


def pack(images: Iterable[Listed], folder: Path, into: Path, *, limit: Limit = LIMIT, remove: bool = False) -> None:
    """Write the files of `images`, below `folder`, into shards in `into`. What a source rejects has no file.

    remove: each file once the shard that holds it is written, so that there need be room for only one shard more. No
    image is held in memory as a whole.
    """
    films = [
        _Film(image.image, _bits(image.patient), (folder / image.image).stat().st_size)
        for image in sorted(images, key=lambda image: image.image)
        if not image.rejected
    ]
    for prefix, members in _divided(films, "", limit):
        _write(into / PATTERN.replace("*", f"-{prefix}" if prefix else ""), members, folder)
        for film in members if remove else ():
            (folder / film.image).unlink()


class Films:
    """The images of `raw`, each read out of its shard; any number of threads and processes may do so at once.

    Raises ManifestError where a shard is damaged or an image is in none.
    """

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._places: dict[Path, _Place] = {}
        for folder in (raw.main, *raw.sites.values()):
            for shard in sorted(folder.glob(PATTERN)):
                for info in _members(shard):
                    place = _Place(shard, info.header_offset, info.file_size, info.CRC)
                    self._places[folder / info.filename] = place

    def size(self, image: str) -> int:
        """Bytes of the image that `raw` calls `image`."""
        return self._place(image).size

    def read(self, image: str) -> bytes:
        """Its bytes, which are those that were packed."""
        place = self._place(image)
        with place.shard.open("rb") as file:
            file.seek(_content(file, place))
            data = file.read(place.size)
        if len(data) != place.size or zlib.crc32(data) != place.crc:
            raise ManifestError(f"{place.shard}: its member {image!r} is damaged; {_REMEDY}")
        return data

    def open(self, image: str) -> BinaryIO:
        """The image as a file, for those who need only some of it."""
        place = self._place(image)
        with place.shard.open("rb") as file:
            start = _content(file, place)
        return io.BufferedReader(_Slice(place.shard, start, place.size))

    def _place(self, image: str) -> _Place:
        path = self._raw.path(image)
        if path not in self._places:
            raise ManifestError(f"{path} is missing: a table names it, and no {PATTERN} has it; {_REMEDY}")
        return self._places[path]


class _Slice(io.RawIOBase):
    """`size` bytes of the file `path`, from byte `start` on, as a file of their own."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self.name = str(path)  # for which pydicom asks
        self._file, self._start, self._size, self._at = path.open("rb", buffering=0), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        window = memoryview(buffer)[: max(0, self._size - self._at)]
        self._file.seek(self._start + self._at)
        read = self._file.readinto(window) or 0
        self._at += read
        return read

    def close(self) -> None:
        self._file.close()
        super().close()


def _bits(patient: str) -> str:
    return f"{int(hashlib.sha256(patient.encode()).hexdigest(), 16):0256b}"


def _divided(films: Sequence[_Film], prefix: str, limit: Limit) -> Iterator[tuple[str, Sequence[_Film]]]:
    """The films of each shard, by the first bits that these have in common."""
    fits = len(films) <= limit.images and sum(film.size for film in films) <= limit.bytes
    if fits or len({film.bits for film in films}) < 2:
        yield prefix, films
        return
    for longer in (f"{prefix}0", f"{prefix}1"):
        half = [film for film in films if film.bits.startswith(longer)]
        if half:
            yield from _divided(half, longer, limit)


def _write(shard: Path, films: Sequence[_Film], folder: Path) -> None:
    with zipfile.ZipFile(shard, "w", zipfile.ZIP_STORED) as file:
        for film in films:
            info = zipfile.ZipInfo(film.image, _FIRST_DAY)
            info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16  # Unix, wherever it is written
            info.file_size = film.size
            with (folder / film.image).open("rb") as source, file.open(info, "w") as member:
                shutil.copyfileobj(source, member, _CHUNK_BYTES)


def _members(shard: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(shard) as file:
            return file.infolist()
    except zipfile.BadZipFile as error:
        raise ManifestError(f"{shard} is damaged: {error}; {_REMEDY}") from error


def _content(file: BinaryIO, place: _Place) -> int:
    """Where the bytes of the image begin in the shard."""
    file.seek(place.start)
    header = file.read(_LOCAL_HEADER)
    name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return place.start + _LOCAL_HEADER + name + extra
