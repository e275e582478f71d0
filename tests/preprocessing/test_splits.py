from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo.data.manifest import identify
from pneumo.errors import SplitError
from pneumo.preprocessing import splits

number = st.integers(1, 40)
real_pneumonia = st.builds(
    "PNEUMONIA/person{}_{}_{}.jpeg".format, number, st.sampled_from(["bacteria", "virus"]), number
)
real_normal = st.builds(
    "NORMAL/{}IM-{:04}-{:04}{}.jpeg".format,
    st.sampled_from(["", "NORMAL2-"]),
    number,
    number,
    st.sampled_from(["", "-1"]),
)
random_name = st.builds(
    "{}/{}".format, st.sampled_from(["NORMAL", "PNEUMONIA"]), st.text(min_size=1).filter(lambda text: "/" not in text)
)
image = st.builds("{}/{}".format, st.sampled_from(["train", "val", "test"]), real_pneumonia | real_normal | random_name)
images = st.lists(image, min_size=1, max_size=60, unique=True)


@given(images, st.integers(0, 5), st.floats(0.05, 0.95))
def test_no_patient_is_on_two_sides(names, seed, val_fraction):
    identities = [identify(name) for name in names]
    try:
        found = splits.assign(identities, seed=seed, val_fraction=val_fraction)
    except SplitError:
        return
    sides = defaultdict(set)
    for identity, split in zip(identities, found, strict=True):
        sides[identity.patient].add(split)
        assert (split == "test") == (identity.source_split == "test")
    assert all(len(found) == 1 for found in sides.values())


@given(images, images, st.integers(0, 5))
def test_adding_images_moves_nobody(names, more, seed):
    def sides(some):
        identities = [identify(name) for name in some]
        found = splits.assign(identities, seed=seed, val_fraction=0.3)
        return dict(zip(some, found, strict=True))

    fixed = [f"train/NORMAL/IM-{n}-1.jpeg" for n in range(9000, 9030)]
    fixed += [f"train/PNEUMONIA/person{n}_virus_1.jpeg" for n in range(9000, 9030)]
    fixed += ["test/NORMAL/IM-9900-1.jpeg", "test/PNEUMONIA/person9900_virus_1.jpeg"]
    names, more = ([name for name in some if not name.startswith("test/")] for some in (names, more))
    before, after = sides(list({*fixed, *names})), sides(list({*more, *fixed, *names}))
    assert {name: after[name] for name in before} == before


@given(images)
def test_a_patient_in_test_and_outside_it_is_refused(names):
    identities = [identify(name) for name in names]
    sides = defaultdict(set)
    for one in identities:
        sides[one.patient].add(one.source_split == "test")
    if any(len(found) > 1 for found in sides.values()):
        with pytest.raises(SplitError, match="in the test part and outside it"):
            splits.refuse_leak(identities)
    else:
        splits.refuse_leak(identities)


def test_the_error_names_patient_and_images():
    names = ["train/PNEUMONIA/person3_virus_1.jpeg", "test/PNEUMONIA/person3_virus_2.jpeg"]
    with pytest.raises(SplitError, match=r"first virus-3: test/PNEUMONIA/person3_virus_2\.jpeg and train/"):
        splits.refuse_leak(map(identify, names))


def dataset(patients=400):
    """Like the real one: one to three images for each patient, three quarters pneumonia, a tenth in the test part."""
    names = []
    for patient in range(patients):
        part = "test" if patient % 10 == 0 else "train"
        normal = patient % 4 == 1 or patient % 20 == 0
        person = f"person{patient}_{'virus' if patient % 3 else 'bacteria'}"
        for k in range(1 + patient % 3):
            names += [f"{part}/NORMAL/IM-{patient:04}-{k:04}.jpeg" if normal else f"{part}/PNEUMONIA/{person}_{k}.jpeg"]
    return [identify(name) for name in names]


def test_the_share_of_val_patients_is_about_what_was_asked():
    found = splits.assign(dataset(), seed=0, val_fraction=0.2)
    outside = Counter(found)["val"] / (Counter(found)["val"] + Counter(found)["train"])
    assert 0.14 < outside < 0.26


def test_another_seed_gives_another_split():
    first, second = (splits.assign(dataset(), seed=seed, val_fraction=0.2) for seed in (0, 1))
    assert first != second


def test_a_part_without_a_class_is_refused():
    with pytest.raises(SplitError, match="the test part has no NORMAL image"):
        splits.assign([one for one in dataset() if one.source_split == "train" or one.label], seed=0, val_fraction=0.2)


@pytest.mark.parametrize("size", [20, 100, 333])
def test_a_sample_keeps_patients_whole_and_proportions(size):
    everything = dataset()
    chosen = splits.sample(everything, size, seed=0)
    assert size - 8 <= len(chosen) <= size
    by_patient = defaultdict(set)
    for one in everything:
        by_patient[one.patient].add(one.image in chosen)
    assert all(len(taken) == 1 for taken in by_patient.values())
    for subtype in ("normal", "bacterial", "viral"):
        share = sum(one.subtype == subtype for one in everything) / len(everything)
        assert abs(sum(one.subtype == subtype and one.image in chosen for one in everything) / size - share) < 0.1


def test_a_sample_is_split_like_the_whole():
    everything = dataset()
    chosen = splits.sample(everything, 200, seed=0)
    found = Counter(splits.assign([one for one in everything if one.image in chosen], seed=0, val_fraction=0.2))
    assert 0.1 < found["val"] / (found["val"] + found["train"]) < 0.3


def test_a_sample_larger_than_the_dataset_is_the_dataset():
    everything = dataset(20)
    assert splits.sample(everything, 10_000, seed=0) == {one.image for one in everything}
