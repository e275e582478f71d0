"""Write the selected model as others can use it, with ONNX -> models/best/."""

from pathlib import Path

from pneumo import params
from pneumo.models import runtime
from pneumo.params import FilmViews, Runtime, Section, Sourced
from stages import run


class Params(Section):
    data: Sourced
    preprocess: FilmViews
    runtime: Runtime


def main() -> None:
    config = params.load(Params)
    runtime.fix(threads=config.runtime.threads, cpu_isa=config.runtime.cpu_isa)
    from pneumo.export.export import export  # imports torch, which reads what runtime.fix has set

    exported = export(
        Path("models/selected"),
        Path("data/processed"),
        Path("models/best"),
        film_views=config.preprocess.views,
        phantoms=config.data.source == "phantom",
    )
    print(f"models/best/model.onnx: the logits of {exported.references} reference inputs are those of torch")
    if exported.without_heat:
        print(f"models/best/model.onnx gives no heat map: {exported.without_heat}")


if __name__ == "__main__":
    run(main)
