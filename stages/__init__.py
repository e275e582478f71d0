"""One thin module per DVC stage, run as `python -m stages.NAME`."""

import errno
import gc
import getpass
import os
import shutil
import sys
from importlib.util import find_spec
from inspect import signature

if sys.version_info < (3, 11) or find_spec("pydantic") is None or find_spec("pneumo") is None:
    sys.exit(
        "error: " + sys.executable + " is not the project's Python: run `source .venv/bin/activate` first, or use make"
    )

import time
from collections.abc import Callable
from pathlib import Path

from pneumo.errors import PneumoError
from stages import runlog

SCRAP = 65_536  # bytes free on a disk that is full: too few for the next file


def run(main: Callable[..., None]) -> None:
    """Call `main` with the command line's arguments; an error that the user can mend is shown without a traceback."""
    try:
        signature(main).bind(*sys.argv[1:])
    except TypeError as error:
        sys.exit(f"error: {error}; dvc.yaml shows how each stage is called")
    _name_the_user()
    gc.set_threshold(100_000, 20, 20)  # imports of torch and timm make much that stays: a second of looking through it
    started = time.monotonic()
    try:
        main(*sys.argv[1:])
    except PneumoError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if not _disk_is_full(error):
            raise
        free = shutil.disk_usage(Path.cwd()).free
        sys.exit(
            f"error: the disk of {Path.cwd()} is full, with {free:,} bytes free ({error}). Make room there and run the "
            "command again: what is finished is kept"
        )
    if _first_process():
        runlog.add(runlog.PATH, " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]), time.monotonic() - started)
    gc.freeze()  # and another second at the end of the process


def _first_process() -> bool:
    """Of those that srun, torchrun or Lightning started for this stage. The first name that is set counts."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next(filter(None, ranks), "0") == "0"


def _disk_is_full(error: Exception) -> bool:
    """torch and safetensors raise errors of their own, without the system's number, where nothing can be written."""
    number = getattr(error, "errno", None)
    return number in (errno.ENOSPC, errno.EDQUOT) or shutil.disk_usage(Path.cwd()).free < SCRAP


def _name_the_user() -> None:
    """In a container the user may have a number and no name, which torch asks for when it is imported."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
