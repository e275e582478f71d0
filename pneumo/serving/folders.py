"""Folders that predict writes to."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pneumo.errors import ServingError


def prepare(option: str, folder: Path, searched: Iterable[str] = ()) -> None:
    """Make `folder`, which `option` names, and try whether it can be written to.

    Raises ServingError where it cannot, and where it lies in one of the `searched` folders: what is written there would
    be taken for films.
    """
    for name in searched:
        if os.path.isdir(name) and folder.resolve().is_relative_to(Path(name).resolve()):  # noqa: PTH112
            raise ServingError(
                f"{option} {folder} lies in {name}, which is searched for films: name a folder outside it"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except FileExistsError:
        raise ServingError(f"{option} {folder} is a file: name a folder") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ServingError(f"{option} {folder} cannot be written to: {reason}. Name another folder") from None
