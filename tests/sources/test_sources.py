"""A source is a module of pneumo/sources with `obtain`, and a line in params.SOURCES."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest
from listed import contents

from pneumo import params, sources
from pneumo.errors import SourceError
from pneumo.params import Data, Inputs, Source

NOTHING = dict.fromkeys(set(Source.model_fields) - {"source"}) | {
    "inputs": Inputs(images="stages/download.py", table="stages/download.py")
}


@pytest.mark.parametrize("name", params.SOURCES)
def test_every_source_has_a_module_and_needs_keys_that_exist(name, root):
    module = import_module(f"pneumo.sources.{name}")
    asked = [*inspect.signature(sources.obtain).parameters][:-1]  # without the section that errors name
    assert [*inspect.signature(module.obtain).parameters] == asked
    assert set(params.SOURCES[name]) <= set(Data.model_fields)
    assert (root / f"conf/data/{name}.yaml").is_file()


def test_the_source_that_data_names_is_asked(tmp_path):
    phantom = {"seed": 0, "size": 64, "images": {"test": {"normal": 2}}}
    drawn = sources.obtain(Source(**NOTHING | {"source": "phantom", "phantom": phantom}), tmp_path / "raw", tmp_path)
    assert drawn["test/NORMAL"] == len(contents(tmp_path / "raw")) == 2
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["images.csv", "images.zip", "left_out.csv"]
    archive = Source(
        **NOTHING | {"source": "archive", "inputs": Inputs(images="nothing.zip", table="stages/download.py")}
    )
    with pytest.raises(SourceError, match=r"nothing\.zip: expected a zip file or a folder"):
        sources.obtain(archive, tmp_path / "raw", tmp_path)
    assert len(contents(tmp_path / "raw")) == 2, "what there was stays"
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_no_source_waits_for_the_libraries_of_another(root):
    code = """
import sys
import stages.download, pneumo.sources.archive
sys.exit(" ".join({"numpy", "PIL", "requests", "kagglesdk", "rich"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
