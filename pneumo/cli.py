"""The `pneumo` command. What a subcommand needs is imported when it is called, so that --help is quick."""

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pneumo import __version__
from pneumo.errors import PneumoError, ReviewError

TOP = Path()


def main(words: Sequence[str] | None = None) -> int:
    """Run `words`, by default the command line's. 0: all is well. 1: an error was shown. Bad usage exits with 2.

    `pneumo review` has exit codes of its own, which its --help lists.
    """
    arguments = _parser().parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show an arrow is no reason to fail
            stream.reconfigure(errors="replace", encoding=stream.encoding if stream.isatty() else "utf-8")
    try:
        code = arguments.run(arguments) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return arguments.failed
    except PneumoError as error:
        print(f"error: {error}", file=sys.stderr)
        return arguments.failed


def review(arguments: argparse.Namespace) -> int:
    """Print what differs between two commits and whether it is real; the exit code is the verdict's."""
    from pneumo.review import dvc_diff, page, snapshot
    from pneumo.review.result import EXIT, review

    if arguments.merge_base:
        revision = snapshot.merge_base(TOP, arguments.base, arguments.head or "HEAD")
        base = replace(snapshot.commit(TOP, revision), name=f"the merge base with {arguments.base}")
    else:
        base = snapshot.commit(TOP, arguments.base)
    head = snapshot.commit(TOP, arguments.head) if arguments.head else snapshot.working_tree(TOP)
    if not any("params.yaml" in one.files for one in (base, head)):
        raise ReviewError("neither commit has a params.yaml here: run from the project's top folder")
    running = dvc_diff.start(TOP, base, head, "md" if arguments.format == "markdown" else "json")
    try:
        result = review(base, head)
        render = page.markdown if arguments.format == "markdown" else page.as_json
        text = render(result, {one.command: one.output() for one in running})
    except Exception as error:
        if isinstance(error, PneumoError):
            raise
        traceback.print_exc()  # not the exit status of Python, 1, which would say "worse"
        raise ReviewError("this is a defect of pneumo: please report it with the lines above") from None
    finally:
        dvc_diff.stop(running)
    print(text, end="")
    return EXIT[result.verdict]


def gate(arguments: argparse.Namespace) -> None:
    """Print what holds of the committed results, or stop at the first thing that does not."""
    from pneumo.verification.gate import gate

    for line in gate(TOP):
        print(line)


def verify(arguments: argparse.Namespace) -> None:
    """Recompute the figures of the given folders, or of all, and print what was and what could not be recomputed."""
    from pneumo.verification import tables
    from pneumo.verification.verify import verify

    folders = arguments.folders or _records()
    tally = verify(folders, tables.pages(TOP), TOP, others=bool(arguments.folders))
    done = tally.recomputed
    print(f"{', '.join(map(str, folders))}: {tally.files} files verified")
    print(f"recomputed and the same: {done['scores']:,} scores, {done['figures']:,} figures of metrics/, ", end="")
    print(f"{done['cells']:,} cells of {done['tables']} tables")
    taken = {what: count for what, count in tally.taken.items() if count}
    print(f"not recomputable from scores, taken as they are: {sum(taken.values()) or 'nothing'}")
    for what, count in taken.items():
        print(f"  {count:>4}  {what}")


def tables(arguments: argparse.Namespace) -> None:
    """Rewrite the marked tables of all pages."""
    from pneumo.verification import tables

    for page in tables.pages(TOP):
        if count := tables.write(page, TOP):
            print(f"{page}: {count} tables")


def _records() -> list[Path]:
    """The project itself and the kept results."""
    results = sorted(path for path in (TOP / "results").glob("[!.]*") if path.is_dir())
    return [TOP, *(path for path in results if (path / "scores").is_dir() or (path / "metrics").is_dir())]


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pneumo", description="What the results of this project rest on, and whether two commits differ."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    summary = "say whether the difference between two commits is real"
    command = commands.add_parser(
        "review",
        help=summary,
        description=f"{summary.capitalize()}: a verdict on the chosen model and on every model that both have, paired "
        "intervals and tests over patients, what changed, and the cases whose decision flipped. Commits are read with "
        "git alone: no checkout, no remote. The rules are those of `review` in the params.yaml of BASE, if it has any.",
        epilog="Exit status: 0 better or within noise, 1 worse, 3 not comparable, each of the chosen model; 2 bad "
        "usage, or no review could be made, and the error says why.",
    )
    command.add_argument("base", metavar="BASE", help="a commit, branch or tag")
    command.add_argument("head", metavar="HEAD", nargs="?", help="a commit, branch or tag; by default the working tree")
    command.add_argument(
        "--merge-base", action="store_true", help="compare with the commit where HEAD left BASE, not BASE"
    )
    command.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: %(default)s")
    command.set_defaults(run=review, failed=2)

    summary = "check that the committed results are those of this code and these parameters"
    commands.add_parser(
        "gate",
        help=summary,
        description=f"{summary.capitalize()}: params.yaml is what conf/ composes to, `dvc repro --allow-missing --dry` "
        "has nothing to run, metrics/ follow from scores/, and code, parameters and results are committed. No data are "
        "needed.",
        epilog="Exit status: 0 all of it holds, 1 the first that does not is shown, 2 bad usage.",
    ).set_defaults(run=gate, failed=1)

    summary = "recompute every committed figure from the committed scores"
    command = commands.add_parser(
        "verify",
        help=summary,
        description=f"{summary.capitalize()}: metrics/*.json, scores/*/*.csv and the marked tables of README.md, docs/ "
        "and results/README.md. Nothing is trained, no image is read. Figures in prose are not verified.",
        epilog="Exit status: 0 all figures are the same, 1 the first that differs is shown, 2 bad usage.",
    )
    command.add_argument(
        "folders",
        nargs="*",
        type=_folder,
        metavar="FOLDER",
        help="with params.yaml, metrics/ and scores/; by default the project itself and every folder of results/",
    )
    command.set_defaults(run=verify, failed=1)

    summary = "rewrite the marked tables of README.md, docs/ and results/README.md from metrics/ and scores/"
    commands.add_parser("tables", help=summary, description=f"{summary.capitalize()}.").set_defaults(
        run=tables, failed=1
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
