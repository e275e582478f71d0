"""Downloads that break off, stall, are refused for a while, or are offered as something else the next time."""

import time

import pytest
from kaggle_server import DOWNLOAD, SECRET, WHOLE, Fault, fetch, json_error, refuse, zip_of

from pneumo.errors import SourceError
from pneumo.sources import kaggle, resuming
from pneumo.sources.resuming import identity_file

TEMPORARY = {
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
@pytest.mark.parametrize("name", TEMPORARY)
def test_temporary_trouble_is_tried_again(server, into, which, name, capsys):
    getattr(server, which).extend([TEMPORARY[name], TEMPORARY[name]])
    assert fetch(into).read_bytes() == WHOLE
    assert len(server.seen(DOWNLOAD)) == 3
    assert "attempt 2 of 4" in capsys.readouterr().out


def test_a_server_that_hangs_is_left_after_the_time_limit(server, into, monkeypatch):
    monkeypatch.setattr(resuming, "TIMEOUT_S", (0.3, 0.3))
    server.api, server.blob = [Fault(302, {"Location": server.blob_url}, stall_s=1.0)], [Fault(stall_s=1.0)]
    assert fetch(into).read_bytes() == WHOLE
    assert len(server.seen(DOWNLOAD)) == 3


def test_the_wait_that_the_server_asks_for_is_observed(server, into):
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
    start = 300_000 // resuming._CHUNK_BYTES * resuming._CHUNK_BYTES
    span = {"Content-Range": f"bytes {start}-{len(WHOLE) - 1}/{len(WHOLE)}"}
    whole = Fault(200, {"ETag": '"v2"'}, WHOLE)
    server.api = [Fault(200, {"ETag": '"v2"'}, WHOLE, cut=300_000), whole, Fault(206, span, WHOLE[start:])]
    assert fetch(into).read_bytes() == WHOLE
    last = server.requests[-1]
    assert (last.path, last.headers["Range"]) == (DOWNLOAD, f"bytes={start}-")
    assert last.headers["Authorization"] == f"Bearer {SECRET}"
    assert last.body == server.requests[0].body


def test_a_terminal_shows_how_far_it_is(server, into, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    fetch(into)
    assert "600.4/600.4 kB" in capsys.readouterr().err


def test_the_next_call_resumes_what_the_last_one_left(server, into):
    server.blob = [Fault(cut=300_000)]
    message = refuse(into, "bytes are kept", attempts=1)
    (partial,) = into.glob("*.part")
    size = partial.stat().st_size
    assert 0 < size <= 300_000
    assert f"{size:,} bytes are kept" in message
    assert fetch(into).read_bytes() == WHOLE
    assert server.ranges()[-1] == f"bytes={size}-"


def test_a_download_that_was_whole_but_not_yet_accepted_is_not_fetched_again(server, into):
    server.blob = [Fault(cut=300_000)]
    refuse(into, attempts=1)
    (partial,) = into.glob("*.part")
    partial.write_bytes(WHOLE)
    assert fetch(into).read_bytes() == WHOLE
    assert not any(server.ranges())


@pytest.mark.parametrize(
    ("etag", "size", "spoil"),
    [
        pytest.param('"v3"', 200_000, lambda partial: None, id="other ETag"),
        pytest.param('"v2"', 201_000, lambda partial: None, id="other length"),
        pytest.param('"v2"', 200_000, lambda partial: identity_file(partial).unlink(), id="of unknown origin"),
        pytest.param('"v2"', 200_000, lambda partial: partial.write_bytes(bytes(900_000)), id="too long"),
    ],
)
def test_a_partial_file_of_other_content_is_not_resumed(server, into, etag, size, spoil):
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
def test_temporary_trouble_on_a_resume_keeps_what_has_arrived(server, into, status):
    server.blob = [Fault(cut=300_000), None, Fault(status, body=EXPIRED)]
    assert fetch(into).read_bytes() == WHOLE
    ranges = [r for r in server.ranges() if r]
    assert len(ranges) == 2
    assert ranges[0] == ranges[1]


def test_attempts_run_out(server, into):
    server.api = [Fault(500)] * 10
    refuse(into, "500", "gave up after 3 attempts", "-S data=archive -S data.path=", attempts=3)
    assert len(server.seen(DOWNLOAD)) == 3


def test_more_than_the_disk_holds_is_refused_at_once(server, into):
    server.blob = [Fault(headers={"Content-Length": str(10**18)})]
    with pytest.raises(SourceError, match=r"1,000,000,000,000,000,000 bytes free.*make room"):
        fetch(into)
    assert len(server.seen(DOWNLOAD)) == 1
