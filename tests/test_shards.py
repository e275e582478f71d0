"""Raw images in zip files: what was packed comes back, and versions share what did not change."""

import io
import multiprocessing
import os
import random
import tracemalloc
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listed import contents

from pneumo import shards
from pneumo.data import listing
from pneumo.data.listing import Listed, Raw
from pneumo.errors import ManifestError
from pneumo.shards import Films, Limit

LIMIT = Limit(images=1_000, bytes=5_000)
BYTES = 200  # at most, of an image


def film(name: str) -> bytes:
    random.seed(name)
    return random.randbytes(random.randint(0, BYTES))


def image(number: int, patient: int, label: int = 0) -> Listed:
    return Listed(f"train/{listing.LABELS[label]}/{number:04} ö.jpeg", label, "normal", f"p{patient}", "train")


IMAGES = [image(number, number // 3) for number in range(600)]


def packed(images: list[Listed], folder: Path, limit: Limit = LIMIT) -> Path:
    """A folder like data/raw, beside that of the loose files."""
    loose, raw = folder / "loose", folder / "raw"
    raw.mkdir(parents=True)
    for each in images:
        (loose / each.image).parent.mkdir(parents=True, exist_ok=True)
        (loose / each.image).write_bytes(film(each.image))
    shards.pack(images, loose, raw, limit=limit)
    listing.write(images, (), raw)
    return raw


def bytes_of(raw: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in raw.glob(shards.PATTERN)}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(IMAGES, tmp_path_factory.mktemp("packed"))


def test_every_image_comes_back_and_any_zip_program_unpacks_it(raw, tmp_path):
    expected = {each.image: film(each.image) for each in IMAGES}
    assert contents(raw) == expected
    films = Films(Raw(raw))
    assert {name: films.size(name) for name in expected} == {name: len(data) for name, data in expected.items()}
    for shard in raw.glob(shards.PATTERN):
        with zipfile.ZipFile(shard) as file:
            assert file.testzip() is None
            file.extractall(tmp_path)
    assert (tmp_path / IMAGES[7].image).read_bytes() == expected[IMAGES[7].image]


def test_a_shard_has_whole_patients_and_at_most_the_limit(raw):
    members = {path.name: zipfile.ZipFile(path).infolist() for path in raw.glob(shards.PATTERN)}
    assert all(sum(info.file_size for info in infos) <= LIMIT.bytes for infos in members.values())
    patient = {each.image: each.patient for each in IMAGES}
    places = {(patient[info.filename], name) for name, infos in members.items() for info in infos}
    assert len(places) == 200
    assert len(members) < 3 * sum(len(film(each.image)) for each in IMAGES) / LIMIT.bytes


def test_a_patient_of_more_than_the_limit_has_a_shard_alone_and_few_images_are_in_one(tmp_path):
    assert len(bytes_of(packed([image(number, 1) for number in range(90)], tmp_path / "one"))) == 1
    assert list(bytes_of(packed(IMAGES[:9], tmp_path / "few"))) == ["images.zip"]
    two = [*(image(number, 1) for number in range(90)), image(90, 2)]
    assert len(bytes_of(packed(two, tmp_path / "two"))) == 2


def test_the_same_images_give_the_same_bytes_in_any_order_at_any_time(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_CHUNK_BYTES", 7)
    shuffled = random.Random(0).sample(IMAGES, len(IMAGES))
    again = packed(shuffled, tmp_path)
    for path in (tmp_path / "loose").rglob("*.jpeg"):
        os.utime(path, (0, 0))
        path.chmod(0o600)
    shards.pack(shuffled, tmp_path / "loose", again, limit=LIMIT)
    assert bytes_of(again) == bytes_of(raw)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        ([*IMAGES[3:6], *(image(number, 1, label=1) for number in range(3, 6))], 1),  # relabelled
        ([image(700, 5), image(701, 5)], 3),  # more images of one patient: the shard, or the two that it becomes
        ([image(702, 900)], 3),  # another patient
        ([IMAGES[0]], 1),  # one image removed
    ],
    ids=["relabelled", "more of a patient", "another patient", "removed"],
)
def test_a_change_to_one_patient_leaves_all_shards_but_its_own(raw, change, most, tmp_path):
    changed = {each.image: each for each in IMAGES}
    for each in change:
        if changed.pop(each.image, None) is None:
            changed[each.image] = each
    before, after = bytes_of(raw), bytes_of(packed(list(changed.values()), tmp_path))
    assert len(before) > 10
    differ = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert 1 <= len(differ) <= most


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 900)), max_size=60),
    st.builds(Limit, st.integers(1, 60), st.integers(0, 2_000)),
)
def test_no_two_shards_share_a_patient_and_no_image_is_lost(sizes, limit):
    films = [shards._Film(str(place), shards._bits(str(patient)), size) for place, (patient, size) in enumerate(sizes)]
    divided = list(shards._divided(films, "", limit)) if films else []
    assert sorted(each.image for _, members in divided for each in members) == sorted(each.image for each in films)
    for prefix, members in divided:
        assert all(each.bits.startswith(prefix) for each in members)
        fits = len(members) <= limit.images and sum(each.size for each in members) <= limit.bytes
        assert fits or len({each.bits for each in members}) == 1


def test_several_threads_and_processes_read_at_once(raw):
    films, names = Films(Raw(raw)), [each.image for each in random.Random(1).choices(IMAGES, k=2_000)]
    expected = [film(name) for name in names]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(films.read, names)) == expected
    for way in ("fork", "spawn"):
        with ProcessPoolExecutor(2, multiprocessing.get_context(way)) as pool:
            assert list(pool.map(films.read, names[:200], chunksize=50)) == expected[:200]


def test_an_image_can_be_read_in_part_as_a_file(raw):
    name = next(each.image for each in IMAGES if len(film(each.image)) > 150)
    data, films = film(name), Films(Raw(raw))
    with films.open(name) as file:
        assert file.read(132) == data[:132]
        assert file.seek(-3, io.SEEK_END) == len(data) - 3
        assert file.read(100) == data[-3:]
        assert file.read(1) == b""
        file.seek(1)
        file.seek(1, io.SEEK_CUR)
        assert file.read() == data[2:]


def test_images_of_a_site_are_found_in_its_folder(raw, tmp_path):
    other = packed([image(1, 1), image(2, 2)], tmp_path)
    films = Films(Raw(raw, {"nih": other}))
    assert films.read(f"nih/{image(2, 2).image}") == films.read(image(2, 2).image) == film(image(2, 2).image)


def test_files_are_removed_as_asked_and_none_is_held_in_memory(tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    for number in range(3):
        with (loose / str(number)).open("wb") as file:
            file.truncate(20_000_000)
    images = [Listed(str(number), 0, "normal", "1", "") for number in range(3)]
    images.append(Listed("absent", 0, "normal", "1", "", rejected="no such file"))
    tracemalloc.start()
    shards.pack(images, loose, tmp_path, limit=Limit(images=1, bytes=10), remove=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    assert not list(loose.iterdir())


def damaged(shard: Path, data: bytes) -> None:
    shard.write_bytes(shard.read_bytes().replace(data, bytes(len(data))))


def cut(shard: Path, data: bytes) -> None:
    shard.write_bytes(shard.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (damaged, r"images\.zip: its member 'train/NORMAL/0001 ö\.jpeg' is damaged; run `dvc checkout`"),
        (cut, r"images\.zip is damaged: .*; run `dvc checkout`"),
        (lambda shard, data: shard.unlink(), r"train/NORMAL/0001 ö\.jpeg is missing: .*; run `dvc checkout`"),
    ],
)
def test_a_damaged_shard_is_refused_by_name(tmp_path, spoil, says):
    raw = packed(IMAGES[:9], tmp_path)
    spoil(raw / "images.zip", film(IMAGES[1].image))
    with pytest.raises(ManifestError, match=says):
        Films(Raw(raw)).read(IMAGES[1].image)
