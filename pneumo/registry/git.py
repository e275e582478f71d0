"""Git, as a program that never asks anything, and the copies of other repositories' tags in the cache."""

import hashlib
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pneumo.errors import MissingExtra, RegistryError
from pneumo.registry import cache

TIMEOUT = 120  # seconds
TAGS = "+refs/tags/*:refs/tags/*"
# Of whoever started this process, a hook of git perhaps, and about another repository.
OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE")
MISSING = "dvc, which finds and fetches registered models, is not installed: pip install 'pneumo[registry]'"
SILENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}


def work_tree(path: Path) -> Path | None:
    """The top folder of the working tree that `path` is in; None where it is in none, or in a bare repository.

    Raises RegistryError where git refuses to say.
    """
    if not os.path.isdir(path):  # noqa: PTH112  # takes any text, as Path.is_dir does not
        return None
    done = _git("-C", str(path), "rev-parse", "--show-toplevel")
    if done.returncode and "dubious ownership" in done.stderr:
        raise RegistryError(
            f"{path} belongs to another user, and git reads it only after `git config --global --add safe.directory "
            f"{shlex.quote(str(path.resolve()))}`"
        )
    return Path(done.stdout.rstrip("\n")) if done.returncode == 0 and done.stdout.strip() else None


def shown(url: str) -> str:
    """`url` as it may be printed: without the password or token that some have."""
    return re.sub(r"(?<=://)[^/@]+@", "", url)


def mirror(url: str) -> Path:
    """Where the tags of `url` are kept, there or not."""
    return cache.folder() / "repositories" / hashlib.sha256(url.encode()).hexdigest()[:16]


def update(url: str) -> Path:
    """The tags of `url` as they are now, with the files of their commits and no other history. Raises RegistryError."""
    kept = mirror(url)
    with cache.writing(kept.parent), _alone(kept.with_suffix(".lock")):
        if kept.is_dir():
            _fetch(url, kept)
            return kept
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".") as made:
            new = Path(made, "new")
            _git("init", "--quiet", "--template=", str(new))
            _fetch(url, new)
            new.rename(kept)
    return kept


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time: two that fetch into a shallow repository stop each other."""
    try:
        from zc.lockfile import LockError, SimpleLockFile  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra(MISSING) from None
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            lock = SimpleLockFile(str(path))
            break
        except LockError:
            if time.monotonic() > until:
                raise RegistryError(f"another process holds {path}: try again once it has ended") from None
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.close()


def _fetch(url: str, into: Path) -> None:
    options = ("--quiet", "--depth=1", "--prune", "--no-tags", "--no-write-fetch-head")  # nor is the URL written
    # by its very folder: git would take another one around it, and prune the tags of that
    done = _git(f"--git-dir={into / '.git'}", "fetch", *options, "--", url, TAGS)
    if done.returncode == 0:
        return
    reason = _reason(done.stderr)
    if str(into) in reason:
        raise RegistryError(
            f"{into}, where tags are kept, cannot be used ({reason}). Delete that folder, or name another one for all "
            "fetched models: PNEUMO_MODELS=FOLDER"
        )
    raise RegistryError(
        f"{shown(url)} cannot be read ({reason.replace(url, shown(url))}). Check the address, and that "
        "`git ls-remote` reads it without asking for a password; an SSH key or a credential helper makes it so"
    )


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "ssh:"))]
    return ((telling or lines or ["git gave no reason"])[0])[:200]


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in OTHERS}
    command = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *words]
    try:
        return subprocess.run(
            command,
            env={**inherited, **SILENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            start_new_session=True,  # without a terminal, on which ssh would ask
        )
    except FileNotFoundError:
        raise RegistryError("git is not installed, and registered models are found by its tags: install git") from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"fatal: no answer within {TIMEOUT} s")
