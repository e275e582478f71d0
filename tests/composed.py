"""Parameters as conf/ composes them."""

from functools import cache
from pathlib import Path

from pneumo import params
from pneumo.params import Source
from pneumo.verification import gate

ROOT = Path(__file__).parent.parent


@cache
def source(*overrides: str) -> Source:
    """What stage download is given, with `overrides` as -S of `dvc exp run` takes them."""
    data = params.check(gate.compose(ROOT, *overrides), "params.yaml").data
    return Source.model_validate({key: value for key, value in data.model_dump().items() if key in Source.model_fields})
