"""Downloads over HTTP that survive dropped connections: time limits, retries, and resuming where it broke off.

A partial file is resumed only if the server still offers the same content (RFC 9110, 13.1.5), and nothing counts as
complete here: what arrived is verified by whoever asked for it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from pneumo.errors import SourceError

TIMEOUT_S = (10.0, 60.0)  # to connect, and between two pieces of an answer
MAX_BACKOFF_S = 60.0
MAX_RETRY_AFTER_S = 900.0  # a server that asks for more ends the run: no stage sleeps for hours
_CHUNK_BYTES = 1 << 16  # if the connection drops within a chunk, the chunk is lost


class _TimeLimit(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, *args, **{**kwargs, "timeout": kwargs.get("timeout") or TIMEOUT_S})


def session() -> requests.Session:
    """A session with time limits, and without compression, which does not go together with byte ranges."""
    new = requests.Session()
    new.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        new.mount(scheme, _TimeLimit())
    return new


def send(http: requests.Session, request: requests.PreparedRequest) -> requests.Response:
    """The answer after all redirects, its body not read yet. Proxies come from the environment."""
    return http.send(request, **http.merge_environment_settings(str(request.url), {}, True, None, None))


def download(http: requests.Session, whole: requests.Response, partial: Path, name: str) -> None:
    """Bring `partial` to the length that `whole`, the answer to a request for the whole file, announces.

    name: of what is downloaded, for people. Raises requests.RequestException where the download breaks off, with what
    has arrived in `partial`, and SourceError where the disk is too small.
    """
    size = int(whole.headers["Content-Length"]) if "Content-Length" in whole.headers else None
    start = _resumable_bytes(partial, whole, size)
    free = shutil.disk_usage(partial.parent).free
    if size is not None and size - start > free:
        raise SourceError(f"{partial}: expected {size - start:,} bytes free, found {free:,}; make room on this disk")
    total = "?" if size is None else f"{size:,}"
    print(f"{name}: {start:,} of {total} bytes are in {partial}; downloading the rest", flush=True)
    if start == 0:
        partial.unlink(missing_ok=True)
        identity_file(partial).write_text(_identity(whole, size))
        _append(whole, partial, size)
    elif size is not None and start < size:
        whole.close()
        with _ask_rest(http, whole, start, size, partial) as rest:
            _append(rest, partial, size)


def identity_file(partial: Path) -> Path:
    """Beside `partial`: what the server said about the content that it is a part of."""
    return partial.with_suffix(".identity")


def _resumable_bytes(partial: Path, whole: requests.Response, size: int | None) -> int:
    """How many bytes of `partial` are the beginning of what the server offers now: all of them, or none."""
    recorded = identity_file(partial).read_text() if identity_file(partial).exists() else None
    if size is None or not _validator(whole) or recorded != _identity(whole, size) or not partial.exists():
        return 0
    length = partial.stat().st_size
    return length if length <= size else 0


def _ask_rest(
    http: requests.Session, whole: requests.Response, start: int, size: int, partial: Path
) -> requests.Response:
    """The answer with the bytes from `start` on. If the server does not resume, `partial` is deleted."""
    request = whole.request.copy()  # as sent after the redirect: without credentials if the host is another
    request.headers.update({"Range": f"bytes={start}-", "If-Range": _validator(whole)})
    rest = send(http, request)
    if is_temporary(rest.status_code):
        rest.raise_for_status()
    if rest.status_code != 206 or rest.headers.get("Content-Range") != f"bytes {start}-{size - 1}/{size}":
        rest.close()
        partial.unlink()
        raise requests.ConnectionError(f"the server did not resume at byte {start} (HTTP {rest.status_code})")
    return rest


def _append(response: requests.Response, partial: Path, size: int | None) -> None:
    console = Console(stderr=True)
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with partial.open("ab") as file, Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("download", total=size, completed=file.tell())
        for chunk in response.iter_content(_CHUNK_BYTES):
            file.write(chunk)
            progress.update(task, advance=len(chunk))


def _validator(response: requests.Response) -> str:
    """What tells this content from a later one, in the form that If-Range takes (RFC 9110, 13.1.5), or ''."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _identity(response: requests.Response, size: int | None) -> str:
    return f"{_validator(response)} {size}"


def retrying(name: str, attempts: int, backoff_s: float) -> Retrying:
    """Calls a function again after temporary errors, and says so. Waits double, unless the server names one."""
    backoff = wait_exponential(backoff_s, max=MAX_BACKOFF_S) + wait_random(0, backoff_s)

    def wait(state: RetryCallState) -> float:
        return retry_after(state.outcome.exception() if state.outcome else None) or backoff(state)

    def announce(state: RetryCallState) -> None:
        reason = describe(state.outcome.exception() if state.outcome else None)
        attempt = f"attempt {state.attempt_number} of {attempts} failed"
        print(f"{name}: {attempt}: {reason}; next in {state.upcoming_sleep:.3g} s", flush=True)

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
    status = http_status(error)
    return (status is None or is_temporary(status)) and retry_after(error) <= MAX_RETRY_AFTER_S


def is_temporary(status: int) -> bool:
    """Timeout, too early, too many requests, or trouble on the server's side."""
    return status in (408, 425, 429) or status >= 500


def http_status(error: requests.RequestException) -> int | None:
    """The HTTP status of an error, None where no answer arrived."""
    return error.response.status_code if isinstance(error, requests.HTTPError) and error.response is not None else None


def retry_after(error: BaseException | None) -> float:
    """The seconds that the server asks to wait, 0 if it does not say."""
    response = error.response if isinstance(error, requests.RequestException) else None
    try:
        return 0.0 if response is None else Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except InvalidHeader:
        return 0.0


def describe(error: BaseException | None) -> str:
    """The error in one line, without the query of any URL: that of a signed URL is a credential."""
    return re.sub(r"\?\S*", "?...", " ".join(str(error).split())) or type(error).__name__
