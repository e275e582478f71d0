"""Files of models that params.yaml no longer names: nothing verifies them, so a reader must not meet them unwarned."""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path


def removal(top: Path, paths: Sequence[str]) -> str:
    """One command line that removes `paths`, which are relative to `top`, when it is run there: with git where git
    tracks them.
    """
    words = ["git", "-C", str(top), "ls-files", "-z", "--", *paths]
    listed = subprocess.run(words, capture_output=True, text=True).stdout.split("\0")
    files = {"git rm -q -f --": [path for path in paths if path in listed]}
    files["rm --"] = [path for path in paths if path not in listed]
    return " && ".join(f"{command} {shlex.join(of_it)}" for command, of_it in files.items() if of_it)
