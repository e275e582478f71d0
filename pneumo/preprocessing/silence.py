"""Keep libraries' warnings about odd metadata off the terminal."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# warnings.catch_warnings swaps a list that all threads share: two at once could leave it swapped for good.
_WARNINGS = threading.Lock()


@contextmanager
def silenced() -> Iterator[None]:
    """One thread at a time."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
