"""An exported model and what the project knows of it -> a folder for the Hugging Face Hub."""

import json
from pathlib import Path

from pneumo.errors import HubError
from pneumo.hub import card, config, figures, folder, private
from pneumo.models import bundle
from pneumo.serving import contract
from pneumo.serving import model as serving

ALSO = ("LICENSE", "CITATION.cff")  # of the project
LARGE = ("npz", "onnx", "safetensors")  # with Git LFS
GITATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LARGE)
CHOICE = "choice.json"


def export(best: Path, to: Path, project: Path, *, source: str | None = None) -> list[str]:
    """Write the model in the folder `best` and its card into the folder `to`; returns the names of the files.

    project: has the model's figures, its licence and its citation. source: address where the figures can be checked.
    The same bytes for the same model and project. Raises HubError and BundleError.
    """
    folder.require_free(to)
    if to.resolve().is_relative_to(best.resolve()):
        raise HubError(f"--to {to} is inside the model's own folder: name another one")
    model = serving.load(best)
    copies = _of_the_model(best, model.contract)
    found = figures.read(project, model.contract)
    texts = {
        "README.md": card.render(model, found, source),
        "config.json": _json(config.config(best, model.contract)),
        "preprocessor_config.json": _json(config.preprocessor(model.contract)),
        ".gitattributes": GITATTRIBUTES,
    }
    read = {name: path.read_text(encoding="utf-8") for name, path in copies.items() if name.endswith(".json")}
    private.refuse({figures.CARD: found.card, "config.json": texts["config.json"], **read})
    for name in ALSO:
        if not (project / name).is_file():
            raise HubError(f"{project / name} is missing: run from the project's top folder")
        copies[name] = project / name
    folder.write(to, texts, copies)
    return sorted([*texts, *copies, folder.SUMS])


def _of_the_model(best: Path, about: contract.Contract) -> dict[str, Path]:
    """What `pneumo predict` needs, the weights, whose hashes are checked, and the reason for the choice."""
    homes = [Path("members", name) for name in about.members or ()] or [Path()]
    for home in homes:
        bundle.weights(best / home, bundle.model_json(best / home))
    names = [contract.MODEL, contract.ONNX, contract.REFERENCE, contract.GUARD]
    names += [str(home / name) for home in homes for name in (contract.MODEL, "model.safetensors")]
    names += [CHOICE] if (best / CHOICE).is_file() else []
    return {name: best / name for name in dict.fromkeys(names)}


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
