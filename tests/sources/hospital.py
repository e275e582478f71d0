"""A folder of images and a table beside it, for the tests of tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from composed import source

from pneumo import sources
from pneumo.data import listing
from pneumo.errors import SourceError
from pneumo.params import Inputs, Source

ROWS = ["image,label,patient", "a.png,Pneumonia,1", "b.png,No Finding,2"]
RULES = ("data.labels.pneumonia=[Pneumonia]", "data.labels.normal=[No Finding]")


class Hospital:
    """A folder of images and a table beside it, and what `data=table` makes of them."""

    def __init__(self, top: Path) -> None:
        self.images, self.table, self.raw = top / "images", top / "labels.csv", top / "raw"
        self.images.mkdir()
        self.film("a.png", "b.png")
        self.rows(*ROWS)

    def film(self, *names: str) -> None:
        for name in names:
            (self.images / name).parent.mkdir(parents=True, exist_ok=True)
            (self.images / name).write_text(f"film {name}")

    def rows(self, *lines: str, encoding: str = "utf-8") -> None:
        self.table.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))

    def obtain(self, *overrides: str) -> dict[str, Any]:
        """Image -> its row of images.csv."""
        sources.obtain(self.source(*overrides), self.raw, self.raw)
        return {image.image: image for image in listing.read(self.raw)}

    def source(self, *overrides: str) -> Source:
        given = [override.partition("=")[0] for override in overrides]
        rules = [rule for rule in RULES if rule.partition("=")[0] not in given]
        composed = source("data=table", "data.path=tests", "data.table=pyproject.toml", *rules, *overrides)
        return composed.model_copy(update={"inputs": Inputs(images=str(self.images), table=str(self.table))})

    def left_out(self) -> list[tuple[str, str]]:
        lines = (self.raw / "left_out.csv").read_text().splitlines()[1:]
        return [tuple(line.split(",", 1)) for line in lines]

    def refusal(self, rows: Sequence[str], *overrides: str) -> str:
        """The error with which a table of `rows` stops the run. Beside the images is list.txt, which names z.png."""
        self.film("list.txt")
        (self.images / "list.txt").write_text("z.png\n")
        self.rows(*rows)
        with pytest.raises(SourceError) as caught:
            self.obtain(*overrides)
        return str(caught.value)
