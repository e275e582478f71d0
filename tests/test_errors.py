"""Overrides in error messages: pasted into a shell, they give Hydra and DVC the very value that was meant."""

import shlex
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import get_hydra_sweeps
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from pneumo.errors import override

SIGNS = st.sampled_from("\\'\"${}[](),=~&# :.*;|<>!`")
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_ /.+%*@?|(){}\[\]:=,\\-]*", fullmatch=True).filter(
    lambda text: text == text.strip() and text.lower() not in ("true", "false", "null", "nan", "inf")
)
TEXT = st.text(st.one_of(SIGNS, st.characters(exclude_categories=["Cs", "Cc"]))).filter(lambda text: "${" not in text)


def pasted(text: str) -> Any:
    """The value that params.yaml has after `dvc exp run` was given `text`: one value, not a sweep."""
    flag, word = shlex.split(text)
    assert flag == "-S"
    (combination,) = get_hydra_sweeps({"params.yaml": [word]})
    (parsed,) = OverridesParser.create().parse_overrides(combination["params.yaml"])
    config = OmegaConf.create({"data": {"path": None}})
    OmegaConf.update(config, parsed.key_or_group, parsed.value())
    OmegaConf.resolve(config)
    return yaml.safe_load(OmegaConf.to_yaml(config))["data"]["path"]


@given(TEXT)
def test_any_text_arrives_as_it_was(text):
    assert pasted(override("data.path", text)) == text


@given(st.lists(TEXT))
def test_any_list_arrives_as_it_was(texts):
    assert pasted(override("data.path", texts)) == texts


@given(st.dictionaries(KEYS, TEXT | st.lists(TEXT, max_size=3), max_size=3))
@settings(deadline=None)
def test_any_mapping_arrives_as_it_was(texts):
    assert pasted(override("data.path", texts)) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("/where/chest-xray.zip", "-S data.path=/where/chest-xray.zip"),
        ("/films (1)/a.zip", "-S 'data.path=\"/films (1)/a.zip\"'"),
        ("~/films", "-S 'data.path=\"~/films\"'"),
        ("a,b", "-S 'data.path=\"a,b\"'"),
        ("it's", "-S 'data.path=\"it'\"'\"'s\"'"),
        ("12", "-S 'data.path=\"12\"'"),
        ("Null", "-S 'data.path=\"Null\"'"),
        ("", "-S 'data.path=\"\"'"),
        (
            ["test/NORMAL/IM-0117-0001 (1).jpeg", "train/NORMAL/b.jpeg"],
            "-S 'data.path=[\"test/NORMAL/IM-0117-0001 (1).jpeg\",train/NORMAL/b.jpeg]'",
        ),
        ([], "-S 'data.path=[]'"),
        ({"Finding Labels": ["1", "No Finding"]}, '-S \'data.path={Finding\\ Labels: ["1","No Finding"]}\''),
    ],
)
def test_quotes_are_used_where_they_are_needed(value, text):
    assert override("data.path", value) == text
    assert pasted(text) == value
