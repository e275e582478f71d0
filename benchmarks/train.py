"""Images per second in training, ours against what people would write: `python -m benchmarks.train`.

    python -m benchmarks.train [RAW] [--model cnn] [--size 224] [--batch 32] [--seconds 30] [--rounds 3]
                               [--precision auto ...]

RAW: a folder like data/raw, as download leaves it; without it 256 phantoms of 512 px are drawn. All train the same
network with the same optimiser in one process, on a GPU where there is one:

    a  pneumo: packed pixels, augmentation of whole batches, Lightning; channels_last and a fused optimiser; once for
       each --precision, which says what train.precision to choose on a processor: the names of what it computes in
       are in the first line
    b  the limit: one batch that stays where it is, no data work; channels_last and a fused optimiser, as a
    c  torchvision: ImageFolder, DataLoader with workers, the same changes per image but for gamma and noise
    d  timm: its dataset, loader and transforms, as many workers; neither rotation nor gamma nor noise

c and d are written as their users write them, with torch's own layout and optimiser.

All run in one process, which keeps its memory as pneumo's stages do (benchmarks/malloc.py has what that brings).
They take turns in each round; the best round of each counts. Packing (once, by preprocess) is timed apart.
"""

import argparse
import functools
import itertools
import platform
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import timm.data
import torch
import torchvision.transforms.v2 as T
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from pneumo import params, shards
from pneumo.data import listing, packed
from pneumo.data.listing import Raw
from pneumo.models import backbones, runtime
from pneumo.preprocessing.preprocess import preprocess
from pneumo.sources import phantom
from pneumo.training import fit
from pneumo.training.classifier import Classifier
from pneumo.verification import gate

TOP = Path(__file__).parent.parent

IMAGES = {
    "train": {"normal": 96, "bacterial": 96, "viral": 64},
    "val": {"normal": 4, "bacterial": 4, "viral": 4},
    "test": {"normal": 4, "bacterial": 4, "viral": 4},
}
WARMUP = 2  # steps that do not count
FEATURES = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")  # that decide whether bf16-mixed is faster on a CPU


class Clock(Callback):
    """Counts the images of the steps after WARMUP, and ends the run when the time is up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.steps, self.images, self.started = seconds, 0, 0, 0.0

    def on_train_batch_end(self, trainer: Trainer, module: Any, _: Any, batch: Any, *__: Any) -> None:
        _wait(module.device)
        self.steps += 1
        if self.steps == WARMUP:
            self.started = time.perf_counter()
        elif self.steps > WARMUP:
            self.images += len(batch[1])
            self.elapsed = time.perf_counter() - self.started
            trainer.should_stop = trainer.should_stop or self.elapsed > self.seconds

    @property
    def rate(self) -> float:
        return self.images / self.elapsed


def ours(arguments: argparse.Namespace, store: Path, device: torch.device, precision: str) -> float:
    train_split, val_split = (packed.read_split(store, split) for split in ("train", "val"))
    clock = Clock(arguments.seconds)
    fit.quieten()
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # as fit.fit
    trainer = Trainer(
        max_epochs=10_000,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision=fit.resolved_precision(precision, "auto"),
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        use_distributed_sampler=False,
        gradient_clip_val=_params(arguments).train.gradient_clip,
        deterministic=True,
    )
    classifier = _classifier(arguments)
    try:
        trainer.fit(classifier, fit.loaders(train_split, val_split, arguments.batch, classifier.settings, seed=0)[0])
    finally:
        torch.use_deterministic_algorithms(False)  # b, c and d need not
    return clock.rate


def by_hand(
    arguments: argparse.Namespace,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
    *,
    tuned: bool = False,
) -> float:
    """A plain loop over batches of [B, 1, S, S] in [0, 1]. `tuned`: channels_last and a fused optimiser, as ours."""
    module = _classifier(arguments).to(device).train()
    if not tuned:
        module.network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(module.network.parameters(), 1e-4, fused=tuned or None)
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    done, started, elapsed = 0, 0.0, 0.0
    for step, (pixels, labels) in enumerate(batches):
        if step == WARMUP:
            started = time.perf_counter()
        pixels, labels = pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True).float()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = module.network(pixels)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), 1.0)
        optimizer.step()
        _wait(device)
        if step >= WARMUP:
            done += len(labels)
            elapsed = time.perf_counter() - started
            if elapsed > arguments.seconds:
                break
    return done / elapsed


def resident(arguments: argparse.Namespace, device: torch.device) -> float:
    pixels = torch.rand(arguments.batch, 1, arguments.size, arguments.size, device=device)
    labels = torch.arange(arguments.batch, device=device) % 2
    return by_hand(arguments, itertools.repeat((pixels, labels)), device, tuned=True)


def torchvision_way(arguments: argparse.Namespace, films: Path, device: torch.device) -> float:
    augment = _params(arguments).augment
    transform = T.Compose(
        [
            T.ToImage(),
            T.Grayscale(),
            T.RandomRotation(augment.rotate, interpolation=T.InterpolationMode.BILINEAR),
            T.RandomResizedCrop(arguments.size, augment.area, (1 / augment.aspect, augment.aspect)),
            T.RandomHorizontalFlip(augment.flip),
            T.ColorJitter(augment.brightness, augment.contrast),
            T.RandomApply([T.GaussianBlur(5, (0.1, 2.0))], augment.blur),
            T.ToDtype(torch.float32, scale=True),
        ]
    )
    loader = DataLoader(
        ImageFolder(str(films / "train"), transform),
        arguments.batch,
        shuffle=True,
        drop_last=True,
        num_workers=arguments.workers,
        persistent_workers=True,
        pin_memory=device.type == "cuda",
    )
    return by_hand(arguments, _forever(loader), device)


def timm_way(arguments: argparse.Namespace, films: Path, device: torch.device) -> float:
    augment = _params(arguments).augment
    loader = timm.data.create_loader(
        timm.data.create_dataset("", str(films / "train"), input_img_mode="L"),
        (1, arguments.size, arguments.size),
        arguments.batch,
        is_training=True,
        mean=(0.0,),
        std=(1.0,),
        scale=augment.area,
        ratio=(1 / augment.aspect, augment.aspect),
        hflip=augment.flip,
        color_jitter=(augment.brightness, augment.contrast, 0.0),  # type: ignore[arg-type]  # of ColorJitter
        gaussian_blur_prob=augment.blur,
        interpolation="bilinear",
        num_workers=arguments.workers,
        persistent_workers=True,
        use_prefetcher=device.type == "cuda",
        device=device,
    )
    return by_hand(arguments, _forever(loader), device)


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    runtime.keep_memory()
    device = runtime.device("auto")
    with tempfile.TemporaryDirectory() as folder:
        raw, store, films = arguments.raw or Path(folder, "raw"), Path(folder, "processed"), Path(folder, "films")
        if arguments.raw:
            for shard in raw.glob(shards.PATTERN):
                zipfile.ZipFile(shard).extractall(films)
        else:
            raw.mkdir()
            phantom.draw(films, seed=0, images=IMAGES, size=512)
            shards.pack(listing.read(films), films, raw)
            shutil.copyfile(films / listing.IMAGES, raw / listing.IMAGES)
        started = time.perf_counter()
        split = _params(arguments).split
        counts = preprocess(Raw(raw), store, image_size=arguments.size, max_rejected=0.01, split=split)
        packing = counts["images"] / (time.perf_counter() - started)
        print(f"{arguments.model}, {arguments.size} px, batch {arguments.batch}, {counts['images']} images, "
              f"{arguments.threads} threads, {arguments.workers} workers, {_named(device)}, torch {torch.__version__}; "
              f"best of {arguments.rounds}")  # fmt: skip
        ways: dict[str, Callable[[], float]] = {
            f"a pneumo {precision}": functools.partial(ours, arguments, store, device, precision)
            for precision in arguments.precision
        }
        ours_first = next(iter(ways))
        ways |= {
            "b limit": lambda: resident(arguments, device),
            "c torchvision": lambda: torchvision_way(arguments, films, device),
            "d timm": lambda: timm_way(arguments, films, device),
        }
        best = dict.fromkeys(ways, 0.0)
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                best[name] = max(best[name], way())
        print(f"{'':<20} images/s   the first is")
        for name, rate in best.items():
            print(f"{name:<20} {rate:8.1f}   {best[ours_first] / rate:.2f} of it")
        print(f"packing, once: {packing:.1f} images/s")


def _params(arguments: argparse.Namespace) -> params.Params:
    """The defaults for real images."""
    name = arguments.model
    values = gate.compose(TOP, f"model={name}", f"model.{name}.input_size={arguments.size}", "recipe=from_scratch")
    return params.check(values, "conf/")


def _classifier(arguments: argparse.Namespace) -> Classifier:
    config = _params(arguments)
    backbone = config.model[arguments.model]
    network, _ = backbones.create(
        backbone.architecture, input_size=arguments.size, dropout=backbone.dropout, weights="none", seed=0
    )
    return Classifier(
        network, backbone, config.augment, config.train.model_copy(update={"ema": 0.0}), seed=0, pos_weight=1.0
    )


def _forever(loader: Iterable) -> Iterator:
    while True:
        for pixels, labels in loader:
            yield pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels, labels


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _named(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    has = torch.cpu.get_capabilities()
    features = ", ".join(name for name in FEATURES if has.get(name)) or "none"
    return f"{has.get('cpu_name') or platform.processor()} (of {', '.join(FEATURES)}: {features})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Images per second in training: pneumo, its limit, torchvision, timm.")
    parser.add_argument("raw", nargs="?", type=Path, metavar="RAW", help="a folder like data/raw; else phantoms")
    parser.add_argument("--model", default="cnn", help="of conf/model/ (default cnn)")
    parser.add_argument("--size", type=int, default=224, help="pixels (default 224)")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement (default 30)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=["auto"], help="of a: auto, 32-true, bf16-mixed")
    parser.add_argument("--threads", type=int, default=2, help="of torch, as runtime.threads (default 2)")
    parser.add_argument("--workers", type=int, default=2, help="of the loaders of c and d (default 2)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
