"""Subcommands about committed results."""

import argparse
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from pneumo.commands.parsing import TOP, add, folder, positive
from pneumo.errors import PneumoError, ReviewError


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


def _records() -> list[Path]:
    """The project itself and the folders of results/."""
    results = sorted(path for path in (TOP / "results").glob("[!.]*") if path.is_dir())
    return [TOP, *(path for path in results if (path / "scores").is_dir() or (path / "metrics").is_dir())]


def _add_checks(commands: Any) -> None:
    add(
        commands,
        status,
        "say whether the results in this folder are those of HEAD",
        "which committed files differ, whether the selected model does by more than noise, where the difference comes "
        "from, and how to keep or discard these results; which outputs are not on this machine.",
        "0 whether or not they differ, 1 nothing could be compared and the error says why, 2 bad usage.",
    )
    command = add(
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
        type=folder,
        metavar="FOLDER",
        help="has params.yaml, metrics/ and scores/ (default: the project itself and every folder of results/)",
    )
    add(
        commands,
        tables,
        "rewrite the marked tables of README.md, docs/ and results/README.md",
        "from metrics/ and scores/, each between its markers. Nothing else on the pages changes.",
        "0 all tables are written, 1 a marker is wrong or a record cannot be read, 2 bad usage.",
    )
    add(
        commands,
        gate,
        "check that the committed results are from this code and these parameters",
        "params.yaml is what conf/ composes to, `dvc repro --allow-missing --dry` has nothing to run, metrics/ follow "
        "from scores/, and code, parameters and results are committed. Needs no data.",
        "0 all checks pass, 1 one fails and the error says which, 2 bad usage.",
    )


def _add_review(commands: Any) -> None:
    command = add(
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
        type=folder,
        metavar="FOLDER",
        help="has params.yaml, metrics/ and scores/ as the pipeline of HEAD gave them when it was run again: say "
        "whether they are what HEAD has (docs/threat-model.md)",
    )
    command.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: %(default)s")


def _add_power(commands: Any) -> None:
    command = add(
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
    command.add_argument("--difference", type=positive, required=True, metavar="D", help="the difference to be seen")
    command.add_argument("--metric", metavar="METRIC", help="roc_auc, accuracy, ... (default: review.metric)")
    command.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: %(default)s")


def add_to(commands: Any) -> None:
    _add_review(commands)
    _add_power(commands)
    _add_checks(commands)
