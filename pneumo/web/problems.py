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
        return RequestRefused(status, "There is nothing at this address.", "/docs lists what there is.")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return RequestRefused(status, "This address does not take this method.", "/docs lists what there is.")
    return RequestRefused(status, f"{HTTPStatus(status).phrase}.", "/docs says how requests are made.")


def of_query() -> RequestRefused:
    """Of a query that is not of the types in /openapi.json; its values are not repeated."""
    return RequestRefused(422, "A value after the question mark is not what it should be.", "/docs lists them.")


def internal() -> RequestRefused:
    """Of a fault of ours, which is logged by its place alone: the text of an exception may quote an image."""
    return RequestRefused(
        500, "This is a bug in pneumo: the server could not answer.", "Report it with the lines of the server's log."
    )
