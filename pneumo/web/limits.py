"""What one client may take of the server, and all of them together."""

import os
from dataclasses import dataclass, field

from pneumo.errors import RequestRefused

MIB = 1024**2
RETRY_S = 2


@dataclass(frozen=True)
class Limits:
    """body, file: bytes of one request and of one file in it; files: in one request; pictured: of these, where pictures
    are asked for; reading: requests whose body is being read at once; working: those whose images wait for the network
    or are in it; held: bytes of all bodies that are in memory; patience: seconds before a body must come at `rate`,
    bytes a second; decoders: images that are decoded at once, each of which may take over 1 GB where it is
    as large as preprocessing allows.
    """

    body: int = 64 * MIB
    file: int = 32 * MIB
    files: int = 64
    pictured: int = 8
    reading: int = 64
    working: int = 32
    held: int = 512 * MIB
    patience: float = 30.0
    rate: int = 32 * 1024
    decoders: int = field(default_factory=lambda: min(2, os.cpu_count() or 1))


class Places:
    """At most `count` at once: `with places:` takes one or raises RequestRefused, and never waits."""

    def __init__(self, count: int) -> None:
        self._free = count

    def __enter__(self) -> None:
        if not self._free:
            raise busy()
        self._free -= 1

    def __exit__(self, *_: object) -> None:
        self._free += 1


class Store:
    """Bytes that all requests hold together."""

    def __init__(self, size: int) -> None:
        self._free = size

    def take(self, count: int) -> None:
        """Raises RequestRefused where there is no room."""
        if count > self._free:
            raise busy()
        self._free -= count

    def give_back(self, count: int) -> None:
        self._free += count


def busy() -> RequestRefused:
    """Every place is taken."""
    return RequestRefused(
        503, "The server is busy with other images.", f"Send it again in {RETRY_S} seconds.", Retry_After=str(RETRY_S)
    )
