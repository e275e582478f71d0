"""`pneumo serve`: where the server listens, and how it starts and stops."""

import ctypes
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from pneumo.errors import MissingExtra, ServingError
from pneumo.serving import contract, model, output

TOKEN = "PNEUMO_TOKEN"
SHORTEST = 16  # characters of a token
_PACKAGES = {  # as they are imported -> as they are installed
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "prometheus_client": "prometheus-client",
}
_M_MMAP_THRESHOLD = -3  # malloc.h
_RETURNED_FROM = 8 * 1024**2  # bytes; a film and its batch stay below
CLOSING_S = 10  # for answers that are under way when the server is stopped


def serve(folder: Path, *, host: str, port: int, device: str, error_rate: str | None = None) -> None:
    """Answer until Ctrl-C or SIGTERM. `device`, `error_rate`: as for model.load.

    Raises BundleError, ServingError, or MissingExtra.
    """
    missing = [package for name, package in _PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{missing[0]}, which pneumo serve needs, is not installed: pip install 'pneumo[serve]'")
    token = _token()
    family, address = _address(host, port, token)
    # A model of an older version has no heat maps, and is shown without.
    loaded = model.load(folder, device=device, error_rate=error_rate, heat=contract.read(folder).onnx.heat)
    with _listening(family, address, host, port) as listener:
        import uvicorn

        from pneumo.web.app import application
        from pneumo.web.connections import Connection

        app, close = application(loaded, token=token)
        where = _url(listener)

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                name, weights = loaded.contract.name, loaded.weights[:12]
                notes = "; ".join((*loaded.warnings, output.NOTICE, "Ctrl-C stops it"))
                print(f"{where}  {name}, weights {weights}; {notes}", flush=True)

        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=CLOSING_S,
        )
        _log_to_stderr()
        _return_memory()
        # uvicorn raises the signal that stopped it once more, which would end the process before it has a status.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        try:
            Server(config).run(sockets=[listener])
        finally:
            close()


def _token() -> str | None:
    """Raises ServingError for one that is too short to be a secret, or that no header can carry."""
    token = os.environ.get(TOKEN, "")
    if not token:
        return None
    if len(token) < SHORTEST:
        raise ServingError(
            f"{TOKEN} has {len(token)} characters; expected at least {SHORTEST}. Make one, start again: {_MAKE_TOKEN}"
        )
    if not all("!" <= letter <= "~" for letter in token):
        raise ServingError(f"{TOKEN} has spaces or is not all ASCII. Make one and start again: {_MAKE_TOKEN}")
    return token


_MAKE_TOKEN = f"export {TOKEN}=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"


def _address(host: str, port: int, token: str | None) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Raises ServingError for a name that leads nowhere, and for an address others may reach without a token."""
    try:
        family, _, _, _, (name, number, *_) = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise ServingError(f"--host {host} is no address of this machine: use 127.0.0.1, or 0.0.0.0 for all") from None
    if token is None and not ipaddress.ip_address(str(name).partition("%")[0]).is_loopback:
        raise ServingError(
            f"--host {host} can be reached from other machines, and {TOKEN} is not set. Leave out --host, or make a "
            f"token and start again: {_MAKE_TOKEN}"
        )
    return family, (str(name), int(number))


def _listening(family: socket.AddressFamily, address: tuple[str, int], host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off, which would hold the end of an answer for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServingError(f"port {port} is in use: name another with --port, or 0 for a free one") from None
        if error.errno == errno.EACCES:
            raise ServingError(f"port {port} needs rights that you lack: name one above 1023 with --port") from None
        raise ServingError(f"cannot listen at {host}, port {port}: {error.strerror}. Use another --host") from None
    return listener


def _url(listener: socket.socket) -> str:
    name, port = listener.getsockname()[:2]
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _return_memory() -> None:
    """glibc keeps blocks as large as the largest that were freed: after one huge image, all of its memory."""
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _RETURNED_FROM)
    except (AttributeError, OSError, TypeError):  # another C library
        return


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    for name, level in (("pneumo.web", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
