"""Whether the committed results are from exactly this code and these parameters: what a pull request must pass.

Nothing is trained and no data are needed: DVC compares hashes, and what follows from scores is recomputed.
"""

import hashlib
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pneumo.errors import GateError
from pneumo.record.locks import CODE, locked_files, stage_code
from pneumo.record.parse import read_yaml
from pneumo.record.record import Record
from pneumo.record.tree import Folder
from pneumo.verification.compare import ABSENT, differences
from pneumo.verification.left_over import removal
from pneumo.verification.verify import Tally, verify_record

COMMITTED = (
    "dvc.lock",
    "params.yaml",
    "machine.json",
    "metrics",
    "scores",
    "reports/plots",
    "dvc.yaml",
    "conf",
    "pneumo",
    "stages",
)
NAMED = 5


def gate(top: Path) -> list[str]:
    """What was checked, a line each. Raises GateError, VerifyError or RecordError with the first fault and a remedy."""
    record = Record(Folder(top))
    checks = [_composed(top, record), _nothing_left_over(top, record)]  # before the lock, which has hashes of folders
    return [*checks, _whole(record), _locked(top), _verified(record), _committed(top)]


def compose(top: Path, *overrides: str) -> dict[str, Any]:
    """What conf/ composes to with `overrides` (-S of `dvc exp run`), as that would write it into params.yaml."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        for plugin in sorted((top / "conf/plugins/hydra_plugins").glob("*.py")):
            runpy.run_path(str(plugin))  # Hydra looks for plugins once a process, and only where it first was
        with initialize_config_dir(str((top / "conf").resolve()), version_base=None):
            config = compose("config", list(overrides))
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise GateError(f"conf/ does not compose: {' '.join(str(error).split())}") from None
    return OmegaConf.to_container(config)  # type: ignore[return-value]


def _composed(top: Path, record: Record) -> str:
    differ = [
        (key, committed, composed)
        for key, committed, composed in differences(record.params, compose(top))
        if ".inputs." not in key  # where the files are on this machine
    ]
    if differ:
        lines = [
            f"params.yaml: {key} is {_value(committed)}, conf/ composes to {_value(composed)}"
            for key, committed, composed in differ
        ]
        raise GateError(
            _first(lines) + "\nChange conf/, run `dvc exp run`, which composes params.yaml, and commit what it writes."
        )
    return f"params.yaml is what conf/ composes to: {len(record.params)} sections"


def _whole(record: Record) -> str:
    """DVC skips a frozen stage, and compares only what both dvc.yaml and dvc.lock list."""
    declared = {name: entry.get("do", entry) for name, entry in read_yaml(record.tree, "dvc.yaml")["stages"].items()}
    frozen = [name for name, stage in declared.items() if stage.get("frozen")]
    if frozen:
        raise GateError(
            f"dvc.yaml: stage {frozen[0]} is frozen, so its results may be from other code: remove `frozen`"
        )
    for stage, locked in stage_code(record).items():
        name = stage.split("@")[0]
        if name in declared:
            deps = [dep if isinstance(dep, str) else next(iter(dep)) for dep in declared[name].get("deps", [])]
            differ = {dep for dep in deps if dep.startswith(CODE)} ^ set(locked)
            if differ:
                raise GateError(
                    f"{stage} depends on {min(differ)} in dvc.yaml or in dvc.lock, but not in both: run `dvc repro`"
                )
    _chained(record)
    return f"dvc.yaml and dvc.lock list the same code: {len(declared)} stages, none frozen"


def _chained(record: Record) -> None:
    """What a stage read is what another wrote. Of files that are not on this machine DVC does not compare the two."""
    stages = locked_files(record)
    written = {path: (stage, md5) for stage, (_, outs) in stages.items() for path, md5 in outs.items()}
    for stage, (deps, _) in stages.items():
        for path, md5 in deps.items():
            if path in written and written[path][1] != md5:
                raise GateError(f"dvc.lock: {stage} read another {path} than {written[path][0]} wrote: run `dvc repro`")
            of_folder = _folder_md5(path, {name: of_file for name, (_, of_file) in written.items()})
            if of_folder and of_folder != md5:
                raise GateError(
                    f"dvc.lock: {stage} read another folder {path} than the stages before it wrote: remove what "
                    "earlier runs left there and run `dvc repro`"
                )


def _folder_md5(folder: str, written: Mapping[str, Any]) -> str | None:
    """The hash that DVC gives a folder of these files, path -> md5; None where these are not all known."""
    inside = {path.removeprefix(f"{folder}/"): md5 for path, md5 in written.items() if path.startswith(f"{folder}/")}
    if not inside or any(not isinstance(md5, str) or md5.endswith(".dir") for md5 in inside.values()):
        return None
    listed = json.dumps([{"md5": inside[path], "relpath": path} for path in sorted(inside)])
    return f"{hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest()}.dir"


def _locked(top: Path) -> str:
    done = _dvc(top, "repro", "--allow-missing", "--dry")
    skipped = len(re.findall(r"^Stage '[^']+' didn't change", done.stdout, re.MULTILINE))
    would_run = re.search(r"Running stage|is cached - skipping run", done.stdout)
    if done.returncode == 0 and skipped and not would_run:
        return f"dvc.lock, metrics/ and scores/ are from this code and these parameters: {skipped} stages unchanged"
    reasons = _reasons(top) or [f"dvc repro --dry: {(done.stderr or done.stdout).strip()}"]
    raise GateError(_first(reasons) + "\nRun `dvc repro` and commit dvc.lock, metrics/, scores/ and reports/plots/.")


def _reasons(top: Path) -> list[str]:
    """What differs from dvc.lock, without what is only missing on this machine."""
    done = _dvc(top, "status", "--json")
    try:
        stages = json.loads(done.stdout)
    except ValueError:
        return []
    stages_of: dict[str, list[str]] = {}
    for stage, entries in stages.items():
        for entry in entries:
            for kind, items in entry.items() if isinstance(entry, dict) else [(str(entry), {})]:
                for what in _changed(items) if items else [kind]:
                    stages_of.setdefault(what, []).append(stage)
    return [f"{what} differs from dvc.lock: {', '.join(stages)}" for what, stages in stages_of.items()]


def _changed(items: Any) -> list[str]:
    if not isinstance(items, dict):
        return [str(items)]
    changed = []
    for path, status in items.items():
        if isinstance(status, dict):  # parameters
            changed += [f"{path}: {key}" for key in status]
        elif status in ("modified", "new"):
            changed.append(path)
    return changed


def _verified(record: Record) -> str:
    tally = Tally()
    verify_record(record.tree, tally)
    return f"metrics/ follow from scores/: {tally.recomputed['figures']:,} figures recomputed"


def _nothing_left_over(top: Path, record: Record) -> str:
    """Results of a model that was dropped look like results of this commit to whoever browses it."""
    if record.left_over:
        lines = [f"{path} is left over: params.yaml does not name its model" for path in record.left_over]
        raise GateError(
            f"{_first(lines)}\nRemove what is left over, run what depends on the folders, and commit:\n"
            f"{removal(top, record.left_over)} && dvc repro"
        )
    return "metrics/ and scores/ have the files of the models in params.yaml and no others"


def _committed(top: Path) -> str:
    words = ["git", "-C", str(top), "status", "--porcelain", "--untracked-files=all", "--", *COMMITTED]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise GateError("git is not on the PATH: install it") from None
    if done.returncode:
        raise GateError(f"git status: {done.stderr.strip()}")
    if done.stdout:
        raise GateError(_first([f"not committed: {line[3:]}" for line in done.stdout.splitlines()]))
    return "code, parameters and results are committed"


def _dvc(top: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *words], cwd=top, capture_output=True, text=True)


def _value(value: Any) -> str:
    return "absent" if value is ABSENT else json.dumps(value, default=str)


def _first(lines: list[str]) -> str:
    more = [f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return "\n".join([*lines[:NAMED], *more])
