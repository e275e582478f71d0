"""`pneumo serve` as a process: how it starts, whom it lets in, how it stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from served import png, posted, started, until

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-24-characters"
COMMAND = [sys.executable, "-m", "pneumo.cli", "serve", "--port", "0"]


def refused(*words, **environment):
    """The error of a server that does not start."""
    environment = {name: value for name, value in os.environ.items() if name != "PNEUMO_TOKEN"} | environment
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (("--model", "/"), {}, "model.json is missing"),
        (("--host", "0.0.0.0"), {}, "PNEUMO_TOKEN is not set"),
        (("--host", "::"), {}, "PNEUMO_TOKEN is not set"),
        (("--host", "::"), {"PNEUMO_TOKEN": ""}, "PNEUMO_TOKEN is not set"),
        (("--host", "0.0.0.0"), {"PNEUMO_TOKEN": "short"}, "PNEUMO_TOKEN has 5 characters; expected at least 16"),
        (("--host", "0.0.0.0"), {"PNEUMO_TOKEN": "with spaces in it, many"}, "has spaces or is not all ASCII"),
        (("--host", "no.such.name.invalid"), {}, "is no address of this machine"),
        (("--host", "192.0.2.1"), {"PNEUMO_TOKEN": TOKEN}, "cannot listen at 192.0.2.1"),  # TEST-NET-1
    ],
)
def test_what_keeps_it_from_starting_is_one_line_with_a_remedy(exported, words, environment, message):
    words = words if "--model" in words else ("--model", exported, *words)
    assert message in refused(*words, **environment)


def test_a_port_in_use_is_one_line(exported):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert refused("--model", exported, "--port", port) == (
            f"error: port {port} is in use: name another with --port, or 0 for a free one\n"
        )


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "python_multipart", "prometheus_client"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(exported, package, tmp_path):
    """As an installation of pneumo[predict] is."""
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        f"PathFinder.find_spec = lambda name, *rest: None if name == {package!r} else find(name, *rest)\n"
    )
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ""), str(Path.cwd())])
    message = refused("--model", exported, PYTHONPATH=paths)
    assert message.startswith(f"error: {package.replace('_', '-')}, which pneumo serve needs, is not installed")
    assert message.endswith("pip install 'pneumo[serve]'\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_answers_end_and_the_status_is_0(exported, number):
    with started(exported) as (process, url):
        answers = []
        image = png(0, (1600, 1200))  # large enough to be caught at work
        client = threading.Thread(target=lambda: answers.append(posted(url, *[("film.png", image)] * 30)))
        client.start()
        until(lambda: "pneumo_requests_in_flight 2.0" in httpx.get(f"{url}/metrics").text)
        process.send_signal(number)
        assert process.wait(30) == 0
        client.join()
        assert answers[0].status_code == 200
        assert "Traceback" not in process.stderr.read()


def test_one_line_says_where_it_is_and_what_the_model_is(exported, loaded):
    with started(exported) as (process, url):
        assert httpx.get(f"{url}/health").status_code == 200
        process.terminate()
        out, err = process.communicate(timeout=30)
        assert out == "", "nothing after the first line"
        assert "GET /health 200" in err
    assert url.startswith("http://127.0.0.1:")


OPEN = [("/", 200), ("/docs", 200), ("/static/page.js", 200), ("/health", 200)]
CLOSED = ["/metrics", "/openapi.json", "/nothing"]


def test_with_a_token_only_those_who_have_it_are_answered(exported):
    with started(exported, "--host", "0.0.0.0", PNEUMO_TOKEN=TOKEN) as (_, url):
        url = url.replace("0.0.0.0", "127.0.0.1")
        for path, status in OPEN:
            assert httpx.get(url + path).status_code == status
        for path in CLOSED:
            answer = httpx.get(url + path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        wrong = ["Bearer wrong", "Bearer", "", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN]
        for value in wrong:
            answer = posted(url, ("a.png", png()), headers={"Authorization": value})
            assert (answer.status_code, answer.json()["status"]) == (401, 401), value
        assert httpx.post(f"{url}/predict?token={TOKEN}").status_code == 401, "never in the address"
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{url}/metrics", headers=right).status_code == 200
        answer = posted(url, ("a.png", png()), headers=right | {"Host": "films.example"})
        assert answer.json()[0]["error"] is None
        assert httpx.get(f"{url}/health").json()["token"]


def test_on_this_machine_a_token_is_asked_for_where_one_is_set(exported):
    """So it is behind a proxy, which reaches it over the loopback address."""
    with started(exported, PNEUMO_TOKEN=TOKEN) as (_, url):
        assert httpx.get(f"{url}/metrics").status_code == 401


def test_neither_torch_nor_the_pipeline_is_imported(exported, root):
    script = (
        "import json, sys; from pathlib import Path; from pneumo.serving import model; from pneumo.web import app;"
        "app.application(model.load(Path(sys.argv[1]))); print(json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", script, exported]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert not modules & {"torch", "dvc", "lightning", "pandas", "sklearn", "scipy", "onnx", "matplotlib"}


def test_the_commands_of_the_page(exported, tmp_path, root):
    """As docs/serve.md has them, typed into a shell."""
    lines = [line.strip() for line in (root / "docs/serve.md").read_text().splitlines()]
    export, curl = (next(line for line in lines if line.startswith(start)) for start in ("export ", "curl "))
    token = subprocess.run(["bash", "-c", f"{export}; printenv PNEUMO_TOKEN"], capture_output=True, text=True).stdout
    for name in ("film.dcm", "other.png"):
        (tmp_path / name).write_bytes(png())
    with started(exported, PNEUMO_TOKEN=token.strip()) as (_, url):
        command = f'{curl} -H "Authorization: Bearer {token.strip()}"'.replace("http://127.0.0.1:8000", url)
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [row["image"] for row in json.loads(done.stdout)] == ["film.dcm", "other.png"]


def test_an_answer_on_an_open_connection_does_not_wait_for_an_acknowledgement(address):
    """As it does with Nagle's algorithm, for 40 ms."""
    taken = []
    with httpx.Client() as client:
        for _ in range(20):
            started_at = time.perf_counter()
            client.post(f"{address}/predict", files={"images": ("a.png", png())}).raise_for_status()
            taken.append(time.perf_counter() - started_at)
    assert min(taken) < 0.035
