"""The zip of a Kaggle data set, verified before it counts."""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from pneumo.errors import SourceError
from pneumo.sources import archive, kaggle_client, resuming

if TYPE_CHECKING:
    from pneumo.params import Source


def obtain(data: Source, raw: Path, downloads: Path) -> dict[str, int]:
    """Fill `raw` from version data.version of the data set data.dataset."""
    assert data.dataset  # params.SOURCES demands both
    assert data.version
    zipped = fetch(data.dataset, data.version, downloads / "kaggle" / data.dataset / str(data.version))
    return archive.unpack(zipped, raw, sha256=data.sha256, expected=data.expected)


@dataclass(frozen=True)
class Dataset:
    """One version of a Kaggle data set, such as paultimothymooney/chest-xray-pneumonia version 2."""

    owner: str
    slug: str
    version: int

    def __str__(self) -> str:
        return f"kaggle {self.owner}/{self.slug} version {self.version}"


def fetch(name: str, version: int, into: Path, *, attempts: int = 6, backoff_s: float = 2.0) -> Path:
    """Return the complete zip of the data set `name` ("owner/slug"), downloaded into the folder `into` if need be.

    A zip that is already there is checked and used again without network. A download that breaks off is kept and
    resumed, by the next of `attempts` or by the next call. Waits between attempts start at `backoff_s` seconds and
    double, unless the server names one. Credentials are used if there are any; public data sets need none.

    Raises SourceError, with the remedy, if the server refuses, if all attempts fail, or if what arrives is not a sound
    zip.
    """
    dataset = _parse(name, version)
    target = into / f"{dataset.owner}.{dataset.slug}.v{version}.zip"
    partial = target.with_suffix(".part")
    try:
        if target.exists():
            damage = _damage(target)
            if damage is None:
                return target
            print(f"{target}: {damage}; downloading it again", flush=True)
            target.unlink()
        into.mkdir(parents=True, exist_ok=True)
        resuming.retrying("kaggle", attempts, backoff_s)(_download, dataset, partial)
        return _accept(partial, target, dataset)
    except requests.RequestException as error:
        # Without its cause: a traceback would show the signed URL.
        message = f"{dataset}: {resuming.describe(error)}; {_remedy(error, dataset, attempts, partial)}"
        raise SourceError(message) from None
    except OSError as error:
        raise SourceError(f"{dataset}: {error}; check the permissions and the disk of {into}") from error


def _parse(name: str, version: int) -> Dataset:
    match = re.fullmatch(r"([\w-]+)/([\w-]+)", name)
    if not match or version < 1:
        raise SourceError(f"kaggle {name!r} version {version!r}: expected 'owner/name' and a version of 1 or more")
    return Dataset(match[1], match[2], version)


def _download(dataset: Dataset, partial: Path) -> None:
    with resuming.session() as http:
        kaggle_client.log_in(http)
        with kaggle_client.ask_for_zip(http, dataset.owner, dataset.slug, dataset.version) as whole:
            resuming.download(http, whole, partial, str(dataset))


def _accept(partial: Path, target: Path, dataset: Dataset) -> Path:
    damage = _damage(partial)
    if damage is not None:
        size = partial.stat().st_size
        partial.unlink()
        raise SourceError(
            f"{dataset}: the {size:,} bytes that arrived are not a sound zip ({damage}) and are deleted: "
            f"run it again, or {_by_hand(dataset)}"
        )
    partial.replace(target)
    resuming.identity_file(partial).unlink(missing_ok=True)
    return target


def _damage(path: Path) -> str | None:
    """What is wrong with a zip; None if every member matches its CRC."""
    try:
        with zipfile.ZipFile(path) as file:
            member = file.testzip()
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError) as error:
        return str(error)
    return None if member is None else f"member {member!r} has a wrong CRC"


def _remedy(error: requests.RequestException, dataset: Dataset, attempts: int, partial: Path) -> str:
    status, wait = resuming.http_status(error), resuming.retry_after(error)
    progress = f"{partial.stat().st_size if partial.exists() else 0:,} bytes are kept"
    if status == 404:
        remedy = "there is no such data set or version: check data.dataset and data.version"
    elif status in (401, 403):
        remedy = _access(error)
    elif status is not None and not resuming.is_temporary(status):
        remedy = "the server refuses: check data.dataset and data.version"
    elif wait > resuming.MAX_RETRY_AFTER_S:
        remedy = f"the server asks to wait {wait:.0f} s: run it again then ({progress})"
    else:
        remedy = f"gave up after {attempts} attempts: run it again later ({progress})"
    return f"{remedy}, or {_by_hand(dataset)}"


def _access(error: requests.RequestException) -> str:
    token = "a token from https://www.kaggle.com/settings/api into ~/.kaggle/access_token or KAGGLE_API_TOKEN"
    assert error.response is not None
    first = [*error.response.history, error.response][0].request  # a redirect may drop the credentials
    if "Authorization" not in first.headers:
        return f"Kaggle does not give it to anonymous users: put {token}"
    if resuming.http_status(error) == 401:
        return f"Kaggle does not accept these credentials: put {token}"
    return "Kaggle does not give it to this account: accept the terms on its page"


def _by_hand(dataset: Dataset) -> str:
    page = f"https://www.kaggle.com/datasets/{dataset.owner}/{dataset.slug}"
    return f"download the zip from {page} in a browser and use -S data=archive -S data.path=THE_ZIP"
