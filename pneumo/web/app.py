"""The endpoints: a page, predictions, health, metrics, and what describes them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from pneumo import __version__
from pneumo.errors import RequestRefused
from pneumo.serving import output
from pneumo.serving.model import Model
from pneumo.web import metrics, problems, uploads
from pneumo.web.limits import MIB, Limits, Places, Store
from pneumo.web.metrics import Metrics
from pneumo.web.protection import Access, Protected
from pneumo.web.work import Work

STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
GONE = 499  # nginx's number for a client that went away
_PAGES = {"/": "index.html", "/docs": "docs.html"}

# What newer versions of FastAPI hand to OpenTelemetry, where the environment says so: texts of exceptions among it.
_TELEMETRY = ("tracing", "metrics", "logs", "operation_spans", "auto_configure")


class Row(BaseModel):
    """One image, as in pneumo predict --format json, with pictures if you ask for them."""

    image: str = Field(description="the file's name as it was sent")
    probability: float | None = Field(description="of pneumonia, calibrated; null if there is an error")
    decision: str | None = Field(description="pneumonia (at the threshold and above), normal or unsure")
    threshold: float
    model: str
    weights: str = Field(description="SHA-256")
    warnings: list[str] = Field(description="what speaks against trusting it")
    error: str | None = Field(description="why there is no prediction")
    film: str | None = Field(None, description="PNG in base64, upright; only with heatmap=true")
    seen: str | None = Field(None, description="PNG in base64: the pixels that the model was given")
    heatmap: str | None = Field(
        None, description="PNG in base64, to lay over film or seen; null if the model has no heat maps"
    )


class Problem(BaseModel):
    """What every refusal contains (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="what is wrong")
    remedy: str = Field(description="what to do")


class Health(BaseModel):
    """The model, which is loaded and has given its reference logits."""

    status: str
    model: str
    weights: str = Field(description="SHA-256")
    version: str = Field(description="of pneumo")
    threshold: float
    notice: str
    heatmaps: bool = Field(description="whether the model has heat maps")
    token: bool = Field(description="whether requests need a token")
    limits: dict[str, int] = Field(
        description="bytes in a request (body) and in a file; files in a request, and with pictures"
    )


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            uploads.FORM: {
                "schema": {
                    "type": "object",
                    "required": [uploads.FIELD],
                    "properties": {
                        uploads.FIELD: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "JPEG, PNG or DICOM, recognised by content",
                        }
                    },
                }
            }
        },
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {problems.TYPE: {"schema": Problem.model_json_schema()}}}
    for status, text in {
        401: "the token that the server needs is missing or wrong",
        408: "the body comes too slowly",
        413: "too many bytes or files",
        415: "the body is not a form",
        422: "a form without images, or an invalid value in the query",
        503: "busy: try again after Retry-After seconds",
    }.items()
}


def application(
    model: Model, *, token: str | None = None, limits: Limits | None = None
) -> tuple[ASGIApp, Callable[[], None]]:
    """The application and what closes it. Without a `token` it answers only to names of this machine."""
    limits = limits or Limits()
    counted = Metrics(model)
    work = Work(model, counted, decoders=limits.decoders)
    app = FastAPI(
        title="pneumo",
        version=__version__,
        description=f"Pneumonia on chest X-rays: {output.NOTICE}.",
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
        telemetry=dict.fromkeys(_TELEMETRY, False),  # type: ignore[arg-type]
    )
    _add_endpoints(app, model, work, limits, token=token)
    _add_metrics(app, counted)
    files = _files()
    for path, (content, kind) in files.items():
        app.add_api_route(path, _fixed(content, kind), methods=["GET", "HEAD"], include_in_schema=False)
    _add_errors(app)
    paths = frozenset({*files, "/predict", "/health", "/metrics", "/openapi.json"})
    return Protected(app, Access(token, frozenset({*files, "/health"}), paths), counted), work.close


def _add_endpoints(app: FastAPI, model: Model, work: Work, limits: Limits, *, token: str | None) -> None:
    reading, working, store = Places(limits.reading), Places(limits.working), Store(limits.held)
    health = Health(
        status="ok",
        model=model.contract.name,
        weights=model.weights,
        version=__version__,
        threshold=model.contract.threshold,
        notice=output.NOTICE,
        heatmaps=work.heatmaps,
        token=token is not None,
        limits={"body": limits.body, "file": limits.file, "files": limits.files, "pictured": limits.pictured},
    )

    @app.get("/health", summary="The model, once it is loaded and has given its reference logits")
    async def _health() -> Health:
        return health

    @app.post(
        "/predict",
        summary="Predictions for images, in the order they were sent",
        description=(
            f"At most {limits.files} files ({limits.pictured} with pictures), {limits.file / MIB:g} MiB each and "
            f"{limits.body / MIB:g} in all. A file that cannot be used has an error in its row, and the rest goes on."
        ),
        response_model=list[Row],
        responses=_REFUSALS,
        response_description="a row for each image",
        openapi_extra=_FORM,
    )
    async def _predict(request: Request, heatmap: bool = False) -> Response:
        body = uploads.Body(request.receive, request.headers)
        with uploads.holding(store) as held:
            try:
                with reading:
                    most = limits.pictured if heatmap else limits.files
                    images = await uploads.received(body, limits, held, most)
                with working:
                    rows = await work.rows(images, pictured=heatmap, gone=request.is_disconnected)
            except ClientDisconnect:
                return Response(status_code=GONE)
            except RequestRefused as refused:
                await body.drop(limits.body)
                return problems.response(refused, close=True)
        return JSONResponse(rows)


def _add_metrics(app: FastAPI, counted: Metrics) -> None:
    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    async def _metrics() -> Response:
        return Response(counted.text(), media_type=metrics.CONTENT_TYPE)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def _of_status(_: Request, error: HTTPException) -> Response:
        return problems.response(problems.of_status(error.status_code))

    @app.exception_handler(RequestValidationError)
    async def _of_query(_: Request, __: RequestValidationError) -> Response:
        return problems.response(problems.of_query(), close=True)

    @app.exception_handler(Exception)
    async def _internal(_: Request, __: Exception) -> Response:
        return problems.response(problems.internal(), close=True)


def _files() -> dict[str, tuple[bytes, str]]:
    """Path -> content and type of the pages and what they load, read once: no path of a request reaches the disk."""
    names = {f"/static/{path.name}": path.name for path in STATIC.iterdir() if path.suffix in _TYPES}
    return {path: ((STATIC / name).read_bytes(), _TYPES[Path(name).suffix]) for path, name in (_PAGES | names).items()}


def _fixed(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def file() -> Response:
        return Response(content, media_type=kind)

    return file
