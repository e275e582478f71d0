import pytest
from dicoms import dataset, item

from pneumo.data.listing import Listed
from pneumo.preprocessing import headers
from pneumo.preprocessing.views import set_aside, view_of


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("PA", "PA"),
        ("AP", "AP"),
        ("ap supine", "AP"),
        ("view: PA", "PA"),
        ("W033 Chest PA", "PA"),
        ("postero-anterior", "PA"),
        ("antero-posterior", "AP"),
        ("anteroposterior", "AP"),
        ("AP/PA", "FRONTAL"),
        ("Frontal", "FRONTAL"),
        ("Frontal AP", "AP"),
        ("Lateral", "LATERAL"),
        ("LL", "LATERAL"),
        ("left lateral", "LATERAL"),
        ("CHEST LAT", "LATERAL"),
        ("left lateral decubitus", "DECUBITUS"),
        ("RLD", "DECUBITUS"),
        ("antero-posterior oblique", "OBLIQUE"),
        ("LPO", "OBLIQUE"),
        ("AP LORDOTIC", "LORDOTIC"),
        ("Chest PA and lateral", "unknown"),
        ("", "unknown"),
        ("THORAX", "unknown"),
        ("PATIENT UPRIGHT", "unknown"),
    ],
)
def test_views_are_known_by_their_words(text, view):
    assert view_of(text) == view


CODE = item(CodeValue="272479007", CodingSchemeDesignator="SCT", CodeMeaning="postero-anterior")


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({}, ""),
        ({"ViewPosition": "AP"}, "AP"),
        ({"ViewPosition": "LL", "SeriesDescription": "Chest PA"}, "LATERAL"),
        ({"ViewCodeSequence": [CODE]}, "PA"),
        ({"SeriesDescription": "Thorax lat."}, "LATERAL"),
        ({"ProtocolName": "Chest AP"}, "AP"),
        ({"SeriesDescription": "CHEST PA/LAT", "PatientOrientation": ["P", "F"]}, "LATERAL"),
        ({"PatientOrientation": ["L", "F"]}, "FRONTAL"),
        ({"PatientOrientation": ["L", "A"]}, ""),
        ({"PatientOrientation": "L"}, ""),
    ],
)
def test_the_first_element_that_says_the_view_counts(elements, view):
    made = dataset(None, ViewPosition="")
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    assert headers.details(made)["view"] == view


@pytest.mark.parametrize(
    ("view", "taken", "reason"),
    [
        ("PA", ["PA", "AP"], ""),
        ("Lateral", ["PA", "AP"], "set aside: view LATERAL; preprocess.views takes PA, AP"),
        ("Frontal", ["PA"], "set aside: view FRONTAL; preprocess.views takes PA"),
        ("LL", ["LATERAL"], ""),
        ("", ["PA"], ""),
        ("who knows", ["PA"], ""),
        ("Lateral", None, ""),
    ],
)
def test_other_views_are_set_aside_and_unknown_ones_taken(view, taken, reason):
    (image,) = set_aside([Listed("a.png", 0, "normal", "A", "", details={"view": view})], taken)
    assert image.rejected == reason


def test_what_is_rejected_already_keeps_its_reason():
    (image,) = set_aside([Listed("a.png", 0, "normal", "A", "", "missing", {"view": "Lateral"})], ["PA"])
    assert image.rejected == "missing"
