"""No script of benchmarks/ falls behind the library: mypy checks their calls, and here each is loaded."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

SCRIPTS = sorted(path.stem for path in (Path(__file__).parent.parent / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_benchmark_loads_and_those_with_options_describe_them(name, monkeypatch, capsys):
    script = import_module(f"benchmarks.{name}")
    if not hasattr(script, "argparse"):
        return
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("usage: ")
