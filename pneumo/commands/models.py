"""Subcommands about models: what they start from, and what they are for."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from pneumo.commands.parsing import TOP, add, address, discard_output, port, rate
from pneumo.errors import ServingError


def weights(arguments: argparse.Namespace) -> None:
    """Print which published weights are here, or get those of the backbones named after `fetch`."""
    from pneumo import weights

    lines = weights.fetch(TOP, arguments.names) if arguments.action else weights.table(TOP)
    for line in lines:
        print(line)


def predict(arguments: argparse.Namespace) -> int:
    """Print the prediction of each image. Returns 1 where one of them has none."""
    from pneumo.serving import heatmap, model, output
    from pneumo.serving.predict import listed, predictions

    asked = arguments.heatmap is not None
    folder = _model(arguments)
    if arguments.sr:
        from pneumo.dicom_sr import write as reports

        reports.prepare(arguments.sr, arguments.images)
    loaded = model.load(folder, device=arguments.device, error_rate=arguments.error_rate, heat=asked)
    heatmaps = heatmap.Folder(arguments.heatmap, arguments.images) if asked else None
    predicted = predictions(loaded, listed(arguments.images, sys.stdin), heatmaps)
    if arguments.sr:
        predicted = reports.reported(loaded, predicted, arguments.sr)
    counted = output.Counted(predicted)
    try:
        output.write(output.lines(loaded, counted, arguments.format, heatmaps=asked), sys.stdout)
    except ServingError:
        discard_output()
        raise
    if not counted.all:
        raise ServingError("standard input names no image: expected the name of a file or folder on each line")
    if counted.failed:
        print(f"{counted.failed:,} of {counted.all:,} images have no prediction", file=sys.stderr)
    return 1 if counted.failed else 0


def export(arguments: argparse.Namespace) -> None:
    """Write the folder for the Hugging Face Hub, and print the next step."""
    from pneumo.hub.export import export

    names = export(_model(arguments), arguments.to, TOP, source=arguments.source)
    size = sum((arguments.to / name).stat().st_size for name in names)
    print(f"{arguments.to}: {len(names)} files, {size / 1e6:.1f} MB. Read README.md, then: ", end="")
    print(f"hf upload USER/NAME {shlex.quote(str(arguments.to))}")


def serve(arguments: argparse.Namespace) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    from pneumo.web.server import serve

    serve(
        _model(arguments),
        host=arguments.host,
        port=arguments.port,
        device=arguments.device,
        error_rate=arguments.error_rate,
    )


def _model(arguments: argparse.Namespace) -> Path:
    """The folder of the model that was named, fetched if it is a registered one; which one that is goes to stderr."""
    from pneumo import registry

    found = registry.resolve(arguments.model)
    if found.origin:
        print(f"model: {found.origin}", file=sys.stderr)
    return found.folder


def _add_weights(commands: Any) -> None:
    command = add(
        commands,
        weights,
        "list the published weights that backbones start from, or get them",
        "for each backbone of conf/model/ what its weights were trained on, their size and licence, and whether they "
        "are on this machine: in the folder of weights (PNEUMO_WEIGHTS, or pneumo/weights in the user's cache), in an "
        "installed package or in the cache of the Hugging Face hub. Every file is checked against the SHA-256 in "
        "conf/model/.",
        "0 listed, or all are here, 1 one is not and the error says how to bring it, 2 bad usage.",
    )
    actions = command.add_subparsers(dest="action", metavar="fetch")
    getting = actions.add_parser("fetch", help="get them before a long run, or on a machine with network")
    getting.add_argument("names", nargs="+", metavar="NAME", help="a backbone of conf/model/")


def _add_predict(commands: Any) -> None:
    command = add(
        commands,
        predict,
        "give the probability of pneumonia for each image",
        "calibrated, with the decision at the model's own threshold. Reads JPEG, PNG and DICOM with the code that "
        "prepared the training images. Needs only the model's folder; for a registered model also git and DVC. Not a "
        "medical device.",
        "0 every image has a prediction, 1 an image has none or the model cannot be used, and the error says why, 2 "
        "bad usage.",
    )
    command.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="a file; a folder, which is searched at any depth; or - to read their names from standard input",
    )
    command.add_argument("--format", choices=("table", "csv", "json", "jsonl"), default="table", help="default: table")
    command.add_argument(
        "--heatmap",
        type=Path,
        metavar="FOLDER",
        help="write there, for each image, a PNG of where the network found evidence for pneumonia",
    )
    command.add_argument(
        "--sr",
        type=Path,
        metavar="FOLDER",
        help="also write a DICOM structured report (TID 1500) for each image into this folder; images must be DICOM",
    )
    _add_model(command)


def _add_serve(commands: Any) -> None:
    command = add(
        commands,
        serve,
        "show predictions on a page in the browser",
        "drop JPEG, PNG or DICOM files on it. Programs POST them to /predict; /docs says how, /health whether the "
        "server is ready, /metrics what it has done. Only this machine can reach it, unless --host says otherwise; "
        "then PNEUMO_TOKEN must be set. No image is written to disk, and nothing about an image is logged. Not a "
        "medical device.",
        "0 stopped by Ctrl-C or SIGTERM, 1 it could not start and the error says why, 2 bad usage.",
    )
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: %(default)s")
    command.add_argument("--port", type=port, default=8000, metavar="PORT", help="default: 8000; 0 takes a free one")
    _add_model(command)


def _add_export(commands: Any) -> None:
    command = add(
        commands,
        export,
        "write the model and its card as a folder for the Hugging Face Hub",
        "weights, model.onnx, model.json, the report's model card with the test results as metadata, licence and "
        "citation. Refused if the figures belong to another model. Uploads nothing.",
        "0 written, 1 refused and the error says why, 2 bad usage.",
    )
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="new, empty, or an earlier export")
    _add_which(command)
    command.add_argument(
        "--source",
        type=address,
        metavar="URL",
        help="where the figures can be checked, such as a commit of the project",
    )


def _add_which(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        default="models/best",
        metavar="MODEL",
        help="a folder (default: %(default)s), or a registered model: NAME@STAGE, NAME@VERSION, or NAME for the newest "
        "version; from another repository GIT-URL#STAGE or GIT-URL#NAME@STAGE (docs/registry.md)",
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    _add_which(command)
    command.add_argument(
        "--error-rate",
        type=rate,
        metavar="RATE",
        help="call the least certain films unsure and leave them to a reader, so that at most this share of the others "
        "was wrong on validation; each model allows a few rates, usually 5%%, 2%% and 1%%",
    )
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="auto, the default, uses a GPU if it can",
    )


def add_to(commands: Any) -> None:
    _add_predict(commands)
    _add_serve(commands)
    _add_export(commands)
    _add_weights(commands)
