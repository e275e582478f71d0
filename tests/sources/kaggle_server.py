"""A local server that speaks Kaggle's protocol and fails in every way that the real one may."""

from __future__ import annotations

import io
import json
import random
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pneumo.errors import SourceError
from pneumo.sources import kaggle

SECRET = "s3cr3t"
DOWNLOAD = "/v1/datasets.DatasetApiService/DownloadDataset"


def zip_of(seed: int, members: int = 3, size: int = 200_000) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for i in range(members):
            info = zipfile.ZipInfo(f"chest_xray/train/NORMAL/{i}.jpeg")
            file.writestr(info, random.Random(seed + i).randbytes(size))
    return buffer.getvalue()


WHOLE = zip_of(seed=0)


@dataclass
class Fault:
    """How one request is answered instead of as it should be."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)  # in place of, or beside, the right ones; "" leaves one out
    body: bytes | None = None
    cut: int | None = None  # bytes of the body that are sent before the connection is dropped
    stall_s: float = 0.0


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


def json_error(status: int, code: int) -> Fault:
    return Fault(status, {"Content-Type": "application/json"}, json.dumps({"code": code, "message": "no"}).encode())


class Kaggle(ThreadingHTTPServer):
    """The API's download call, which redirects to a blob with Range support on another host name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.blob_url = f"http://localhost:{self.server_port}/blob.zip?X-Goog-Signature={SECRET}"
        self.content, self.etag = WHOLE, '"v2"'
        self.api: list[Fault | None] = []  # the answers to come; None: the right one, as when the list is empty
        self.blob: list[Fault | None] = []
        self.requests: list[Request] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Silent: a client that hangs up in the middle is what some tests are about."""

    def seen(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def ranges(self) -> list[str | None]:
        return [request.headers.get("Range") for request in self.seen("/blob.zip")]


class Handler(BaseHTTPRequestHandler):
    server: Kaggle

    def log_message(self, *args) -> None:
        pass

    def do_POST(self) -> None:
        self.note()
        if self.path == "/v1/users.AccountService/GenerateAccessToken":
            self.answer(200, {"Content-Type": "application/json"}, b'{"token": "fresh", "expiresIn": 3600}', None)
        elif self.path == DOWNLOAD:
            self.answer(302, {"Location": self.server.blob_url}, b"", self.server.api)
        else:
            self.answer(404, {}, b"no such call", None)

    def do_GET(self) -> None:
        self.note()
        content, headers, status = self.server.content, {"ETag": self.server.etag, "Accept-Ranges": "bytes"}, 200
        span = self.headers.get("Range")
        if span and self.headers.get("If-Range") == self.server.etag:
            start = int(span.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        self.answer(status, headers, content, self.server.blob)

    def note(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(Request(self.path.split("?")[0], dict(self.headers), body))

    def answer(self, status: int, headers: dict[str, str], body: bytes, faults: list[Fault | None] | None) -> None:
        fault = (faults.pop(0) if faults else None) or Fault(status)
        if fault.status != status:
            headers = {}
        time.sleep(fault.stall_s)
        body = body if fault.body is None else fault.body
        self.send_response(fault.status)
        for name, value in {"Content-Length": str(len(body)), **headers, **fault.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: fault.cut])


def fetch(into: Path, attempts: int = 4) -> Path:
    return kaggle.fetch("owner/x-rays", 2, into, attempts=attempts, backoff_s=0.01)


def refuse(into: Path, *words: str, attempts: int = 4) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(into, attempts)
    message = str(caught.value)
    for word in ("kaggle owner/x-rays version 2", *words):
        assert word in message
    assert not list(into.glob("*.zip"))
    return message
