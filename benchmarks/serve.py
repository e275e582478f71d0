"""Requests per second of `pneumo serve`, how long they take, and the memory of the server.

    python -m benchmarks.serve [--model models/best] [--images films/test] [--clients 1 8 32] [--seconds 10]
        [--requests 10000]

A server in a process of its own; clients are threads of this one, each with a connection of its own, and send one film
after the other to POST /predict. Clients and server share the processor. Then `--requests` from eight clients, one in
ten of them with pictures, and the server's resident memory before and after. At last the largest image that is
allowed, as PNG with colours and transparency, which takes the most memory.
"""

import argparse
import http.client
import itertools
import math
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks import films
from pneumo.preprocessing import images

BOUNDARY = "pneumo-benchmark"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@contextmanager
def server(model: Path) -> Iterator[tuple[int, str]]:
    """Its process and where it is."""
    command = [sys.executable, "-m", "pneumo.cli", "serve", "--model", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, urlsplit(process.stdout.readline().split()[0]).netloc
        finally:
            process.terminate()


def body(name: str, content: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def load(
    where: str, bodies: list[bytes], clients: int, going: Callable[[int], bool], pictured: int = 0
) -> tuple[list[float], Counter[int]]:
    """Seconds of each answer with status 200, and how many answers had which status, while `going(number)`.

    pictured: one request in so many asks for pictures; 0: none does.
    """
    seconds: list[float] = []
    statuses: Counter[int] = Counter()
    numbers = itertools.count()

    def client() -> None:
        connection = http.client.HTTPConnection(where, timeout=120)
        while going(number := next(numbers)):
            path = "/predict?heatmap=true" if pictured and number % pictured == 0 else "/predict"
            started = time.perf_counter()
            connection.request("POST", path, bodies[number % len(bodies)], HEADERS)
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1
            if answer.status == 200:
                seconds.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, statuses


def largest() -> bytes:
    """PNG, black but for one corner: few bytes, and as many pixels as preprocessing allows."""
    side = math.isqrt(images.MAX_PIXELS)
    line, packed = bytes(1 + 4 * side), zlib.compressobj(1)
    data = b"".join(packed.compress(line) for _ in range(side - 1)) + packed.compress(line[:-4] + b"\xff" * 4)
    header = side.to_bytes(4, "big") * 2 + bytes([8, 6, 0, 0, 0])
    parts = ((b"IHDR", header), (b"IDAT", data + packed.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
        for kind, content in parts
    )


def for_seconds(length: float) -> Callable[[int], bool]:
    end = time.perf_counter() + length
    return lambda _: time.perf_counter() < end


def resident(process: int, key: str = "VmRSS") -> float:
    """MiB, as Linux has it."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(f"{key}:")).split()[1]) / 1024


def row(name: str, seconds: list[float], statuses: Counter[int], wall: float) -> str:
    median, last = np.quantile(seconds, [0.5, 0.99]) * 1000
    refused = statuses.total() - statuses[200]
    return f"{name:<28} {len(seconds) / wall:7.1f} requests/s  median {median:6.1f} ms  p99 {last:6.1f} ms" + (
        f"  {refused} refused" if refused else ""
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Requests per second of pneumo serve, and its memory.")
    parser.add_argument("--model", type=Path, default=Path("models/best"), help="default: %(default)s")
    parser.add_argument("--images", type=Path, default=Path("films/test"), help=films.UNPACKED)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default 10)")
    parser.add_argument("--requests", type=int, default=10_000, help="for the memory; 0: not measured (default 10000)")
    arguments = parser.parse_args()
    files = films.below(arguments.images)
    bodies = [body(path.name, path.read_bytes()) for path in files]
    print(f"{len(bodies)} films, {np.mean([len(each) for each in bodies]) / 1024:.0f} KiB on average")
    with server(arguments.model) as (process, where):
        load(where, bodies, 1, for_seconds(1))
        print(f"resident once it runs: {resident(process):.0f} MiB")
        for pictured, name in ((0, "predictions"), (1, "with film and heat map")):
            for clients in arguments.clients:
                started = time.perf_counter()
                seconds, statuses = load(where, bodies, clients, for_seconds(arguments.seconds), pictured)
                print(row(f"{name}, clients: {clients}", seconds, statuses, time.perf_counter() - started))
        if arguments.requests:
            before = resident(process)
            seconds, statuses = load(where, bodies, 8, lambda number: number < arguments.requests, pictured=10)
            print(
                f"resident before {arguments.requests:,} requests {before:.0f} MiB, after {resident(process):.0f} MiB, "
                f"at most {resident(process, 'VmHWM'):.0f} MiB; {statuses.total() - statuses[200]} refused"
            )
        huge = body("largest.png", largest())
        before, started = resident(process), time.perf_counter()
        load(where, [huge], 1, lambda number: number < 1)
        print(
            f"an image of {images.MAX_PIXELS:,} pixels in {len(huge) / 1024:,.0f} KiB: "
            f"{time.perf_counter() - started:.1f} s, at most {resident(process, 'VmHWM') - before:,.0f} MiB more, and "
            f"{resident(process) - before:.0f} MiB more afterwards"
        )


if __name__ == "__main__":
    main()
