"""Requests that mean no good, or go wrong on the way, to a real uvicorn with limits that a test can reach."""

import logging
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from dicoms import film
from served import bomb, form, png, posted, raw, serving, until

from pneumo.web import connections
from pneumo.web.limits import Limits

MIB = 1024**2
HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
PART = '--b\r\nContent-Disposition: form-data; name="images"; filename="secret-name.png"\r\n\r\n'


def noise(count):
    """Bytes that do not compress, of no image."""
    return b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * (count // 256)


@contextmanager
def unfinished(url, sent):
    """A request of which `sent` bytes of the body come, and no more."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        connection.sendall(f"{HEAD}Content-Length: {50 * MIB}\r\n\r\n{PART}".encode() + bytes(sent))
        yield connection


@pytest.mark.parametrize(
    ("images", "errors"),
    [
        ([("truncated.jpg", b"\xff\xd8\xff" + bytes(100))], ["JPEG cannot be decoded"]),
        ([("truncated.png", png()[:-20]), ("a", png())], ["PNG is truncated", None]),
        ([("truncated.dcm", bytes(128) + b"DICM")], ["set aside: not a radiograph"]),
        ([("film.dcm", film(None))], ["DICOM has no pixels"]),
        ([("text.png", b"no image"), ("empty.png", b"")], ["text file; expected", "empty file of 0 bytes"]),
        ([("page.html", b"<script>alert(1)</script>")], ["text file; expected JPEG, PNG or DICOM"]),
        ([("program.png", b"\x7fELF" + bytes(300))], ["unknown format"]),
        ([("large.png", noise(2 * MIB)), ("a", png())], ["file of 2097160 bytes; expected at most 1048576", None]),
        ([("huge.png", bomb(1000)[:16] + (30_000).to_bytes(4, "big") * 2 + bomb(1000)[24:])], ["PNG cannot"]),
    ],
)
def test_what_is_no_film_is_an_error_of_its_own_file(loaded, images, errors):
    with serving(loaded, limits=Limits(file=MIB)) as url:
        answer = posted(url, *images, params={"heatmap": "true"})
    assert answer.status_code == 200
    for row, error, (name, _) in zip(answer.json(), errors, images, strict=True):
        assert row["image"] == name
        assert (row["error"] or "").startswith(error or "")
        assert (row["error"] is None) == (error is None) == (row["probability"] is not None)


def test_a_decompression_bomb_is_refused_before_it_takes_memory(address):
    data = bomb(15_000)
    assert len(data) < MIB
    started = time.monotonic()
    (row,) = posted(address, ("bomb.png", data)).json()
    assert row["error"] == "15000 x 15000 pixels; expected at most 200000000 in all"
    assert time.monotonic() - started < 5


def test_a_body_that_says_it_is_huge_is_refused_unread(address):
    answer = raw(address, f"{HEAD}Content-Length: {10 * 1024**3}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_a_body_without_a_length_is_refused_where_it_passes_the_limit(loaded):
    def endless():
        yield PART.encode()
        while True:
            yield bytes(64 * 1024)

    with serving(loaded, limits=Limits(body=MIB)) as url:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        with suppress(httpx.WriteError):  # cut off while it sends, after what is dropped in kindness
            assert httpx.post(f"{url}/predict", content=endless(), headers=headers, timeout=30).status_code == 413
        assert posted(url, ("a.png", png())).status_code == 200


def test_a_slow_body_is_given_up_and_keeps_nobody_waiting(loaded):
    with serving(loaded, limits=Limits(patience=1.5, rate=MIB)) as url:
        with unfinished(url, 100) as connection:
            started = time.monotonic()
            assert posted(url, ("a.png", png())).status_code == 200
            assert time.monotonic() - started < 1.5
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        assert posted(url, ("a.png", png())).status_code == 200


def test_headers_that_do_not_end_close_the_connection(loaded, monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_S", 0.5)
    with serving(loaded) as url:
        started = time.monotonic()
        assert raw(url, b"GET / HTTP/1.1\r\nHost: local") == b""
        assert raw(url, b"") == b""
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "head",
    [
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000,
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000,
        b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
    ],
)
def test_what_is_no_http_is_refused_and_the_server_goes_on(address, head):
    assert raw(address, head + b"\r\n\r\n")[:12] in (b"HTTP/1.1 400", b"")
    assert httpx.get(f"{address}/health").status_code == 200


@pytest.mark.parametrize(("count", "options", "status"), [(1000, {}, 413), (64, {}, 200), (9, {"heatmap": "1"}, 413)])
def test_only_so_many_files_come_in_one_request(address, count, options, status):
    answer = posted(address, *((f"{at}.txt", b"text") for at in range(count)), params=options)
    assert answer.status_code == status
    if status == 200:
        assert [row["image"] for row in answer.json()] == [f"{at}.txt" for at in range(count)]
    else:
        assert "more than" in answer.json()["detail"]


@pytest.mark.parametrize(
    "limits", [Limits(reading=1), Limits(held=MIB)], ids=["requests that are read", "bytes in memory"]
)
def test_where_every_place_is_taken_a_request_is_told_when_to_come_again(loaded, limits):
    with serving(loaded, limits=limits) as url:
        large = ("a.png", noise(MIB // 2))
        with unfinished(url, MIB * 3 // 4):
            until(lambda: posted(url, large).status_code == 503)
            answer = posted(url, large)
            assert (answer.headers["retry-after"], answer.json()["title"]) == ("2", "Service Unavailable")
            assert httpx.get(f"{url}/health").status_code == 200
        until(lambda: posted(url, large).status_code == 200)


def test_above_the_limit_requests_are_refused_and_the_others_get_their_own_answers(loaded):
    alone = {}
    with serving(loaded, limits=Limits(working=2, decoders=1)) as url:
        for seed in range(24):
            (row,) = posted(url, (f"{seed}.png", png(seed))).json()
            alone[seed] = row["probability"]
        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda seed: posted(url, (f"{seed}.png", png(seed))), range(24)))
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 503}
        for seed, answer in enumerate(answers):
            if answer.status_code == 200:
                (row,) = answer.json()
                assert (row["image"], row["probability"]) == (f"{seed}.png", alone[seed])
            else:
                assert answer.headers["retry-after"] == "2"
        assert posted(url, ("a.png", png())).status_code == 200


def test_a_client_that_goes_away_leaves_nothing_behind(loaded):
    with serving(loaded, limits=Limits(reading=1, held=MIB)) as url:
        for _ in range(5):
            with unfinished(url, MIB // 2):
                pass
            until(lambda: posted(url, ("a.png", noise(MIB // 2))).status_code == 200)
        text = httpx.get(f"{url}/metrics").text
        assert "pneumo_requests_in_flight 1.0" in text
        assert 'path="/predict",status="499"' in text


WRITTEN = []


def note_writing(event, arguments):
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & 3:  # os.O_WRONLY or os.O_RDWR
        WRITTEN.append(arguments[0])


def test_no_file_is_written(loaded):
    """Python says of every file that is opened; Starlette's parser would open one for each image above 1 MB."""
    sys.addaudithook(note_writing)
    with serving(loaded) as url:
        WRITTEN.clear()
        large = noise(3 * MIB)
        answer = posted(url, ("large.png", large), ("film.dcm", film(None)), ("a.png", png(1, (2000, 1500))))
        assert [row["error"] is None for row in answer.json()] == [False, False, True]
    assert WRITTEN == []


class Failing:
    """A network that quotes what it is given."""

    side = None

    def logits(self, pixels):
        raise ValueError(f"secret-pixels {pixels.ravel()[:5]}")


def test_nothing_of_an_image_is_logged(loaded, caplog):
    caplog.set_level(logging.DEBUG)
    with serving(loaded) as url:
        posted(url, ("secret-name.png", png()), ("secret-name.txt", b"secret-text"))
        httpx.post(
            f"{url}/predict", content=b"--b\r\nsecret-text", headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
        httpx.post(f"{url}/predict?secret-query=1", files=form(("secret-name.png", b"\xff\xd8\xffsecret-text")))
        httpx.get(f"{url}/secret-path")
        raw(url, b"secret-nonsense\r\n\r\n")
    with serving(replace(loaded, session=Failing())) as url:
        answer = posted(url, ("secret-name.png", png()))
    assert answer.status_code == 500
    assert "bug in pneumo" in answer.json()["detail"]
    logged = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    texts = [record.getMessage() + str(record.exc_info or "") for record in logged]
    assert any("POST /predict 500" in text for text in texts)
    assert any("ValueError" in text for text in texts), "where it happened is"
    assert not [text for text in texts if "secret" in text]


HOSTS = [
    ("localhost", 200),
    ("localhost:9000", 200),  # through a tunnel
    ("127.0.0.1", 200),
    ("[::1]:8000", 200),
    ("LOCALHOST", 200),
    ("evil.example", 421),
    ("localhost.evil.example", 421),
    ("127.0.0.1.evil.example", 421),
    ("192.168.0.1", 421),
    ("[::", 421),
    ("user@evil.example", 421),
    ("", 421),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_only_names_of_this_machine_are_answered(address, host, status):
    answer = raw(address, f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status}".encode())


ORIGINS = [
    ({}, 200),
    ({"Origin": "http://localhost:7", "Host": "localhost:7"}, 200),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://["}, 403),
    ({"Origin": ""}, 403),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ORIGINS)
def test_pages_of_other_sites_cannot_send_images(address, headers, status):
    answer = posted(address, ("a.png", png()), headers=headers)
    assert answer.status_code == status
