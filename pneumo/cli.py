"""The `pneumo` command. What a subcommand needs is imported only when it runs, so that --help is quick."""

import argparse
import io
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pneumo import __version__
from pneumo.errors import PneumoError, ReviewError, ServingError

TOP = Path()
INTERRUPTED = 130  # as shells have it: 128 + SIGINT


def main(words: Sequence[str] | None = None) -> int:
    """Run `words`, by default those of the command line. Returns 0, or 1 after an error. Bad usage exits with 2.

    `pneumo review` has exit codes of its own, which its --help lists.
    """
    arguments = _parser().parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show an arrow is no reason to fail
            stream.reconfigure(errors="replace", encoding=stream.encoding if stream.isatty() else "utf-8")
    if isinstance(sys.stdin, io.TextIOWrapper):  # names of files, which need not be text
        sys.stdin.reconfigure(errors="surrogateescape", encoding=sys.getfilesystemencoding())
    try:
        code = arguments.run(arguments) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, `head` perhaps, has closed the pipe
        _discard_output()
        return arguments.failed
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except PneumoError as error:
        print(f"error: {error}", file=sys.stderr)
        return arguments.failed


def review(arguments: argparse.Namespace) -> int:
    """Print what differs between two commits and whether it is real. Returns the exit code of the verdict."""
    from pneumo.review import dvc_diff, page, snapshot
    from pneumo.review.result import review, with_images, with_reproduction

    if arguments.merge_base:
        revision = snapshot.merge_base(TOP, arguments.base, arguments.head or "HEAD")
        base = replace(snapshot.commit(TOP, revision), name=f"the merge base with {arguments.base}")
    else:
        base = snapshot.commit(TOP, arguments.base)
    head = snapshot.commit(TOP, arguments.head) if arguments.head else snapshot.working_tree(TOP)
    if not any(side.has("params.yaml") for side in (base, head)):
        raise ReviewError("neither commit has a params.yaml here: run from the project's top folder")
    for side in (base, head):  # a file that cannot be read stops the review before DVC reads it
        _ = side.record.params, side.record.lock
    running = dvc_diff.start(TOP, base, head, "md" if arguments.format == "markdown" else "json")
    try:
        result = with_images(review(base, head), TOP)
        if arguments.reproduced:
            result = with_reproduction(result, snapshot.reproduced(arguments.reproduced, head))
        render = page.markdown if arguments.format == "markdown" else page.as_json
        text = render(result, {diff.command: diff.output() for diff in running})
    except Exception as error:
        if isinstance(error, PneumoError):
            raise
        traceback.print_exc()
        # Python's own exit status, 1, would mean "worse".
        raise ReviewError("this is a bug in pneumo: please report it with the lines above") from None
    finally:
        dvc_diff.stop(running)
    print(text, end="")
    return result.exit_code


def power(arguments: argparse.Namespace) -> None:
    """Print how small a difference more patients and seeds would show."""
    from pneumo.review import power, snapshot

    base = snapshot.commit(TOP, arguments.base) if arguments.base else snapshot.working_tree(TOP)
    head = None
    if arguments.base:
        head = snapshot.commit(TOP, arguments.head) if arguments.head else snapshot.working_tree(TOP)
    result = power.power(base, head, arguments.difference, arguments.metric)
    print(power.markdown(result) if arguments.format == "markdown" else power.as_json(result), end="")


def status(arguments: argparse.Namespace) -> None:
    """Print whether the results that lie here are those of HEAD, and what to do where they are not."""
    from pneumo.review.status import status

    for line in status(TOP):
        print(line)


def gate(arguments: argparse.Namespace) -> None:
    """Print each check that the committed results pass; the first that fails is an error."""
    from pneumo.verification.gate import gate

    for line in gate(TOP):
        print(line)


def verify(arguments: argparse.Namespace) -> None:
    """Recompute the figures of the given folders, or of all, and print how many could be recomputed."""
    from pneumo.verification import tables
    from pneumo.verification.left_over import removal
    from pneumo.verification.verify import verify

    folders = arguments.folders or _records()
    tally = verify(folders, tables.pages(TOP), TOP, others=bool(arguments.folders))
    done = tally.recomputed
    print(f"{', '.join(map(str, folders))}: {tally.files} files verified")
    print(f"recomputed and identical: {done['scores']:,} scores, {done['figures']:,} figures in metrics/, ", end="")
    print(f"{done['cells']:,} cells of {done['tables']} tables")
    unverified = {kind: count for kind, count in tally.unverified.items() if count}
    print(f"cannot be recomputed from scores: {sum(unverified.values()) or 'nothing'}")
    for kind, count in unverified.items():
        print(f"  {count:>4}  {kind}")
    if tally.left_over:
        print(f"not verified, as params.yaml does not name their models: {len(tally.left_over)} files. To remove them:")
        print(f"  {removal(TOP, tally.left_over)}")


def tables(arguments: argparse.Namespace) -> None:
    """Rewrite the marked tables of all pages, and print how many each has."""
    from pneumo.verification import tables

    for page in tables.pages(TOP):
        if count := tables.write(page, TOP):
            print(f"{page}: {count} tables")


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
        _discard_output()
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


def _discard_output() -> None:
    """Python writes what is left when it exits, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _records() -> list[Path]:
    """The project itself and the folders of results/."""
    results = sorted(path for path in (TOP / "results").glob("[!.]*") if path.is_dir())
    return [TOP, *(path for path in results if (path / "scores").is_dir() or (path / "metrics").is_dir())]


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {text}")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pneumo",
        description="Use a trained model on chest X-rays (predict, serve, export, weights), and compare and check the "
        "results that are in git (review, power, status, verify, tables, gate). Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_predict(commands)
    _add_serve(commands)
    _add_export(commands)
    _add_weights(commands)
    _add_review(commands)
    _add_power(commands)
    _add_checks(commands)
    return parser


def _add_checks(commands: Any) -> None:
    _add(
        commands,
        status,
        "say whether the results in this folder are those of HEAD",
        "which committed files differ, whether the selected model does by more than noise, where the difference comes "
        "from, and how to keep or discard these results; which outputs are not on this machine.",
        "0 whether or not they differ, 1 nothing could be compared and the error says why, 2 bad usage.",
    )
    command = _add(
        commands,
        verify,
        "recompute every committed figure from the committed scores",
        "metrics/*.json, scores/*/*.csv and the marked tables of README.md, docs/ and results/README.md. Trains "
        "nothing and reads no images. Numbers in prose are not verified.",
        "0 all figures agree, 1 one differs and the error says which, 2 bad usage.",
    )
    command.add_argument(
        "folders",
        nargs="*",
        type=_folder,
        metavar="FOLDER",
        help="has params.yaml, metrics/ and scores/ (default: the project itself and every folder of results/)",
    )
    _add(
        commands,
        tables,
        "rewrite the marked tables of README.md, docs/ and results/README.md",
        "from metrics/ and scores/, each between its markers. Nothing else on the pages changes.",
        "0 all tables are written, 1 a marker is wrong or a record cannot be read, 2 bad usage.",
    )
    _add(
        commands,
        gate,
        "check that the committed results are from this code and these parameters",
        "params.yaml is what conf/ composes to, `dvc repro --allow-missing --dry` has nothing to run, metrics/ follow "
        "from scores/, and code, parameters and results are committed. Needs no data.",
        "0 all checks pass, 1 one fails and the error says which, 2 bad usage.",
    )


def _add_review(commands: Any) -> None:
    command = _add(
        commands,
        review,
        "say whether the difference between two commits is real",
        "a verdict on the selected model and on every model that both have, with intervals and tests over patients and "
        "seeds, what changed, the images that were added, removed or relabelled, and the cases whose decision "
        "flipped. Reads commits with git, without a checkout; where the images differ, also their manifests from "
        "data/, DVC's cache or the remote that BASE names. The rules are in section `review` of params.yaml; those of "
        "BASE apply if it has any.",
        "for the selected model 0 better, not worse or within noise, 1 worse, 3 not comparable; 4 not reproduced; 2 "
        "bad usage, or no review was possible and the error says why.",
        failed=2,
    )
    command.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    command.add_argument("head", metavar="HEAD", nargs="?", help="a commit, branch or tag (default: the working tree)")
    command.add_argument(
        "--merge-base",
        action="store_true",
        help="compare with the commit where HEAD branched off from BASE, not with BASE itself",
    )
    command.add_argument(
        "--reproduced",
        type=_folder,
        metavar="FOLDER",
        help="has params.yaml, metrics/ and scores/ as the pipeline of HEAD gave them when it was run again: say "
        "whether they are what HEAD has (docs/threat-model.md)",
    )
    command.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: %(default)s")


def _add_power(commands: Any) -> None:
    command = _add(
        commands,
        power,
        "say how many patients and seeds would show a difference",
        "from what patients and seeds do to the selected models of BASE and HEAD: the smallest difference that 80 % of "
        "comparisons would find, for more patients and more seeds, and the patients needed for a given difference. "
        "Reads commits with git, like `review`.",
        "0 printed, 1 the models cannot be read or compared and the error says why, 2 bad usage.",
    )
    command.add_argument(
        "base",
        metavar="BASE",
        nargs="?",
        help="a commit, branch or tag (default: the working tree, its selected model and the best other one)",
    )
    command.add_argument("head", metavar="HEAD", nargs="?", help="a commit, branch or tag (default: the working tree)")
    command.add_argument("--difference", type=_positive, required=True, metavar="D", help="the difference to be seen")
    command.add_argument("--metric", metavar="METRIC", help="roc_auc, accuracy, ... (default: review.metric)")
    command.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: %(default)s")


def _add_weights(commands: Any) -> None:
    command = _add(
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
    command = _add(
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
    command = _add(
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
    command.add_argument("--port", type=_port, default=8000, metavar="PORT", help="default: 8000; 0 takes a free one")
    _add_model(command)


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
        type=_rate,
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


def _rate(text: str) -> str:
    """`5%` for 0.05, as models have it."""
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"expected a share of errors, such as 5% or 0.05, not {text}")
    return f"{100 * share:g}%"


def _add_export(commands: Any) -> None:
    command = _add(
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
        type=_address,
        metavar="URL",
        help="where the figures can be checked, such as a commit of the project",
    )


def _address(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError(f"expected an address that starts with https://, not {text}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, not {text}")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, not {text}")
    return value


def _add(
    commands: Any, run: Callable[..., int | None], summary: str, details: str, status: str, failed: int = 1
) -> argparse.ArgumentParser:
    """The command named like `run`. `status`: what its exit codes mean; `failed`: the one after an error."""
    description = f"{summary[0].upper()}{summary[1:]}: {details}"
    command: argparse.ArgumentParser = commands.add_parser(
        run.__name__, help=summary, description=description, epilog=f"Exit status: {status}"
    )
    command.set_defaults(run=run, failed=failed)
    return command


if __name__ == "__main__":
    sys.exit(main())
