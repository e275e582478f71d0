"""Several rows of one image: one label, or the reason why there is none."""

import pytest
from hospital import ROWS


@pytest.mark.parametrize(
    ("labels", "way", "ends"),
    [
        (["Pneumonia", "Pneumonia"], "reject", 1),
        (["Pneumonia", "No Finding"], "reject", "listed 2 times, with different labels"),
        (["Pneumonia", "Mass"], "reject", "listed 2 times, with different labels"),
        (["Pneumonia", "Pneumonia", "No Finding"], "majority", 1),
        (["No Finding", "No Finding", "Mass"], "majority", 0),
        (["Pneumonia", "No Finding", "Mass"], "majority", "left out: no majority among its 3 rows"),
        (["Pneumonia", "No Finding"], "majority", "left out: no majority among its 2 rows"),
        (["Mass", "Mass", "Pneumonia"], "majority", "left out: neither label in most of its 3 rows"),
        (["Mass", "Mass"], "reject", "left out: label is 'Mass'"),
    ],
)
def test_several_rows_of_one_image(hospital, labels, way, ends):
    hospital.film("c.png")
    hospital.rows(*ROWS, *(f"c.png,{label},3" for label in labels))
    images = hospital.obtain(f"data.duplicates={way}")
    if str(ends).startswith("left out: "):
        assert hospital.left_out() == [("c.png", ends.removeprefix("left out: "))]
    else:
        assert (images["c.png"].rejected or images["c.png"].label) == ends


def test_rows_of_one_image_with_different_patients_are_rejected_and_other_columns_joined(hospital):
    hospital.film("c.png")
    hospital.rows("image,label,patient,reader", "a.png,Pneumonia,1,x", "a.png,Pneumonia,1,y", "b.png,No Finding,2,x")
    images = hospital.obtain("data.columns.patient=patient", "data.columns.keep=[reader]")
    assert images["a.png"].details == {"reader": "x|y"}
    hospital.rows("image,label,patient", "a.png,Pneumonia,1", "a.png,Pneumonia,2", "b.png,No Finding,2")
    assert (
        hospital.obtain("data.columns.patient=patient")["a.png"].rejected == "listed 2 times, with a different patient"
    )


@pytest.mark.parametrize(
    ("rows", "overrides", "words"),
    [
        (
            ["image,label,cause", "a.png,Pneumonia,fungal", "b.png,No Finding,"],
            ("data.columns.subtype=cause",),
            ["'fungal' (1) in the column 'cause'", "-S 'data.columns.keep={cause: cause}'"],
        ),
    ],
)
def test_an_error_names_what_is_wrong_and_the_parameter(hospital, rows, overrides, words):
    message = hospital.refusal(rows, *overrides)
    assert [word for word in words if word not in message] == []
    assert not hospital.raw.exists()
