"""The `pneumo` command. Its subcommands are in pneumo/commands."""

import argparse
import io
import sys
from collections.abc import Sequence

from pneumo import __version__
from pneumo.commands import models, results
from pneumo.commands.parsing import discard_output
from pneumo.errors import PneumoError

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
        discard_output()
        return arguments.failed
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except PneumoError as error:
        print(f"error: {error}", file=sys.stderr)
        return arguments.failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pneumo",
        description="Use a trained model on chest X-rays (predict, serve, export, weights), and compare and check the "
        "results that are in git (review, power, status, verify, tables, gate). Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    models.add_to(commands)
    results.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
