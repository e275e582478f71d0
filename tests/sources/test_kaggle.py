"""What arrives from Kaggle, what is refused, and who is told which secret."""

import json
import subprocess
import sys
import traceback
from base64 import b64encode

import kagglesdk.kaggle_env
import pytest
from kaggle_server import DOWNLOAD, SECRET, WHOLE, Fault, fetch, json_error, refuse

from pneumo.errors import SourceError
from pneumo.sources import kaggle


def test_the_zip_of_the_wanted_version_arrives_and_nothing_else(server, into, capsys):
    path = fetch(into)
    assert path.read_bytes() == WHOLE
    assert list(into.iterdir()) == [path]
    asked = json.loads(server.seen(DOWNLOAD)[0].body)
    assert asked == {"ownerSlug": "owner", "datasetSlug": "x-rays", "datasetVersionNumber": 2}
    assert {request.headers["Accept-Encoding"] for request in server.requests} == {"identity"}
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    assert f"{len(WHOLE):,}" in line
    assert str(into) in line
    assert not shown.err, "a bar needs a terminal"


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


def test_no_server_at_all_is_an_error_that_names_the_way_out(server, into, monkeypatch):
    endpoints = kagglesdk.kaggle_env._env_to_endpoint
    monkeypatch.setitem(endpoints, kagglesdk.kaggle_env.KaggleEnv.PROD, "http://127.0.0.1:9")
    refuse(into, "gave up after 2 attempts", "-S data=archive -S data.path=", attempts=2)


@pytest.mark.parametrize(
    ("fault", "token", "words"),
    [
        (Fault(401), None, ["401", "anonymous", "access_token", "KAGGLE_API_TOKEN"]),
        (Fault(403), None, ["403", "anonymous", "access_token"]),
        (json_error(403, 403), None, ["anonymous", "access_token"]),
        (json_error(200, 403), None, ["anonymous", "access_token"]),
        (Fault(401), SECRET, ["401", "does not accept these credentials"]),
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


def written(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


KEY = json.dumps({"username": "me", "key": SECRET})


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({".kaggle/access_token": f"{SECRET}\n{SECRET}\n"}, ["access_token", "one line"], id="two lines"),
        pytest.param({".kaggle/access_token": SECRET.encode("utf-16")}, ["access_token"], id="UTF-16 token"),
        pytest.param({".kaggle/kaggle.json": KEY[:-5]}, ["kaggle.json", "not JSON"], id="broken JSON"),
        pytest.param({".kaggle/kaggle.json": f'["{SECRET}"]'}, ["kaggle.json", "expected {"], id="no object"),
        pytest.param({".kaggle/kaggle.json": f'{{"key": "{SECRET}"}}'}, ["kaggle.json", "expected {"], id="half"),
        pytest.param(
            {".kaggle/credentials.json": json.dumps(LOGIN | {"access_token_expiration": SECRET})},
            ["credentials.json", "kaggle auth login"],
            id="bad date",
        ),
        pytest.param({".kaggle/credentials.json": f'["{SECRET}"]'}, ["credentials.json"], id="no login"),
        pytest.param({".kaggle/credentials.json": "{"}, ["credentials.json"], id="broken login"),
    ],
)
def test_credentials_that_cannot_be_used_are_named_and_not_shown(server, into, tmp_path, capsys, files, words):
    written(tmp_path / "home", files)
    with pytest.raises(SourceError) as caught:
        fetch(into)
    for word in ["cannot be used", "Repair or remove", *words]:
        assert word in str(caught.value)
    shown = capsys.readouterr()
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + shown.out + shown.err
    assert server.requests == []


@pytest.mark.parametrize(
    ("environment", "file", "content"),
    [
        pytest.param({}, "home/.kaggle/kaggle.json", KEY.encode("utf-8-sig"), id="BOM"),
        pytest.param({}, "home/.kaggle/kaggle.json", KEY.encode("utf-16"), id="UTF-16"),
        pytest.param({}, "home/.config/kaggle/kaggle.json", KEY.encode(), id="config folder"),
        pytest.param({"CONFIG_DIR": "elsewhere"}, "elsewhere/kaggle.json", KEY.encode(), id="KAGGLE_CONFIG_DIR"),
    ],
)
def test_a_key_is_found_wherever_kaggles_client_looks(server, into, monkeypatch, tmp_path, environment, file, content):
    for name, value in environment.items():
        monkeypatch.setenv(f"KAGGLE_{name}", str(tmp_path / value))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    written(tmp_path, {file: content})
    fetch(into)
    assert {request.headers.get("Authorization") for request in server.seen(DOWNLOAD)} == {basic("me", SECRET)}


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
