"""The zip of a Kaggle data set: downloaded with Kaggle's own client, resumed, and verified before it counts.

The client is kagglesdk, the part of the kaggle package that builds URLs and signs requests. `import kaggle`, the
other part, prints help or uses the network, and its downloads neither verify the zip nor retry the first request.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from pneumo.errors import SourceError

if TYPE_CHECKING:
    from kagglesdk import KaggleClient

TIMEOUT_S = (10.0, 60.0)  # to connect, and between two pieces of an answer
MAX_BACKOFF_S = 60.0
MAX_RETRY_AFTER_S = 900.0  # a server that asks for more ends the run: no stage sleeps for hours
_CHUNK_BYTES = 1 << 16  # a chunk is lost where the connection drops within it


@dataclass(frozen=True)
class Dataset:
    """One version of a Kaggle data set, such as paultimothymooney/chest-xray-pneumonia version 2."""

    owner: str
    slug: str
    version: int

    def __str__(self) -> str:
        return f"kaggle {self.owner}/{self.slug} version {self.version}"


def fetch(dataset: str, version: int, into: Path, *, attempts: int = 6, backoff_s: float = 2.0) -> Path:
    """Return the complete zip of `dataset` ("owner/slug") at `version`, downloaded into the folder `into` if need be.

    A zip that is already there is checked and used again without network. A download that breaks off is kept and
    resumed, by the next of `attempts` or by the next call. Waits between attempts start at `backoff_s` seconds and
    double, unless the server names one. Credentials are used where there are any, and none are needed where the
    server gives the data set to anyone.

    Raises SourceError, with the remedy, if the server refuses, if all attempts fail, or if what came is no sound zip.
    """
    wanted = _parse(dataset, version)
    target = into / f"{wanted.owner}.{wanted.slug}.v{version}.zip"
    part = target.with_suffix(".part")
    try:
        if target.exists():
            damage = _damage(target)
            if damage is None:
                return target
            _say(f"{target}: {damage}; downloading it again")
            target.unlink()
        into.mkdir(parents=True, exist_ok=True)
        _retrying(attempts, backoff_s)(_download, wanted, part)
        return _accept(part, target, wanted)
    except requests.RequestException as error:
        # Without its cause: a traceback would show the signed URL.
        raise SourceError(f"{wanted}: {_reason(error)}; {_remedy(error, wanted, attempts, part)}") from None
    except OSError as error:
        raise SourceError(f"{wanted}: {error}; check the permissions and the disk of {into}") from error


def _parse(dataset: str, version: int) -> Dataset:
    named = re.fullmatch(r"([\w-]+)/([\w-]+)", dataset)
    if not named or version < 1:
        raise SourceError(f"kaggle {dataset!r} version {version!r}: expected 'owner/name' and a version from 1 on")
    return Dataset(named[1], named[2], version)


def _say(line: str) -> None:
    print(line, flush=True)


def _download(wanted: Dataset, part: Path) -> None:
    """Bring `part` to the length that the server announces. Raises requests.RequestException where that fails."""
    client = _client()
    with client, _ask(client, wanted) as whole:
        size = int(whole.headers["Content-Length"]) if "Content-Length" in whole.headers else None
        start = _kept(part, whole, size)
        free = shutil.disk_usage(part.parent).free
        if size is not None and size - start > free:
            raise SourceError(f"{part}: expected {size - start:,} bytes free, found {free:,}; make room on this disk")
        _say(f"{wanted}: {start:,} of {'?' if size is None else f'{size:,}'} bytes are in {part}; fetching the rest")
        if start == 0:
            part.unlink(missing_ok=True)
            _identity_file(part).write_text(_identity(whole, size))
            _append(whole, part, size)
        elif size is not None and start < size:
            whole.close()
            with _ask_rest(_session(client), whole, start, size, part) as rest:
                _append(rest, part, size)


def _ask(client: KaggleClient, wanted: Dataset) -> requests.Response:
    """The answer to a request for the whole zip, redirects followed, its body not yet read."""
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = wanted.owner, wanted.slug
    request.dataset_version_number = wanted.version
    return client.datasets.dataset_api_client.download_dataset(request)


def _ask_rest(
    session: requests.Session, whole: requests.Response, start: int, size: int, part: Path
) -> requests.Response:
    """The answer that brings the bytes from `start` on; any other one discards `part`, or is worth waiting for."""
    request = whole.request.copy()  # as sent after the redirect: without credentials where the host is another
    request.headers.update({"Range": f"bytes={start}-", "If-Range": _validator(whole)})
    rest = session.send(request, **session.merge_environment_settings(str(request.url), {}, True, None, None))
    if _is_passing(rest.status_code):
        rest.raise_for_status()
    if rest.status_code != 206 or rest.headers.get("Content-Range") != f"bytes {start}-{size - 1}/{size}":
        rest.close()
        part.unlink()
        raise requests.ConnectionError(f"the server did not resume at byte {start} (HTTP {rest.status_code})")
    return rest


def _append(response: requests.Response, part: Path, size: int | None) -> None:
    console = Console(stderr=True)
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with part.open("ab") as file, Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("download", total=size, completed=file.tell())
        for chunk in response.iter_content(_CHUNK_BYTES):
            file.write(chunk)
            progress.update(task, advance=len(chunk))


def _kept(part: Path, whole: requests.Response, size: int | None) -> int:
    """How many bytes of `part` begin what the server offers now: all of them, or none."""
    known = _identity_file(part).read_text() if _identity_file(part).exists() else None
    if size is None or not _validator(whole) or known != _identity(whole, size) or not part.exists():
        return 0
    have = part.stat().st_size
    return have if have <= size else 0


def _validator(response: requests.Response) -> str:
    """What tells this content from a later one, as If-Range takes it (RFC 9110, 13.1.5), or ''."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _identity(response: requests.Response, size: int | None) -> str:
    return f"{_validator(response)} {size}"


def _identity_file(part: Path) -> Path:
    return part.with_suffix(".identity")


def _accept(part: Path, target: Path, wanted: Dataset) -> Path:
    damage = _damage(part)
    if damage is not None:
        found = f"{part.stat().st_size:,} bytes that are not a sound zip ({damage})"
        part.unlink()
        raise SourceError(f"{wanted}: found {found}; they are deleted: run it again, or {_by_hand(wanted)}")
    part.replace(target)
    _identity_file(part).unlink(missing_ok=True)
    return target


def _damage(path: Path) -> str | None:
    """What is wrong with a zip, None if every member has the CRC that the zip says."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError) as error:
        return str(error)
    return None if member is None else f"member {member!r} has a wrong CRC"


def _client() -> KaggleClient:
    """Kaggle's client, signed in with the first of: token, API key, `kaggle auth login`; or anonymous."""
    from kagglesdk import KaggleClient, KaggleCredentials

    key = {"username": os.environ.get("KAGGLE_USERNAME"), "password": os.environ.get("KAGGLE_KEY")}
    client = _patient(KaggleClient(**key))
    login = None if _session(client).auth else KaggleCredentials.load(client)
    return _patient(KaggleClient(api_token=login.get_access_token())) if login else client


def _patient(client: KaggleClient) -> KaggleClient:
    """The client with a time limit, which its own requests lack, and without compression, which ranges do not bear."""
    session = _session(client)
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _TimeLimit())
    return client


def _session(client: KaggleClient) -> requests.Session:
    http = client.http_client()
    http._init_session()
    return http._session


class _TimeLimit(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, *args, **{**kwargs, "timeout": kwargs.get("timeout") or TIMEOUT_S})


def _retrying(attempts: int, backoff_s: float) -> Retrying:
    backoff = wait_exponential(backoff_s, max=MAX_BACKOFF_S) + wait_random(0, backoff_s)

    def wait(state: RetryCallState) -> float:
        return _retry_after(state.outcome.exception() if state.outcome else None) or backoff(state)

    def announce(state: RetryCallState) -> None:
        reason = _reason(state.outcome.exception() if state.outcome else None)
        _say(f"kaggle: attempt {state.attempt_number} of {attempts}: {reason}; next in {state.upcoming_sleep:.3g} s")

    return Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait,
        retry=retry_if_exception(_is_worth_retrying),
        before_sleep=announce,
        reraise=True,
    )


def _is_worth_retrying(error: BaseException) -> bool:
    if not isinstance(error, requests.RequestException):
        return False
    status = _status(error)
    return (status is None or _is_passing(status)) and _retry_after(error) <= MAX_RETRY_AFTER_S


def _is_passing(status: int) -> bool:
    return status in (408, 425, 429) or status >= 500  # timeout, too early, too many requests, trouble of the server


def _status(error: requests.RequestException) -> int | None:
    """The HTTP status of an error, None where no answer came. Kaggle puts some into the JSON of a 200."""
    if not isinstance(error, requests.HTTPError) or error.response is None:
        return None
    status = error.response.status_code
    return status if status >= 400 else error.response.json()["code"]


def _retry_after(error: BaseException | None) -> float:
    """The seconds that the server asks to wait, 0 if it does not."""
    response = error.response if isinstance(error, requests.RequestException) else None
    try:
        return 0.0 if response is None else Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except InvalidHeader:
        return 0.0


def _reason(error: BaseException | None) -> str:
    """The error in one line, without the query of any URL: a signed URL's is a credential."""
    return re.sub(r"\?\S*", "?...", " ".join(str(error).split())) or type(error).__name__


def _remedy(error: requests.RequestException, wanted: Dataset, attempts: int, part: Path) -> str:
    status, asked = _status(error), _retry_after(error)
    kept = f"{part.stat().st_size if part.exists() else 0:,} bytes are kept"
    if status == 404:
        remedy = "there is no such data set or version: check its name and number"
    elif status in (401, 403):
        remedy = _access(error)
    elif status is not None and not _is_passing(status):
        remedy = "the server refuses: check the name and number"
    elif asked > MAX_RETRY_AFTER_S:
        remedy = f"the server asks to wait {asked:.0f} s: run it again then ({kept})"
    else:
        remedy = f"gave up after {attempts} attempts: run it again later ({kept})"
    return f"{remedy}, or {_by_hand(wanted)}"


def _access(error: requests.RequestException) -> str:
    token = "a token from https://www.kaggle.com/settings/api in ~/.kaggle/access_token or KAGGLE_API_TOKEN"
    assert error.response is not None
    asked = [*error.response.history, error.response][0].request  # the first: a redirect may drop credentials
    if "Authorization" not in asked.headers:
        return f"Kaggle wants to know who asks: put {token}"
    if _status(error) == 401:
        return f"Kaggle does not know these credentials: put {token}"
    return "Kaggle does not give it to this account: accept the terms on its page"


def _by_hand(wanted: Dataset) -> str:
    page = f"https://www.kaggle.com/datasets/{wanted.owner}/{wanted.slug}"
    return f"download the zip from {page} in a browser and use -S data=archive -S data.path=THE_ZIP"
