"""What the parsers of all subcommands share: how one is added, and kinds of arguments."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOP = Path()  # of the project: the current folder


def add(
    commands: Any, run: Callable[..., int | None], summary: str, details: str, status: str, failed: int = 1
) -> argparse.ArgumentParser:
    """The command named like `run`. `status`: what its exit codes mean; `failed`: the one after an error."""
    description = f"{summary[0].upper()}{summary[1:]}: {details}"
    command: argparse.ArgumentParser = commands.add_parser(
        run.__name__, help=summary, description=description, epilog=f"Exit status: {status}"
    )
    command.set_defaults(run=run, failed=failed)
    return command


def folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {text}")
    return Path(text)


def rate(text: str) -> str:
    """`5%` for 0.05, as models have it."""
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"expected a share of errors, such as 5% or 0.05, not {text}")
    return f"{100 * share:g}%"


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, not {text}")
    return value


def address(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError(f"expected an address that starts with https://, not {text}")
    return text


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, not {text}")
    return int(text)


def discard_output() -> None:
    """Python writes what is left when it exits, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
