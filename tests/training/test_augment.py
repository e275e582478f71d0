import pytest
import torch
from tiny import changed

from pneumo.models.pixels import resize
from pneumo.params import Augment
from pneumo.training import augment
from pneumo.training.augment import Augmentation

OFF = Augment(
    rotate=0,
    area=(1.0, 1.0),
    aspect=1.0,
    shift=0,
    flip=0,
    brightness=0,
    contrast=0,
    gamma=1,
    local_contrast=0,
    blur=0,
    noise=0,
    erase=0,
    mixup=0,
)
STRONG = Augment(
    rotate=10,
    area=(0.25, 1.0),
    aspect=1.35,
    shift=0.1,
    flip=0.5,
    brightness=0.2,
    contrast=0.4,
    gamma=1.6,
    local_contrast=0.2,
    blur=0.2,
    noise=0.2,
    erase=0.2,
    mixup=0,
)


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (6, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_switched_off_it_changes_nothing(pixels):
    output = Augmentation(48, OFF)(pixels)
    torch.testing.assert_close(output, pixels.unsqueeze(1) / 255, atol=1e-4, rtol=0)


def test_switched_off_it_resizes_as_scoring_does(pixels):
    torch.testing.assert_close(Augmentation(24, OFF)(pixels), resize(pixels, 24), atol=1e-4, rtol=0)


def test_mixed_precision_does_not_displace_the_pixels(pixels):
    with torch.autocast("cpu", torch.bfloat16):
        output = Augmentation(48, OFF)(pixels)
    torch.testing.assert_close(output, pixels.unsqueeze(1) / 255, atol=1e-4, rtol=0)


def test_shape_and_range(pixels):
    output = Augmentation(32, STRONG)(pixels)
    assert output.shape == (6, 1, 32, 32)
    assert output.min() >= 0
    assert output.max() <= 1


@pytest.mark.parametrize("name", sorted({*Augment.model_fields} - {"mixup"}))
def test_each_change_does_something_and_differs_between_samples(pixels, name):
    torch.manual_seed(0)
    same = pixels[:1].expand(16, -1, -1)
    changes = {name: 1.0 if name in ("local_contrast", "blur", "noise", "erase") else getattr(STRONG, name)}
    if name == "aspect":
        changes["area"] = (0.5, 0.5)  # a crop of the whole field cannot change its aspect
    output = Augmentation(48, changed(OFF, **changes))(same)
    assert output.std(dim=0).max() > 0.01
    assert (output - same.unsqueeze(1) / 255).abs().max() > 0.01


def test_the_seed_decides_everything(pixels):
    augmentation = Augmentation(32, STRONG)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augmentation(pixels))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_resize_keeps_range_and_mean(pixels):
    small = resize(pixels, 24)
    assert small.shape == (6, 1, 24, 24)
    assert abs(small.mean() - pixels.float().mean() / 255) < 0.01
    assert torch.equal(resize(pixels, 48), pixels.unsqueeze(1).float() / 255)


def test_blur_takes_as_much_of_a_film_at_every_size(monkeypatch):
    """In pixels of the input it was weaker at larger inputs, and networks of these were not ready for blurred films."""
    monkeypatch.setattr(augment, "BLUR", (0.02, 0.0200001))
    spread = {}
    for size in (64, 128, 256):
        edge = torch.zeros(1, 1, size, size)
        edge[..., size // 2 :] = 1
        row = augment._blurred(edge)[0, 0, size // 2]
        spread[size] = ((row > 0.1) & (row < 0.9)).sum().item() / size
    assert spread[256] == pytest.approx(
        2 * 1.2816 * 0.02, abs=2 / 256
    )  # between these deciles of a normal distribution
    assert spread[64] == pytest.approx(spread[256], abs=2 / 64)
    assert spread[128] == pytest.approx(spread[256], abs=2 / 128)
