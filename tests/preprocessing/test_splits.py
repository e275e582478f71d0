from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listed import split_params

from pneumo.data.listing import Listed
from pneumo.errors import SplitError
from pneumo.preprocessing import splits
from pneumo.sources.kermany import identify

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
        assigned = splits.assign(identities, split_params(seed=seed, val_fraction=val_fraction))
    except SplitError:
        return
    sides = defaultdict(set)
    for identity, side in zip(identities, assigned, strict=True):
        sides[identity.patient].add(side)
        assert (side == "test") == (identity.source_split == "test")
    assert all(len(splits_of_patient) == 1 for splits_of_patient in sides.values())


@given(images, images, st.integers(0, 5))
def test_adding_images_moves_nobody(names, more, seed):
    def sides(some):
        identities = [identify(name) for name in some]
        return dict(zip(some, splits.assign(identities, split_params(seed=seed, val_fraction=0.3)), strict=True))

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
    for identity in identities:
        sides[identity.patient].add(identity.source_split == "test")
    if any(len(in_test) > 1 for in_test in sides.values()):
        with pytest.raises(SplitError, match="in the test set and outside it"):
            splits.refuse_leak(identities, split_params())
    else:
        splits.refuse_leak(identities, split_params())


def test_the_error_names_patient_and_images():
    names = ["train/PNEUMONIA/person3_virus_1.jpeg", "test/PNEUMONIA/person3_virus_2.jpeg"]
    with pytest.raises(SplitError, match=r"first virus-3: test/PNEUMONIA/person3_virus_2\.jpeg and train/"):
        splits.refuse_leak(list(map(identify, names)), split_params())


def dataset(patients=400):
    """Like the real one: one to three images for each patient, three quarters pneumonia, a tenth in the test set."""
    names = []
    for patient in range(patients):
        split = "test" if patient % 10 == 0 else "train"
        normal = patient % 4 == 1 or patient % 20 == 0
        person = f"person{patient}_{'virus' if patient % 3 else 'bacteria'}"
        for k in range(1 + patient % 3):
            name = f"NORMAL/IM-{patient:04}-{k:04}.jpeg" if normal else f"PNEUMONIA/{person}_{k}.jpeg"
            names.append(f"{split}/{name}")
    return [identify(name) for name in names]


def test_the_share_of_val_patients_is_about_what_was_asked():
    images = Counter(splits.assign(dataset(), split_params(seed=0, val_fraction=0.2)))
    assert 0.14 < images["val"] / (images["val"] + images["train"]) < 0.26


def test_another_seed_gives_another_split():
    first, second = (splits.assign(dataset(), split_params(seed=seed, val_fraction=0.2)) for seed in (0, 1))
    assert first != second


def test_a_split_without_a_class_is_refused():
    identities = [identity for identity in dataset() if identity.source_split == "train" or identity.label]
    with pytest.raises(SplitError, match="test would get no NORMAL image"):
        splits.assign(identities, split_params(seed=0, val_fraction=0.2))


@pytest.mark.parametrize("size", [20, 100, 333])
def test_a_sample_keeps_patients_whole_and_proportions(size):
    everything = dataset()
    sampled = splits.sample(everything, size, split_params())
    assert size - 8 <= len(sampled) <= size
    by_patient = defaultdict(set)
    for identity in everything:
        by_patient[identity.patient].add(identity.image in sampled)
    assert all(len(in_sample) == 1 for in_sample in by_patient.values())
    for subtype in ("normal", "bacterial", "viral"):
        of_subtype = [identity.image for identity in everything if identity.subtype == subtype]
        share = len(of_subtype) / len(everything)
        assert abs(len(sampled.intersection(of_subtype)) / size - share) < 0.1


def test_a_sample_is_split_like_the_whole():
    everything = dataset()
    sampled = splits.sample(everything, 200, split_params())
    used = [identity for identity in everything if identity.image in sampled]
    images = Counter(splits.assign(used, split_params(seed=0, val_fraction=0.2)))
    assert 0.1 < images["val"] / (images["val"] + images["train"]) < 0.3


def test_a_sample_larger_than_the_dataset_is_the_dataset():
    everything = dataset(20)
    assert splits.sample(everything, 10_000, split_params()) == {identity.image for identity in everything}


def of_sites():
    """Two hospitals, each with all four kinds of images, officially split."""
    return [
        Listed(f"{site}{number}", number % 2, "normal", f"{site}{number // 2}", part, details={"site": site})
        for site in ("guangzhou", "nih: 2")
        for part in ("train", "test")
        for number in range(40 if part == "train" else 4, 80 if part == "train" else 8)
    ]


def test_a_site_that_is_left_out_is_the_test_part_and_all_else_is_not():
    images = of_sites()
    assigned = splits.assign(images, split_params(leave_out="site:nih: 2"))
    assert {(image.details["site"], side == "test") for image, side in zip(images, assigned, strict=True)} == {
        ("guangzhou", False),
        ("nih: 2", True),
    }
    assert set(assigned) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("leave_out", "says"),
    [
        ("hospital:nih", r"keeps no column 'hospital', but 'site'\. Keep one of the table: -S 'data\.columns\.keep"),
        ("site:NIH", r"no image has this site, but they have 'guangzhou' \(44 images\), 'nih: 2' \(44 images\)"),
    ],
)
def test_a_site_that_is_not_there_is_an_error_that_lists_the_known_ones(leave_out, says):
    with pytest.raises(SplitError, match=says):
        splits.assign(of_sites(), split_params(leave_out=leave_out))


def test_a_patient_of_two_sites_is_a_leak():
    images = [*of_sites(), Listed("x", 1, "viral", "guangzhou20", "train", details={"site": "nih: 2"})]
    with pytest.raises(SplitError, match="1 patients are in the test set and outside it, first guangzhou20"):
        splits.assign(images, split_params(leave_out="site:nih: 2"))


def test_a_rejected_image_is_no_leak():
    names = ["train/PNEUMONIA/person3_virus_1.jpeg", "test/PNEUMONIA/person3_virus_2.jpeg"]
    kept, rejected = map(identify, names)
    splits.refuse_leak([kept, replace(rejected, rejected="listed twice")], split_params())
