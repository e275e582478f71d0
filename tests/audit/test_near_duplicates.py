import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pneumo.audit import near_duplicates


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer)


def cropped(image, left, top, right, bottom):
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round(width - right * width), height - round(bottom * height))
    )


CHANGES = {
    "JPEG quality 30": lambda image: jpeg(image, 30),
    "25 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "contrast 0.7": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "gamma 1.4": lambda image: image.point(lambda grey: 255 * (grey / 255) ** 1.4),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "2 % cropped all round": lambda image: cropped(image, 0.02, 0.02, 0.02, 0.02),
    "2 % cropped at left and top": lambda image: cropped(image, 0.02, 0.02, 0, 0),
    "turned by 1 degree": lambda image: image.rotate(1, Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_recognised(change, clean, table, pixels):
    size = pixels.shape[-1]
    for row in range(0, len(table), 80):
        image = Image.open(clean / "raw" / table["image"][row]).convert("L")
        copy = CHANGES[change](image).convert("L").resize((size, size), Image.Resampling.LANCZOS)
        both = np.stack([pixels[row], np.asarray(copy)])
        pairs = table.iloc[[row, row]].assign(image=["a", "b"])
        assert len(near_duplicates.find(pairs, both)) == 1, table["image"][row]


def test_images_of_one_patient_are_not_near_duplicates(clean, table, pixels):
    several = table[table.duplicated("patient", keep=False)]
    assert len(several) > 200
    assert near_duplicates.find(several, pixels[several.index]).empty


def test_a_shift_changes_nothing_and_neither_does_the_order():
    picture = np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8)
    large = np.asarray(Image.fromarray(picture).resize((80, 80), Image.Resampling.BICUBIC))
    pixels = np.stack([large[4:68, 4:68], large[6:70, 1:65], large[::-1, ::-1][:64, :64]])
    correlation = near_duplicates.aligned(pixels, np.array([0, 1, 0, 2]), np.array([1, 0, 2, 0]))
    assert correlation[:2] == pytest.approx(correlation[0], abs=1e-5)
    assert (correlation[:2] > near_duplicates.MIN_CORRELATION).all()
    assert (correlation[2:] < 0.8).all()


def test_all_pairs_within_the_distance_are_proposed(monkeypatch):
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    hashed = np.random.default_rng(0).integers(0, 2**13, 60, dtype=np.uint64)
    hashed[5] = hashed[40] ^ np.uint64(0xFFFFFFFFFFFFFFFF)
    distance = [[(int(a) ^ int(b)).bit_count() for b in hashed] for a in hashed]
    expected = {(a, b, distance[a][b]) for b in range(60) for a in range(b) if distance[a][b] <= 12}
    assert set(zip(*(column.tolist() for column in near_duplicates.candidates(hashed)), strict=True)) == expected


def test_a_picture_without_detail_is_like_none():
    flat = np.full((2, 64, 64), 90, dtype=np.uint8)
    assert near_duplicates.aligned(flat, np.array([0]), np.array([1])) == pytest.approx(0)
