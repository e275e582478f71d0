"""`pneumo serve` as a process, the application in this one with limits that a test can reach, and requests to them."""

import io
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import numpy as np
import uvicorn
from PIL import Image

from pneumo.web.app import application
from pneumo.web.connections import Connection


@contextmanager
def started(exported, *words, **environment):
    """`pneumo serve` on a free port -> its process and address."""
    command = [sys.executable, "-m", "pneumo.cli", "serve", "--model", str(exported), "--port", "0", *words]
    environment = {name: value for name, value in (os.environ | environment).items() if value is not None}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, line.split()[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def serving(model, **options):
    """Its address."""
    app, close = application(model, **options)
    config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None, access_log=False)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(30)
        close()


def png(seed=0, sides=(60, 50)):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 5), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(sides, Image.Resampling.BICUBIC).save(file, format="PNG")
    return file.getvalue()


def form(*images):
    """For httpx: (name, bytes) of each."""
    return [("images", (name, data, "application/octet-stream")) for name, data in images]


def posted(url, *images, **options):
    return httpx.post(f"{url}/predict", files=form(*images), timeout=60, **options)


def raw(url, text, *, wait=10.0):
    """What comes back for bytes that no HTTP client would send."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=wait) as connection:
        connection.sendall(text)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            if b"\r\n\r\n" in answer:
                break
        return answer


def bomb(side):
    """A PNG of side x side black pixels in a few kB."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + side)) for _ in range(side)) + rows.flush()

    def chunk(kind, content):
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def until(condition, seconds=30.0):
    """Wait for it."""
    due = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < due
        time.sleep(0.02)
