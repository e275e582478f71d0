"""Downloading from Kaggle, against a local server that speaks its protocol and fails in every way it may."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import threading
import time
import zipfile
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kagglesdk.kaggle_env
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


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A running Kaggle that the package takes for the real one, and a home without credentials."""
    for name in ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR", "API_ENVIRONMENT", "KERNEL_RUN_TYPE"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(kaggle, "TIMEOUT_S", (5.0, 5.0))
    with Kaggle() as running:
        endpoints = kagglesdk.kaggle_env._env_to_endpoint
        monkeypatch.setitem(endpoints, kagglesdk.kaggle_env.KaggleEnv.PROD, running.url)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def into(tmp_path) -> Path:
    return tmp_path / "downloads"


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


def test_the_zip_of_the_wanted_version_arrives_and_nothing_else(server, into, capsys):
    path = fetch(into)
    assert path.read_bytes() == WHOLE
    assert list(into.iterdir()) == [path]
    asked = json.loads(server.seen(DOWNLOAD)[0].body)
    assert asked == {"ownerSlug": "owner", "datasetSlug": "x-rays", "datasetVersionNumber": 2}
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1
    assert f"{len(WHOLE):,}" in said[0]
    assert str(into) in said[0]


def test_a_complete_zip_is_used_again_without_network(server, into):
    path = fetch(into)
    server.requests.clear()
    assert fetch(into) == path
    assert server.requests == []


def test_versions_and_owners_do_not_share_a_zip(server, into):
    names = [("owner/x-rays", 2), ("owner/x-rays", 3), ("other/x-rays", 2)]
    assert len({kaggle.fetch(name, version, into) for name, version in names}) == 3
    assert len(server.seen(DOWNLOAD)) == 3


@pytest.mark.parametrize(
    "damaged", [WHOLE[:-200], b"", b"<html>", WHOLE.replace(WHOLE[500:510], b"0123456789")], ids=len
)
def test_a_damaged_zip_that_is_already_there_is_fetched_again(server, into, damaged):
    path = fetch(into)
    path.write_bytes(damaged)
    assert fetch(into).read_bytes() == WHOLE
    assert len(server.seen(DOWNLOAD)) == 2


PASSING = {
    "429": Fault(429),
    "429 with Retry-After": Fault(429, {"Retry-After": "0"}),
    "429 with a date": Fault(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    "429 with nonsense": Fault(429, {"Retry-After": "soon"}),
    "429 in JSON": json_error(429, 429),
    "503 in the JSON of a 200": json_error(200, 503),
    "500": Fault(500, body=b"oops"),
    "503": Fault(503),
    "timeout 408": Fault(408),
    "JSON that is none": Fault(200, {"Content-Type": "application/json"}, b"{"),
    "dropped at once": Fault(200, {"Content-Length": "1000"}, b"", cut=0),
}


@pytest.mark.parametrize("which", ["api", "blob"])
@pytest.mark.parametrize("name", PASSING)
def test_passing_trouble_is_tried_again(server, into, which, name, capsys):
    getattr(server, which).extend([PASSING[name], PASSING[name]])
    assert fetch(into).read_bytes() == WHOLE
    assert len(server.seen(DOWNLOAD)) == 3
    assert "attempt 2 of 4" in capsys.readouterr().out


def test_a_server_that_hangs_is_left_after_the_time_limit(server, into, monkeypatch):
    monkeypatch.setattr(kaggle, "TIMEOUT_S", (0.3, 0.3))
    server.api, server.blob = [Fault(302, {"Location": server.blob_url}, stall_s=1.0)], [Fault(stall_s=1.0)]
    assert fetch(into).read_bytes() == WHOLE
    assert len(server.seen(DOWNLOAD)) == 3


def test_no_server_at_all_is_an_error_that_names_the_way_out(server, into, monkeypatch):
    endpoints = kagglesdk.kaggle_env._env_to_endpoint
    monkeypatch.setitem(endpoints, kagglesdk.kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    refuse(into, "gave up after 2 attempts", "-S data=archive -S data.path=", attempts=2)


def test_the_wait_that_the_server_asks_for_is_kept(server, into):
    server.api = [Fault(429, {"Retry-After": "1"})]
    began = time.monotonic()
    fetch(into)
    assert time.monotonic() - began >= 1


def test_waits_double_and_vary_where_the_server_names_none(server, into, capsys):
    server.api = [Fault(500)] * 3
    kaggle.fetch("owner/x-rays", 2, into, backoff_s=0.1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "next in" in line]
    waits = [float(line.split("next in ")[1].removesuffix(" s")) for line in lines]
    for wait, base in zip(waits, (0.1, 0.2, 0.4), strict=True):
        assert base <= wait <= base + 0.1
    assert waits != [0.1, 0.2, 0.4]


def test_a_wait_of_hours_is_reported_not_slept(server, into):
    server.api = [Fault(429, {"Retry-After": "7200"})]
    refuse(into, "asks to wait 7200 s", "run it again")
    assert len(server.seen(DOWNLOAD)) == 1


def test_a_dropped_download_is_resumed_where_it_broke(server, into):
    server.blob = [Fault(cut=300_000), None, Fault(206, cut=100_000)]
    assert fetch(into).read_bytes() == WHOLE
    starts = [int(r.removeprefix("bytes=").removesuffix("-")) for r in server.ranges() if r]
    assert 0 < starts[0] <= 300_000 < starts[1] <= 400_000
    assert len(starts) == 2
    assert all(r.headers["If-Range"] == '"v2"' for r in server.seen("/blob.zip") if "Range" in r.headers)


def test_a_zip_that_comes_without_a_redirect_is_resumed_too(server, into, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
    kept = 300_000 // kaggle._CHUNK_BYTES * kaggle._CHUNK_BYTES
    span = {"Content-Range": f"bytes {kept}-{len(WHOLE) - 1}/{len(WHOLE)}"}
    whole = Fault(200, {"ETag": '"v2"'}, WHOLE)
    server.api = [Fault(200, {"ETag": '"v2"'}, WHOLE, cut=300_000), whole, Fault(206, span, WHOLE[kept:])]
    assert fetch(into).read_bytes() == WHOLE
    last = server.requests[-1]
    assert (last.path, last.headers["Range"]) == (DOWNLOAD, f"bytes={kept}-")
    assert last.headers["Authorization"] == f"Bearer {SECRET}"
    assert last.body == server.requests[0].body


def test_the_next_call_resumes_what_the_last_one_left(server, into):
    server.blob = [Fault(cut=300_000)]
    message = refuse(into, "bytes are kept", attempts=1)
    (part,) = into.glob("*.part")
    kept = part.stat().st_size
    assert 0 < kept <= 300_000
    assert f"{kept:,} bytes are kept" in message
    assert fetch(into).read_bytes() == WHOLE
    assert server.ranges()[-1] == f"bytes={kept}-"


def test_a_download_that_was_whole_but_not_yet_accepted_is_not_fetched_again(server, into):
    server.blob = [Fault(cut=300_000)]
    refuse(into, attempts=1)
    (part,) = into.glob("*.part")
    part.write_bytes(WHOLE)
    assert fetch(into).read_bytes() == WHOLE
    assert not any(server.ranges())


@pytest.mark.parametrize(
    ("etag", "size", "spoil"),
    [
        pytest.param('"v3"', 200_000, lambda part: None, id="other ETag"),
        pytest.param('"v2"', 201_000, lambda part: None, id="other length"),
        pytest.param('"v2"', 200_000, lambda part: part.with_suffix(".identity").unlink(), id="of unknown origin"),
        pytest.param('"v2"', 200_000, lambda part: part.write_bytes(bytes(900_000)), id="too long"),
    ],
)
def test_a_part_that_may_be_of_other_content_is_not_resumed(server, into, etag, size, spoil):
    server.blob = [Fault(cut=300_000)]
    refuse(into, attempts=1)
    spoil(next(into.glob("*.part")))
    server.content, server.etag = zip_of(seed=9, size=size), etag
    assert fetch(into).read_bytes() == server.content
    assert not any(server.ranges())


@pytest.mark.parametrize("etag", ['W/"v2"', ""], ids=["weak", "none"])
def test_without_a_strong_validator_a_drop_starts_over(server, into, etag):
    server.etag = etag
    server.blob = [Fault(cut=300_000)]
    assert fetch(into).read_bytes() == WHOLE
    assert server.ranges() == [None, None]


def test_last_modified_stands_in_for_an_etag(server, into):
    server.etag = stamp = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.blob = [
        Fault(headers={"ETag": "", "Last-Modified": stamp}, cut=300_000),
        Fault(headers={"ETag": "", "Last-Modified": stamp}),
    ]
    assert fetch(into).read_bytes() == WHOLE
    assert [request.headers.get("If-Range") for request in server.seen("/blob.zip")] == [None, None, stamp]


EXPIRED = b"<Error><Code>ExpiredToken</Code></Error>" * 10
NOT_RESUMED = {
    "403 with a body": Fault(403, body=EXPIRED),
    "404 with a body": Fault(404, body=EXPIRED),
    "416": Fault(416, body=EXPIRED),
    "200 with the whole": Fault(200, body=WHOLE),
    "200 with an error": Fault(200, body=EXPIRED),
    "206 of another start": Fault(206, {"Content-Range": f"bytes 0-{len(WHOLE) - 1}/{len(WHOLE)}"}, WHOLE),
    "206 of another length": Fault(206, {"Content-Range": "bytes 262144-499999/500000"}, WHOLE[262144:500_000]),
    "206 that does not say": Fault(206, {"Content-Range": ""}, EXPIRED),
}


@pytest.mark.parametrize("name", NOT_RESUMED)
def test_a_resume_that_fails_starts_over_and_keeps_no_error_body(server, into, name):
    server.blob = [Fault(cut=300_000), None, NOT_RESUMED[name]]
    assert fetch(into).read_bytes() == WHOLE
    assert server.ranges()[3:] == [None]


@pytest.mark.parametrize("status", [429, 503])
def test_passing_trouble_on_a_resume_keeps_the_part(server, into, status):
    server.blob = [Fault(cut=300_000), None, Fault(status, body=EXPIRED)]
    assert fetch(into).read_bytes() == WHOLE
    ranges = [r for r in server.ranges() if r]
    assert len(ranges) == 2
    assert ranges[0] == ranges[1]


@pytest.mark.parametrize(
    ("fault", "token", "words"),
    [
        (Fault(401), None, ["401", "who asks", "access_token", "KAGGLE_API_TOKEN"]),
        (Fault(403), None, ["403", "who asks", "access_token"]),
        (json_error(403, 403), None, ["who asks", "access_token"]),
        (json_error(200, 403), None, ["who asks", "access_token"]),
        (Fault(401), SECRET, ["401", "does not know these credentials"]),
        (Fault(403), SECRET, ["403", "accept the terms", "https://www.kaggle.com/datasets/owner/x-rays"]),
        (Fault(404), None, ["404", "no such data set or version"]),
        (Fault(404), SECRET, ["404", "no such data set or version"]),
        (Fault(400), None, ["400", "refuses"]),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(server, into, monkeypatch, fault, token, words):
    if token:
        monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    server.api = [fault]
    message = refuse(into, *words, "-S data=archive -S data.path=")
    assert len(server.seen(DOWNLOAD)) == 1
    assert SECRET not in message


def test_a_refusal_behind_the_redirect_is_not_taken_for_an_anonymous_one(server, into, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
    server.blob = [Fault(403)]
    refuse(into, "accept the terms")


def test_attempts_run_out(server, into):
    server.api = [Fault(500)] * 10
    refuse(into, "500", "gave up after 3 attempts", "-S data=archive -S data.path=", attempts=3)
    assert len(server.seen(DOWNLOAD)) == 3


def test_a_length_that_never_comes_is_no_zip(server, into):
    server.content = WHOLE[:-1000]
    server.blob = [Fault(200, {"Content-Length": str(len(WHOLE)), "ETag": ""})] * 3
    refuse(into, "gave up after 3 attempts", attempts=3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"<html>please log in</html>", ["not a zip"], id="web page"),
        pytest.param(WHOLE[:-1000], ["not a zip"], id="cut short"),
        pytest.param(WHOLE.replace(WHOLE[500:510], b"0123456789"), ["0.jpeg", "CRC"], id="damaged"),
    ],
)
@pytest.mark.parametrize("length", ["right", "missing"])
def test_what_is_no_sound_zip_is_deleted(server, into, content, words, length):
    server.content = content
    server.blob = [Fault(headers={"Content-Length": ""})] if length == "missing" else []
    refuse(into, f"{len(content):,} bytes", *words, "deleted")
    assert not list(into.glob("*.part"))
    server.content = WHOLE
    assert fetch(into).read_bytes() == WHOLE


def test_no_length_but_a_sound_zip_is_accepted(server, into):
    server.blob = [Fault(headers={"Content-Length": ""})]
    assert fetch(into).read_bytes() == WHOLE


def test_more_than_the_disk_holds_is_refused_at_once(server, into):
    server.blob = [Fault(headers={"Content-Length": str(10**18)})]
    with pytest.raises(SourceError, match=r"1,000,000,000,000,000,000 bytes free.*make room"):
        fetch(into)
    assert len(server.seen(DOWNLOAD)) == 1


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(server, into):
    into.write_text("a file where the folder should be")
    with pytest.raises(SourceError, match=r"check the permissions and the disk of .*downloads"):
        fetch(into)


def basic(name: str, key: str) -> str:
    return "Basic " + b64encode(f"{name}:{key}".encode()).decode()


LOGIN = {"refresh_token": "r", "access_token": "", "access_token_expiration": "", "username": "me", "scopes": []}


@pytest.mark.parametrize(
    ("environment", "home", "header"),
    [
        pytest.param({}, {}, None, id="anonymous"),
        pytest.param({"API_TOKEN": SECRET}, {}, f"Bearer {SECRET}", id="token"),
        pytest.param({"USERNAME": "me", "KEY": SECRET}, {}, basic("me", SECRET), id="key"),
        pytest.param({"USERNAME": "me"}, {}, None, id="half a key"),
        pytest.param({}, {"access_token": SECRET}, f"Bearer {SECRET}", id="token file"),
        pytest.param({}, {"kaggle.json": {"username": "me", "key": SECRET}}, basic("me", SECRET), id="kaggle.json"),
        pytest.param({}, {"credentials.json": LOGIN}, "Bearer fresh", id="kaggle auth login"),
        pytest.param({"USERNAME": "a", "KEY": "b"}, {"access_token": SECRET}, f"Bearer {SECRET}", id="token first"),
    ],
)
def test_credentials_go_to_kaggle_and_nowhere_else(server, into, monkeypatch, tmp_path, environment, home, header):
    for name, value in environment.items():
        monkeypatch.setenv(f"KAGGLE_{name}", value)
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    for name, value in home.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (tmp_path / "home" / ".kaggle" / name).write_text(text)
    server.blob = [Fault(cut=300_000)]
    fetch(into)
    assert {request.headers.get("Authorization") for request in server.seen(DOWNLOAD)} == {header}
    assert not any("Authorization" in request.headers for request in server.seen("/blob.zip"))


@pytest.mark.parametrize("faults", [[Fault(403)], [Fault(500)] * 4, [Fault(cut=10)] * 8], ids=["403", "500", "drops"])
def test_no_credential_and_no_signed_url_is_ever_shown(server, into, monkeypatch, capsys, caplog, faults):
    monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
    monkeypatch.setenv("VERBOSE", "1")
    server.blob = faults
    with pytest.raises(SourceError) as caught:
        fetch(into)
    shown = capsys.readouterr()
    assert SECRET not in str(caught.value) + shown.out + shown.err + caplog.text
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("dataset", "version"),
    [("x-rays", 2), ("a/b/c", 2), ("owner/", 2), ("../x", 2), ("owner/x y", 2), ("owner/x-rays", 0)],
)
def test_a_name_or_version_that_cannot_be_is_refused_unasked(server, into, dataset, version):
    with pytest.raises(SourceError, match="expected 'owner/name' and a version"):
        kaggle.fetch(dataset, version, into)
    assert server.requests == []


def test_importing_the_module_imports_nothing_of_kaggle_and_says_nothing():
    check = "import sys, pneumo.sources.kaggle; sys.exit(any(m.startswith('kaggle') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
