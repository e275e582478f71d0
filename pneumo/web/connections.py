"""HTTP connections that cannot be held open by saying nothing, or by not listening."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 30.0  # in which a request's headers must have come
ANSWER_S = 120.0  # in which an answer must have been taken


class Connection(H11Protocol):
    """uvicorn waits for headers, and for an answer to be taken, as long as a client likes."""

    _headers_due: asyncio.TimerHandle | None = None
    _answer_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._headers_due = self.loop.call_later(HEADERS_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            _cancel(self._headers_due)
            self._headers_due = None
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_S, self.transport.abort)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        _cancel(self._answer_due)
        if self.transport.get_write_buffer_size():
            self._answer_due = self.loop.call_later(ANSWER_S, self._abort_unless_taken)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _cancel(self._headers_due)
        _cancel(self._answer_due)

    def _abort_unless_taken(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
