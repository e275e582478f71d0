"""The files of the page."""

import subprocess
import sys
import zipfile

import pytest


@pytest.mark.slow
def test_a_wheel_has_the_page(root, tmp_path):
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--out-dir", tmp_path, root]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("pneumo/web/static/")}
    assert packed == {f"pneumo/web/static/{path.name}" for path in (root / "pneumo/web/static").iterdir()}
