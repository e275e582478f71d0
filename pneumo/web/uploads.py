"""The body of a request -> files in memory. Nothing is written to disk, and nothing is read beyond the limits.

Starlette's own parser spools files above 1 MB to a temporary folder, so the parser below it is used directly.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from pneumo.errors import RequestRefused
from pneumo.web.limits import MIB, Limits, Store

FIELD = "images"
FORM = "multipart/form-data"
DROPPING_S = 5
_SEND = f"Send a form ({FORM}) with one or more files under the name {FIELD}: curl -F {FIELD}=@film.dcm"

for _name in ("python_multipart", "python_multipart.multipart"):  # its warnings quote bytes of the body
    logging.getLogger(_name).disabled = True


@dataclass
class Upload:
    """A file as it was sent: its name, never used as a path, and its bytes, or `error`, why they are not kept."""

    name: str
    data: bytes = b""
    error: str | None = None


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    upload: Upload | None = None
    data: bytearray = field(default_factory=bytearray)  # a list of small pieces would take many times their bytes
    length: int = 0


@contextmanager
def holding(store: Store) -> Iterator["Held"]:
    """Gives back to `store` what is taken within."""
    held = Held(store)
    try:
        yield held
    finally:
        store.give_back(held.count)


class Held:
    """What one request takes of the store."""

    def __init__(self, store: Store) -> None:
        self._store, self.count = store, 0

    def take(self, count: int) -> None:
        self._store.take(count)
        self.count += count


class Body:
    """The bytes of a request as they come."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive, self.headers, self._ended = receive, headers, False

    async def chunk(self) -> bytes | None:
        """Some bytes, or None at the end. Raises ClientDisconnect."""
        if self._ended:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        return message.get("body", b"")

    async def drop(self, most: int) -> None:
        """Read on for a while: a client that is cut off while it sends does not see the answer."""
        if "expect" in self.headers:  # it waits to be told whether to send
            return
        length = 0
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(DROPPING_S):
                while length <= most and (chunk := await self.chunk()) is not None:
                    length += len(chunk)


async def received(body: Body, limits: Limits, held: Held, most: int) -> list[Upload]:
    """The files of the form in their order, at most `most`. Raises RequestRefused."""
    kind, options = parse_options_header(body.headers.get("content-type"))
    if kind != FORM.encode() or not options.get(b"boundary"):
        raise RequestRefused(415, f"The body is not {FORM}.", _SEND)
    length = body.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body:
        raise _large(limits)
    form = _Form(limits, most)
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks())  # type: ignore[arg-type]
        async for chunk in _chunks(body, limits):
            held.take(len(chunk))
            parser.write(chunk)
    except FormParserError:
        raise RequestRefused(400, f"The body is not well-formed {FORM}.", _SEND) from None
    if not form.ended:
        raise RequestRefused(400, "The form is incomplete: its end is missing.", "Send it again.")
    if not form.uploads:
        raise RequestRefused(422, f"The form has no file under the name {FIELD}.", _SEND)
    return form.uploads


async def _chunks(body: Body, limits: Limits) -> AsyncIterator[bytes]:
    """Raises RequestRefused for more bytes than allowed, and for a client slower than allowed."""
    loop = asyncio.get_running_loop()
    started, length = loop.time(), 0
    while True:
        try:
            async with asyncio.timeout_at(started + limits.patience + length / limits.rate):
                chunk = await body.chunk()
        except TimeoutError:
            raise RequestRefused(
                408,
                f"The images came too slowly: expected at least {limits.rate // 1024} KiB a second.",
                "Send fewer or smaller files, or use a faster connection.",
            ) from None
        if chunk is None:
            return
        length += len(chunk)
        if length > limits.body:
            raise _large(limits)
        yield chunk


class _Form:
    """Callbacks of the parser, which collect files."""

    def __init__(self, limits: Limits, most: int) -> None:
        self.uploads: list[Upload] = []
        self.ended = False
        self._limits, self._most = limits, most
        self._part = _Part()
        self._header, self._value = b"", b""

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_comes,
            "on_header_value": self._value_comes,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data_comes,
            "on_part_end": self._part_ends,
            "on_end": self._end,
        }

    def _part_begins(self) -> None:
        self._part = _Part()

    def _header_comes(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _value_comes(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._part.headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition"))
        name, filename = options.get(b"name"), options.get(b"filename")
        if name != FIELD.encode() or filename is None:
            raise RequestRefused(422, f"The form has something other than files under the name {FIELD}.", _SEND)
        if len(self.uploads) == self._most:
            raise RequestRefused(
                413, f"There are more than {self._most} files in one request.", f"Send at most {self._most} at once."
            )
        self._part.upload = Upload(filename.decode("utf-8", "replace"))
        self.uploads.append(self._part.upload)

    def _data_comes(self, data: bytes, start: int, end: int) -> None:
        self._part.length += end - start
        if self._part.length > self._limits.file:
            self._part.data.clear()
        else:
            self._part.data += data[start:end]

    def _part_ends(self) -> None:
        part, upload = self._part, self._part.upload
        assert upload is not None
        if part.length > self._limits.file:
            upload.error = f"file of {part.length} bytes; expected at most {self._limits.file}"
        else:
            upload.data = bytes(part.data)
        self._part = _Part()

    def _end(self) -> None:
        self.ended = True


def _large(limits: Limits) -> RequestRefused:
    size = f"{limits.body / MIB:g} MiB"
    return RequestRefused(413, f"The request is larger than {size}.", f"Send at most {size} at once.")
