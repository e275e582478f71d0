import copy

import pytest

from pneumo.audit.findings import findings

COUNTS = {"splits": 0, "classes": 0, "patients": 0}
USED = {"patients": 9, "patients_in_test_and_outside": 0, "patients_in_train_and_val": 0}
QUIET = {
    "received": 1000,
    "rejected": 0,
    "left_out": {"files": 0, "reasons": {}, "first": []},
    "images": 1000,
    "patients": 700,
    "unknown_patients": 0,
    "images_without_patients": 0,
    "set_aside": {"images": 2, "reasons": {"30 frames; expected one": 2}},
    "sites": {"a": {"images": 600, "pneumonia": 400}, "b": {"images": 400, "pneumonia": 200}},
    "views": {"PA": 900, "AP": 100},
    "other_body_parts": {},
    "exact_duplicates": {"groups": 3, **{f"groups_across_{word}": 0 for word in COUNTS}},
    "audit": {
        "near_duplicates": {"pairs": 2, **{f"pairs_across_{word}": 0 for word in COUNTS}},
        "patient_rule": {"as used": USED, "both dropped": USED},
        "shortcut": {"roc_auc": 0.72, "roc_auc_ci95": [0.66, 0.78], "accuracy": 0.7, "strongest": ["mean", "width"]},
        "shift": {
            "separability": {
                "normal": {"test_train": 0.58, "val_train": 0.45},
                "pneumonia": {"test_train": 0.65, "val_train": 0.6},
            }
        },
        "suspected_labels": {"images": 10, "normal": 4, "pneumonia": 6, "in_test": 1},
        "few_grey_levels": {"images": 0, "first": []},
    },
}
AUDIT, NORMAL = ("audit",), ("audit", "shift", "separability", "normal")


def changed(place: tuple[str, ...], value: object) -> dict:
    summary = copy.deepcopy(QUIET)
    inner = summary
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return summary


def test_nothing_is_flagged_where_nothing_is_wrong():
    assert [finding["check"] for finding in findings(QUIET) if finding["flag"]] == []


LEFT_OUT = {"files": 26, "reasons": {"in no class folder": 26}, "first": ["COVID19/a"]}


@pytest.mark.parametrize(
    ("place", "value", "check", "text"),
    [
        (("exact_duplicates", "groups_across_splits"), 2, "copies across splits", "2 of 3 groups"),
        (("exact_duplicates", "groups_across_classes"), 1, "copies across classes", "1 of 3 groups"),
        (("exact_duplicates", "groups_across_patients"), 1, "copies across patients", "1 of 3 groups"),
        ((*AUDIT, "near_duplicates", "pairs_across_splits"), 1, "near duplicates across splits", "1 of 2 pairs"),
        ((*AUDIT, "near_duplicates", "pairs_across_classes"), 1, "near duplicates across classes", "1 of 2 pairs"),
        ((*AUDIT, "patient_rule", "as used", "patients_in_test_and_outside"), 1, "patient rule", "1 of 9 patients"),
        (("unknown_patients",), 3, "patients' names", "3 of 700 patients"),
        (
            ("images_without_patients",),
            800,
            "patients",
            "800 of 1000 images come from a source that knows no patients, so",
        ),
        (("left_out",), LEFT_OUT, "files left out", "26 in no class folder, such as COVID19/a"),
        ((*AUDIT, "few_grey_levels"), {"images": 2, "first": ["x"]}, "grey levels", "2 of 1000 images"),
        (("views",), {"PA": 3, "unknown": 997}, "views", "997 of 1000 films do not say their view and were taken as"),
        (
            ("sites",),
            {"b": {"images": 400, "pneumonia": 100}, "a": {"images": 600, "pneumonia": 400}},
            "sites",
            "Pneumonia by site: a 67% of 600 images, b 25% of 400 images.",
        ),
        (("other_body_parts",), {"HIP": 2, "OTHER": 1}, "body parts", "3 films say that they are of another body part"),
        (("rejected",), 4, "unreadable files", "4 of 1004 files"),
        ((*AUDIT, "shortcut", "roc_auc_ci95"), [0.71, 0.8], "shortcut", "0.710 to 0.800"),
        ((*AUDIT, "shortcut", "roc_auc_ci95"), [None, None], "shortcut", "no interval"),
        ((*NORMAL, "test_train"), 0.7, "shift of normal", "0.700"),
        ((*AUDIT, "suspected_labels", "images"), 11, "suspected labels", "11 of 1000 labels"),
    ],
)
def test_each_check_is_flagged_by_its_own_number(place, value, check, text):
    (flagged,) = (finding for finding in findings(changed(place, value)) if finding["flag"])
    assert flagged["check"] == check
    assert text in flagged["finding"]


@pytest.mark.parametrize(
    ("place", "value", "check", "text"),
    [
        (("received",), 1000, "set aside", "2 set aside: 2 30 frames; expected one."),
        (("views",), {}, "views", "The data say no views."),
        (("views",), {"PA": 7}, "views", "0 of 7 films do not say their view and were taken as frontal; 7 PA do."),
    ],
)
def test_what_was_asked_for_is_said_and_not_flagged(place, value, check, text):
    (finding,) = (finding for finding in findings(changed(place, value)) if finding["check"] == check)
    assert (finding["flag"], finding["finding"]) == (False, text)


def test_a_shift_that_cannot_be_measured_is_not_flagged():
    by_check = {
        finding["check"]: finding for finding in findings(changed(NORMAL, {"test_train": None, "val_train": None}))
    }
    assert not by_check["shift of normal"]["flag"]
    assert "Too few normal patients" in by_check["shift of normal"]["finding"]
