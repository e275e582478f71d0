"""The manifest of a commit: from data/, from DVC's cache or from the remote, whichever has it.

A pull request may name any hash and any remote. So content counts only if its SHA-256 is the one that the commit's own
metrics/data.json has, and a remote is asked only where .dvc/ is as base has it. `dvc.api` with a revision would not
do: it takes the remote from that revision's .dvc/config.
"""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo.data import manifest
from pneumo.errors import ReviewError
from pneumo.record.locks import locked_files
from pneumo.review import snapshot
from pneumo.review.snapshot import Snapshot

FOLDER, NAME = "data/processed", "manifest.csv"
LARGEST = 2**28  # bytes; of a million images it has some 200 million
FOLDER_HASH = re.compile(r"[0-9a-f]{32}\.dir")
FILE_HASH = re.compile(r"[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")
CREDENTIALS = re.compile(r"//[^/@\s]*@")


def read(top: Path, commit: Snapshot, base: Snapshot) -> pd.DataFrame:
    """The manifest of `commit`. Raises ReviewError where it cannot be had, ManifestError where it is malformed."""
    expected = commit.record.data.get("manifest_sha256")
    if not isinstance(expected, str) or not SHA256.fullmatch(expected):
        raise ReviewError(f"{commit.where('metrics/data.json')} has no manifest_sha256 to know its manifest by")
    return manifest.parse(_content(top, commit, base, expected), f"the manifest of {commit.label}")


def _content(top: Path, commit: Snapshot, base: Snapshot, expected: str) -> bytes:
    path = top / FOLDER / NAME
    if path.is_file():
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == expected:
            return content
    folder = locked_files(commit.record).get("preprocess", ({}, {}))[1].get(FOLDER)
    if not isinstance(folder, str) or not FOLDER_HASH.fullmatch(folder):
        raise ReviewError(f"{commit.where('dvc.lock')} has no hash of {FOLDER}: {commit.remedy('dvc.lock')}")
    return _stored(top, folder, expected, commit, base)


def _stored(top: Path, folder: str, expected: str, commit: Snapshot, base: Snapshot) -> bytes:
    """From DVC's cache, or else from the remote."""
    from dvc.repo import Repo

    problems = []
    try:
        with Repo(str(top)) as repo:
            stores: dict[str, Callable[[], Any]] = {
                "DVC's cache": lambda: repo.cache.local,
                "the remote": lambda: _remote(repo, base),
            }
            for name, store in stores.items():
                try:
                    content = _manifest_in(store(), folder)
                except FileNotFoundError:
                    problems.append(f"{name} lacks it")
                except Exception as error:  # whatever a damaged object, DVC or the client of a cloud raises
                    problems.append(f"{name}: {_short(error)}")
                else:
                    if hashlib.sha256(content).hexdigest() == expected:
                        return content
                    problems.append(f"{name} has one whose SHA-256 is not that of {commit.where('metrics/data.json')}")
    except Exception as error:  # no project of DVC, or a broken .dvc/config
        problems.append(f"DVC cannot be asked: {_short(error)}")
    raise ReviewError(
        f"the manifest of {commit.label} cannot be had ({'; '.join(problems)}): run `dvc push` where the pipeline of "
        "that commit ran, and here `dvc fetch --all-commits preprocess`"
    )


def _remote(repo: Any, base: Snapshot) -> Any:
    """The default remote. Raises ReviewError where somebody other than base may have named it."""
    if snapshot.differs(Path(repo.root_dir), str(base.commit), ".dvc"):
        raise ReviewError(
            "not asked, because .dvc/ here is not as in base, and a pull request must not choose from where to read"
        )
    return repo.cloud.get_remote_odb(command="pneumo review")


def _manifest_in(store: Any, folder: str) -> bytes:
    """The manifest in the output of DVC with the hash `folder`. Raises whatever the file system of `store` raises."""
    listed = json.loads(_bytes(store, folder))
    (file_hash,) = (entry["md5"] for entry in listed if entry["relpath"] == NAME)
    if not FILE_HASH.fullmatch(file_hash):
        raise ReviewError(f"{folder} lists no hash of {NAME}")
    return _bytes(store, file_hash)


def _bytes(store: Any, name: str) -> bytes:
    with store.fs.open(store.oid_to_path(name), "rb") as file:
        content: bytes = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ReviewError(f"{name} is larger than {LARGEST:,} bytes")
    return content


def _short(error: Exception) -> str:
    """Its first line, without what may be a password in an address."""
    first = (str(error).strip().splitlines() or [""])[0]
    return CREDENTIALS.sub("//", first or type(error).__name__)[:200]
