"""What the server counts, for Prometheus. Nothing here is about an image: no name, no size, no value of a pixel."""

import re

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pneumo import __version__
from pneumo.serving.model import UNSURE, Model

CONTENT_TYPE = CONTENT_TYPE_LATEST
# In what an error says -> a reason of few words, so that errors can be counted together.
_REASONS = (
    (r"^file of \d+ bytes", "too large"),
    (r"expected JPEG, PNG or DICOM$", "other format"),
    (r"pixels; expected at (least|most)", "size in pixels"),
    (r"^blank", "blank"),
    (r"not a radiograph|for processing|\d frames;|implausible geometry|animated", "no single film"),
    (r"truncated", "truncated"),
    (r"not installed", "not installed"),
)
DAMAGED = "damaged"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self, model: Model) -> None:
        self._registry = CollectorRegistry()
        about = Gauge("pneumo_model_info", "The model.", ("model", "weights", "version"), registry=self._registry)
        about.labels(model.contract.name, model.weights, __version__).set(1)
        self._requests = Counter(
            "pneumo_requests", "Answers by path and status.", ("path", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "pneumo_request_seconds",
            "From the request's headers to the end of the answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.in_flight = Gauge("pneumo_requests_in_flight", "Requests without an answer yet.", registry=self._registry)
        self._predictions = Counter(
            "pneumo_predictions", "Images with a prediction, by decision.", ("decision",), registry=self._registry
        )
        self._refused = Counter(
            "pneumo_images_refused", "Images without a prediction, by reason.", ("reason",), registry=self._registry
        )
        self._flagged = Counter("pneumo_images_flagged", "Images unlike the training images.", registry=self._registry)
        for decision in (*model.contract.labels, UNSURE):
            self._predictions.labels(decision)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def predicted(self, decision: str, *, flagged: bool) -> None:
        self._predictions.labels(decision).inc()
        if flagged:
            self._flagged.inc()

    def refused(self, error: str) -> None:
        self._refused.labels(reason(error)).inc()

    def text(self) -> bytes:
        """In the format that Prometheus reads."""
        return generate_latest(self._registry)


def reason(error: str) -> str:
    """Of the error of an image, in words that are the same for all images."""
    return next((words for pattern, words in _REASONS if re.search(pattern, error)), DAMAGED)
