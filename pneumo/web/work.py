"""Files in memory -> rows, in threads, so that whoever sends the next ones is heard meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo.errors import ImageRejected
from pneumo.serving import output, predict
from pneumo.serving.guard import WARNING
from pneumo.serving.model import Model
from pneumo.serving.predict import BATCH, Read
from pneumo.web import pictures
from pneumo.web.metrics import Metrics
from pneumo.web.uploads import Upload

Row = dict[str, Any]
NO_FILM = {"film": None, "seen": None}


class Work:
    """A model with the threads that read images, `decoders` of them, and the one that runs the network.

    Requests take turns by batches, so that a long list does not keep a single image waiting.
    """

    def __init__(self, model: Model, metrics: Metrics, *, decoders: int) -> None:
        self.model, self._metrics = model, metrics
        self._decoding = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")

    @property
    def heatmaps(self) -> bool:
        """Whether the model has any: those that were exported by an older version have none."""
        return self.model.contract.onnx.heat

    async def rows(
        self, uploads: Sequence[Upload], *, pictured: bool, gone: Callable[[], Awaitable[bool]]
    ) -> list[Row]:
        """The row of each of `uploads`, in their order. `gone`: whether nobody waits for them any more."""
        rows: list[Row] = []
        for at in range(0, len(uploads), BATCH):
            if await gone():
                return rows
            rows += await self._batch(uploads[at : at + BATCH], pictured)
        return rows

    def close(self) -> None:
        """Images that wait are dropped."""
        for pool in (self._decoding, self._network):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _batch(self, uploads: Sequence[Upload], pictured: bool) -> list[Row]:
        loop = asyncio.get_running_loop()
        decoding = (loop.run_in_executor(self._decoding, self._read, upload, pictured) for upload in uploads)
        read, films = zip(*await asyncio.gather(*decoding), strict=True)
        rows: list[Row] = await loop.run_in_executor(self._network, self._predicted, read, pictured)
        return [row | film for row, film in zip(rows, films, strict=True)] if pictured else rows

    def _read(self, upload: Upload, pictured: bool) -> tuple[Read, Row]:
        """The image, with `film` and `seen` where they are asked for: pictures, or None where there are none."""
        if upload.error is not None:
            return Read(upload.name, error=upload.error), dict(NO_FILM)
        image = predict.read(self.model, upload.name, upload.data)
        if not pictured or image.pixels is None:
            return image, dict(NO_FILM)
        seen = pictures.text(pictures.seen(image.pixels))
        try:
            return image, {"film": pictures.text(pictures.film(upload.data, self.model.contract.fit)), "seen": seen}
        except ImageRejected:  # a film so flat that it is blank at another size
            return image, {"film": None, "seen": seen}

    def _predicted(self, read: Sequence[Read], pictured: bool) -> list[Row]:
        rows = []
        drawn = _Drawn() if pictured and self.heatmaps else None
        for prediction in predict.predicted(self.model, read, drawn):
            if prediction.error is not None:
                self._metrics.refused(prediction.error)
            else:
                self._metrics.predicted(str(prediction.decision), flagged=WARNING in prediction.warnings)
            rows.append(output.row(self.model, prediction) | ({output.HEATMAP: prediction.heatmap} if pictured else {}))
        return rows


class _Drawn:
    """Heat maps that go into the rows."""

    def write(self, image: str, pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> str:
        """A picture in base64."""
        return pictures.text(pictures.heat(heat))
