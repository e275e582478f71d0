import json

import pandas as pd
import pytest
from listed import split_params
from phantoms import AUDITED, PREPARED

from pneumo.audit import audit, features, near_duplicates, shift, shortcut
from pneumo.data.listing import Raw
from pneumo.evaluation import suspected
from pneumo.preprocessing import copies
from pneumo.preprocessing.preprocess import preprocess
from pneumo.scoring import scores

pytestmark = pytest.mark.slow

TABLES = {
    "features": ("image", *features.FEATURES),
    "copies": copies.COLUMNS,
    "near_duplicates": near_duplicates.COLUMNS,
    "shift": shift.COLUMNS,
    "shortcut_coefficients": shortcut.COEFFICIENT_COLUMNS,
}


@pytest.mark.parametrize("name", TABLES)
def test_each_table_has_its_header_even_if_empty(name, audited, clean):
    assert list(pd.read_csv(clean / f"audit/{name}.csv").columns) == list(TABLES[name])


def test_a_second_run_gives_the_same_bytes(audited, clean, tmp_path):
    again = audit.audit(Raw(clean / "raw"), clean / "processed", tmp_path, **AUDITED)
    for name in TABLES:
        assert (tmp_path / f"{name}.csv").read_bytes() == (clean / f"audit/{name}.csv").read_bytes(), name
    assert json.dumps(again.summary) == json.dumps(audited.summary)
    assert json.dumps(again.shortcut) == json.dumps(audited.shortcut)
    assert suspected.to_text(again.suspects) == suspected.to_text(audited.suspects)


def test_the_baseline_is_scored_like_a_backbone(audited, table):
    for split, rows in (("val", audited.val_scores), ("test", audited.test_scores)):
        assert list(rows.columns) == [*scores.KEY_COLUMNS, "logit", "score"]
        assert list(rows["image"]) == list(table.loc[table["split"] == split, "image"])
    assert {"accuracy", "roc_auc", "ci95", "temperature", "threshold", "parameters"} <= set(audited.shortcut)
    assert audited.shortcut["n"] == 100


def test_the_summary_accounts_for_every_file(audited, clean, tmp_path):
    subset = 200
    prepared = preprocess(Raw(clean / "raw"), tmp_path / "processed", subset=subset, exclude=[image(clean)], **PREPARED)
    summary = audit.audit(
        Raw(clean / "raw"), tmp_path / "processed", tmp_path, **(AUDITED | {"subset": subset})
    ).summary
    assert {key: summary[key] for key in prepared} == prepared
    assert summary["subset"] == {"asked": 200, "images": summary["images"], "of": 399}
    assert (summary["received"], summary["excluded"], summary["rejected"]) == (400, 1, 0)
    assert audited.summary["subset"] is None


def image(folder) -> str:
    return sorted(path.relative_to(folder / "raw").as_posix() for path in folder.glob("raw/train/NORMAL/*"))[0]


@pytest.mark.parametrize("subset", [24, 40])
def test_a_handful_of_images_can_be_audited(subset, clean, tmp_path):
    preprocess(
        Raw(clean / "raw"),
        tmp_path / "processed",
        subset=subset,
        **(PREPARED | {"split": split_params(val_fraction=0.4)}),
    )
    summary = audit.audit(
        Raw(clean / "raw"), tmp_path / "processed", tmp_path, **(AUDITED | {"subset": subset})
    ).summary
    assert len(summary["audit"]["findings"]) == 19
    json.dumps(summary, allow_nan=False)
