"""What fixes floating-point results, and the device. `fix` has to run before torch is imported."""

import ctypes
import os
import platform
import sys
from typing import TYPE_CHECKING

from pneumo.errors import TrainingError

if TYPE_CHECKING:
    import torch

_ISA = {  # name -> (ATen, oneDNN)
    "sse4.1": ("default", "SSE41"),
    "avx2": ("avx2", "AVX2"),
    "avx512": ("avx512", "AVX512_CORE"),
    "amx": ("avx512", "AVX512_CORE_AMX"),  # for train.precision=bf16-mixed, which is slow without it
}
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MKL = "COMPATIBLE"  # where the processor is not Intel's, MKL ignores the names above and chooses by maker


def fix(*, threads: int, cpu_isa: str) -> None:
    """Pin thread count and instruction set of this process, so that a second run computes the same bytes, and let it
    keep its memory.

    On processors that are not x86-64 the instruction set is left alone. Raises TrainingError once torch is loaded.
    """
    if "torch" in sys.modules:
        raise TrainingError("runtime.fix must run before torch is imported: the libraries read it when they load")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if cpu_isa in _ISA and platform.machine() in ("x86_64", "AMD64"):
        names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR")
        os.environ.update(zip(names, (*_ISA[cpu_isa], _MKL), strict=True))
    keep_memory()


def keep_memory() -> None:
    """Have glibc keep the memory that tensors free, for the next ones.

    By default each tensor above 32 MiB goes back to the kernel, which then clears it page by page for the next: a third
    of the time of a step on a CPU, half of that of an image that is scored (benchmarks/malloc.py). No other C library
    is touched.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def device(accelerator: str) -> "torch.device":
    """`auto`: a GPU where there is one. Raises TrainingError where a GPU was asked for and there is none."""
    import torch  # not before `fix`

    if accelerator == "gpu" and not torch.cuda.is_available():
        raise TrainingError("train.accelerator is gpu, and torch finds none: check the driver, or use auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
