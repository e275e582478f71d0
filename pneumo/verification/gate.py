"""Whether the committed results are those of this very code and these very parameters: what a pull request must pass.

Nothing is trained and no data are needed: DVC compares hashes, and what follows from scores is computed again.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pneumo.errors import GateError
from pneumo.verification import record
from pneumo.verification.compare import ABSENT, CODE, differences
from pneumo.verification.verify import Tally, verify_record

COMMITTED = ("dvc.lock", "params.yaml", "metrics", "scores", "reports/plots", "dvc.yaml", "conf", "pneumo", "stages")
NAMED = 5


def gate(top: Path) -> list[str]:
    """What was checked, a line each. Raises GateError or VerifyError with what is wrong first, and the remedy."""
    return [_composed(top), _whole(top), _locked(top), _verified(top), _committed(top)]


def compose(top: Path, *overrides: str) -> dict[str, Any]:
    """What conf/ composes to with `overrides` (-S of `dvc exp run`), as that would write it into params.yaml."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(str((top / "conf").resolve()), version_base=None):
            config = compose("config", list(overrides))
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise GateError(f"conf/ does not compose: {' '.join(str(error).split())}") from None
    return OmegaConf.to_container(config)  # type: ignore[return-value]


def _composed(top: Path) -> str:
    committed = _yaml(top / "params.yaml")
    differ = differences(committed, compose(top))
    if differ:
        lines = [
            f"params.yaml: {key} is {_said(committed_value)}, conf/ composes to {_said(composed_value)}"
            for key, committed_value, composed_value in differ
        ]
        raise GateError(_listed(lines) + "\nChange conf/, then `dvc exp run`, which composes params.yaml, and commit.")
    return f"params.yaml is what conf/ composes to: {len(committed)} sections"


def _whole(top: Path) -> str:
    """DVC passes over a frozen stage, and compares only what both dvc.yaml and dvc.lock list."""
    stages = {name: entry.get("do", entry) for name, entry in _yaml(top / "dvc.yaml")["stages"].items()}
    frozen = [name for name, stage in stages.items() if stage.get("frozen")]
    if frozen:
        raise GateError(f"dvc.yaml: stage {frozen[0]} is frozen, so its results may be of other code: remove `frozen`")
    for entry, locked in _yaml(top / "dvc.lock")["stages"].items():
        stage = stages.get(entry.split("@")[0])
        if stage is None or not _current(top, entry):
            continue
        declared = {dep if isinstance(dep, str) else next(iter(dep)) for dep in stage.get("deps", [])}
        differs = {dep for dep in declared ^ {dep["path"] for dep in locked.get("deps", [])} if dep.startswith(CODE)}
        if differs:
            raise GateError(f"{entry} depends on {min(differs)} in dvc.yaml or dvc.lock, not in both: `dvc repro`")
    return f"dvc.yaml and dvc.lock list the same code: {len(stages)} stages, none frozen"


def _locked(top: Path) -> str:
    done = _dvc(top, "repro", "--allow-missing", "--dry")
    skipped = len(re.findall(r"^Stage '[^']+' didn't change", done.stdout, re.MULTILINE))
    would_run = re.search(r"Running stage|is cached - skipping run", done.stdout)
    if done.returncode == 0 and skipped and not would_run:
        return f"dvc.lock, metrics/ and scores/ are of this code and these parameters: {skipped} stages unchanged"
    reasons = _reasons(top) or [f"dvc repro --dry: {(done.stderr or done.stdout).strip()}"]
    raise GateError(_listed(reasons) + "\nRun `dvc repro` and commit dvc.lock, metrics/, scores/ and reports/plots/.")


def _reasons(top: Path) -> list[str]:
    """What differs from dvc.lock, without what is merely not on this machine."""
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
    return [f"{what} is not that of dvc.lock: {', '.join(stages)}" for what, stages in stages_of.items()]


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


def _verified(top: Path) -> str:
    tally = Tally()
    verify_record(record.read_record(top), tally)
    return f"metrics/ follow from scores/: {tally.recomputed['figures']:,} figures recomputed"


def _committed(top: Path) -> str:
    words = ["git", "-C", str(top), "status", "--porcelain", "--untracked-files=all", "--", *COMMITTED]
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        raise GateError("there is no git on the PATH: install it") from None
    if done.returncode:
        raise GateError(f"git status: {done.stderr.strip()}")
    if done.stdout:
        raise GateError(_listed([f"not committed: {line[3:]}" for line in done.stdout.splitlines()]))
    return "all of it is committed"


def _current(top: Path, entry: str) -> bool:
    """Whether a stage of dvc.lock is of this line-up; the lock keeps those of backbones that were run before."""
    params, name = _yaml(top / "params.yaml"), entry.partition("@")[2]
    return not name or name in params["model"] or name in params["ensembles"]


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise GateError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise GateError(f"{path} holds a {type(content).__name__}; expected a mapping")
    return content


def _dvc(top: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "dvc", *words], cwd=top, capture_output=True, text=True)


def _said(value: Any) -> str:
    return "absent" if value is ABSENT else json.dumps(value, default=str)


def _listed(lines: list[str]) -> str:
    more = [f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return "\n".join([*lines[:NAMED], *more])
