"""Errors as JSON, each with a sentence and a remedy (RFC 9457, with `remedy` added)."""

import json
from http import HTTPStatus

from starlette.responses import Response

from pneumo.errors import RequestRefused

TYPE = "application/problem+json"


def response(refused: RequestRefused, *, close: bool = False) -> Response:
    """`close`: the connection, as more of the request may come on it."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(refused.status).phrase,
        "status": refused.status,
        "detail": str(refused),
        "remedy": refused.remedy,
    }
    headers = refused.headers | ({"Connection": "close"} if close else {})
    return Response(json.dumps(content), refused.status, headers, TYPE)


def of_status(status: int) -> RequestRefused:
    """Of what the router refuses."""
    if status == HTTPStatus.NOT_FOUND:
        return RequestRefused(status, "There is nothing at this address.", "/docs lists the addresses.")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return RequestRefused(status, "This address does not accept this method.", "/docs lists what it accepts.")
    return RequestRefused(status, f"{HTTPStatus(status).phrase}.", "/docs says how to make requests.")


def of_query() -> RequestRefused:
    """Of a query that is not of the types in /openapi.json; its values are not repeated."""
    return RequestRefused(422, "A value after the question mark is not valid.", "/docs lists valid values.")


def internal() -> RequestRefused:
    """Of a fault of ours, which is logged by its place alone: the text of an exception may quote an image."""
    return RequestRefused(
        500, "The server could not answer: this is a bug in pneumo.", "Report it with the lines from the server's log."
    )
