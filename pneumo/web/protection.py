"""In front of everything: who may ask what, the headers of every answer, the log and the counters."""

import hmac
import ipaddress
import logging
import time
import traceback
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pneumo.errors import RequestRefused
from pneumo.web import problems
from pneumo.web.metrics import Metrics

LOG = logging.getLogger("pneumo.web")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """token: what every request must carry, or None for a server that only this machine reaches; free: the paths that
    need none; paths: all that there are, by which requests are logged and counted."""

    token: str | None
    free: frozenset[str]
    paths: frozenset[str]


class Protected:
    """`app`, which sees only the requests that may be made."""

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app, self._access, self._metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        path = scope["path"] if scope["path"] in self._access.paths else "other"
        started = time.perf_counter()
        self._metrics.in_flight.inc()
        try:
            await self._answered(scope, receive, answer)
        except Exception as error:
            _log_place(error)
            if not answer.status:
                await problems.response(problems.internal(), close=True)(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.in_flight.dec()
            self._metrics.answered(path, answer.status, seconds)
            method = scope["method"] if scope["method"] in (*_SAFE, "POST") else "other"
            LOG.info("%s %s %d %.3f s", method, path, answer.status, seconds)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _check(scope, self._access)
        except RequestRefused as refused:
            await problems.response(refused, close=True)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Answer:
    """`send` with HEADERS; it keeps the status, which is 0 until the answer begins."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await self._send(message)


def _check(scope: Scope, access: Access) -> None:
    """Raises RequestRefused."""
    headers = Headers(scope=scope)
    if access.token is None:
        _check_host(headers.get("host", ""))
    if scope["method"] not in _SAFE:
        _check_origin(headers)
    if access.token is not None and scope["path"] not in access.free:
        _check_token(headers.get("authorization", ""), access.token)


def _check_host(host: str) -> None:
    """Another name that leads here is that of a page that wants to read the answers (DNS rebinding)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        local = name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        local = False
    if not local:
        raise RequestRefused(
            421, "This server only answers to localhost.", "Open http://localhost with its port, or set PNEUMO_TOKEN."
        )


def _check_origin(headers: Headers) -> None:
    """Pages of other sites may not send images; programs, which name no origin, may."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site in ("same-origin", "none")
    else:
        own = origin is None or origin.partition("://")[2] == headers.get("host", "")
    if not own:
        raise RequestRefused(403, "This request comes from a page of another site.", "Use the page of this server.")


def _check_token(given: str, token: str) -> None:
    scheme, _, value = given.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(value.strip().encode(), token.encode()):
        raise RequestRefused(
            401,
            "The token is missing or wrong." if given else "This server needs a token.",
            "Send the header Authorization: Bearer TOKEN, with the token that the server was started with.",
            WWW_Authenticate="Bearer",
        )


def _log_place(error: Exception) -> None:
    """Where it happened, and of which class it is. Its text may quote the image."""
    LOG.error("%s", type(error).__name__)
    for frame in traceback.extract_tb(error.__traceback__):
        LOG.error("  %s:%s in %s", frame.filename, frame.lineno, frame.name)
