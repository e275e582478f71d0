"""What pneumo.models.runtime does to a process."""

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource, sys
from pneumo.models import runtime
if sys.argv[1] == "kept":
    runtime.keep_memory()
def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
import numpy as np
for _ in range(3):
    before = page_faults()
    np.ones(1 << 26, np.uint8)  # 64 MiB, freed at once
print(page_faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back at once")
def test_memory_is_kept_for_the_next_tensor():
    faults = {
        way: int(subprocess.run([sys.executable, "-c", PAGES, way], capture_output=True, text=True, check=True).stdout)
        for way in ("plain", "kept")
    }
    assert faults["kept"] < 16 < faults["plain"], "32 of them where pages have 2 MiB"
