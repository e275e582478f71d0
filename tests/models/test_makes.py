"""The same bytes on processors of different makers, as far as one machine can show it.

MKL asks who made the processor. Answered "Intel" on any machine, it takes the branches that it has for Intel's: with
MKL_CBWR=AVX2 they gave the digests that qemu 7.2 computes under `-cpu Haswell`, in all operations that were compared
(docs/decisions.md). Neither is an Intel processor.
"""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="MKL, and its symbols"),
]
SCRIPT = Path(__file__).with_name("small_training.py")
CLAIM = "int mkl_serv_intel_cpu(void) { return 1; }\nint mkl_serv_intel_cpu_true(void) { return 1; }\n"
# torch -> where -> digest of small_training.py with runtime.cpu_isa=avx2
DIGESTS = {
    "2.13.0": {
        "AMD, family 25, model 1": "ede2900992e4c985",
        "AMD, family 25, model 1, MKL told that it is Intel's": "ede2900992e4c985",
    }
}
NAMES = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"}


def digest(cpu_isa: str, **environment: str) -> str:
    words = [sys.executable, str(SCRIPT), cpu_isa]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def as_intel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that, preloaded, tells MKL that an Intel processor is at work."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("claim")
    (folder / "claim.c").write_text(CLAIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "claim.so", "claim.c"], cwd=folder, check=True)
    return str(folder / "claim.so")


def test_a_small_training_run_gives_the_bytes_of_other_processors():
    known = set(DIGESTS.get(version("torch"), {}).values())
    if not known:
        pytest.skip("no digests of this version of torch: add them to DIGESTS")
    made = digest("avx2")
    if {made} != known and "AuthenticAMD" not in Path("/proc/cpuinfo").read_text():
        pytest.skip(f"this make of processor, of which no digest is known, gives {made}: add it to DIGESTS")
    assert {made} == known


def test_it_gives_the_same_bytes_where_mkl_sees_another_maker(as_intel):
    assert digest("avx2", LD_PRELOAD=as_intel) == digest("avx2")


def test_named_by_its_instruction_set_mkl_follows_the_maker(as_intel):
    """Why runtime.fix does not name it; on an Intel processor both are the same."""
    if "GenuineIntel" in Path("/proc/cpuinfo").read_text():
        pytest.skip("an Intel processor")
    assert digest("native", LD_PRELOAD=as_intel, **NAMES) != digest("native", **NAMES)
