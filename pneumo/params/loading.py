"""Reading params.yaml, and giving a stage its share of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import ValidationError

from pneumo.errors import ParamsError
from pneumo.params.data import External, Phantom, Site
from pneumo.params.evaluation import Ensemble
from pneumo.params.project import Params
from pneumo.params.training import BackboneFile
from pneumo.params.values import Section

REPLICATES = {"replicates", "ensemble_replicates"}
StageParams = TypeVar("StageParams", bound=Section)


def load(stage: type[StageParams], name: str | None = None, path: Path = Path("params.yaml")) -> StageParams:
    """What `stage` declares of the parameters, all of which are checked. `name`: of what it is run for: a backbone, an
    ensemble or, where it declares replicates, one of these.

    Raises ParamsError like `read`, and where params.yaml has no backbone or ensemble `name`.
    """
    params = read(path)
    values = {}
    hints = get_type_hints(stage)
    candidate = name
    for section in _replicated(hints):
        candidate = _named(getattr(params, section), section, name, path).candidate
    for section, kind in hints.items():
        value = getattr(params, section)
        if _is_section(kind) and isinstance(value, dict):
            value = _named(value, section, name if section in _replicated(hints) else candidate, path)
        if _is_section(kind):
            value = kind.model_construct(**{key: getattr(value, key) for key in kind.model_fields})
        values[section] = value
    return stage.model_construct(**values)


def _replicated(hints: Mapping[str, Any]) -> set[str]:
    """The section whose one entry says which replicate the stage is for, if there is one."""
    return {section for section in REPLICATES & set(hints) if _is_section(hints[section])}


def _named(section: Mapping[str, Any], title: str, name: str | None, path: Path) -> Any:
    if name is None or name not in section:
        raise ParamsError(
            f"{path} has no {title}.{name}; it has {', '.join(section) or 'none'}. "
            "conf/model/ lists what `dvc exp run -S model=NAME` can choose."
        )
    return section[name]


def declared(stage: type[Section]) -> list[str]:
    """The parameters that `load` gives to `stage`, as dvc.yaml has to list them."""
    keys = []
    hints = get_type_hints(stage)
    for section, kind in hints.items():
        whole = Params.model_fields[section].annotation
        key = section
        if _is_section(kind) and not _is_section(whole):
            own = section in _replicated(hints) or not _replicated(hints)
            key, whole = f"{section}.${{{'key' if own else 'item.candidate'}}}", get_args(whole)[1]
        keys += [key] if not _is_section(kind) or kind is whole else [f"{key}.{field}" for field in kind.model_fields]
    return sorted(keys)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def read(path: Path = Path("params.yaml")) -> Params:
    """All parameters, checked.

    Raises ParamsError, which lists every key that is unknown, missing, of the wrong type or out of range.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing: run from the project's top folder") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}. It is composed from conf/ by `dvc exp run`.") from None
    return check(raw, str(path))


def check(raw: Any, where: str) -> Params:
    """`raw` as Params; `where` names it in errors."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [f"{where}: {_line(problem, raw)}" for problem in error.errors()]
        raise ParamsError("\n".join(lines) + "\nChange it in conf/ or with -S key=value.") from None


def _line(problem: Any, raw: Any) -> str:
    place = [part for part in problem["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in place)
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "extra_forbidden":
        known = ", ".join(_siblings(place))
        return f"{key} is not a parameter; expected one of {known}" if known else f"{key} is not a parameter"
    if place[:1] in (["external"], ["sites"]):
        message = message.replace("data.", f"{key}.")  # the same section, under another name
    if message.startswith(key):
        return message
    return f"{key} is {problem['input']!r}; {message}" if key else message


def _siblings(place: list[Any]) -> list[str]:
    section: Any = Params
    for part in place[:-1]:
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        if field is None:
            continue
        kinds = {"model": BackboneFile, "phantom": Phantom, "ensembles": Ensemble, "external": External, "sites": Site}
        section = kinds.get(part, field.annotation) if section is Params or part == "phantom" else field.annotation
    return sorted(section.model_fields) if hasattr(section, "model_fields") else []
