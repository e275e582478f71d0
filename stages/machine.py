"""machine.json: the processor, libraries and settings that gave the results in metrics/ and scores/.

It is in git beside them and no output of the graph, so that the same results have the same dvc.lock on any processor.
"""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from pneumo import files
from pneumo.models import bundle
from pneumo.params import Runtime

PATH = Path("machine.json")
RESULTS = ("metrics", "scores")
FIELDS = ("vendor_id", "cpu family", "model")  # of /proc/cpuinfo on x86

Processor = dict[str, str | int | None]


def note(runtime: Runtime) -> None:
    """Note this machine, or the one that HEAD names where the results are those of HEAD."""
    if (committed := _committed()) is not None:
        files.write_text(PATH, committed)
        return
    content = {
        "processor": processor(Path("/proc/cpuinfo")),
        "python": platform.python_version(),
        "libraries": bundle.versions() | {name: version(name) for name in ("numpy", "scipy")},
        "runtime": runtime.model_dump(),
    }
    files.write_json(PATH, content)


def processor(cpuinfo: Path) -> Processor:
    """`vendor`, `family` and `model` of the first processor; the last two are None where it is no x86 on Linux."""
    values: dict[str, str] = {}
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            values.setdefault(key.strip(), value.strip())
    if not values.keys() >= set(FIELDS):
        return {"vendor": platform.processor() or platform.machine(), "family": None, "model": None}
    vendor, family, model = (values[field] for field in FIELDS)
    return {"vendor": vendor, "family": int(family), "model": int(model)}


def _committed() -> str | None:
    """machine.json of HEAD; None where the results differ from HEAD's, HEAD has no such file, or there is no git."""
    try:
        if _git("status", "--porcelain", "--untracked-files=all", "--", *RESULTS):
            return None
        return _git("show", f"HEAD:./{PATH}")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, encoding="utf-8", check=True).stdout
