import json
from pathlib import Path

from made_report import MODELS


def test_the_short_form_opens_with_the_verdict_and_shows_every_model(reported: Path) -> None:
    text = (reported / "reports/report.md").read_text()
    assert text.split("\n\n")[1].replace("\n", " ").startswith("**densenet121 (from scratch) detects ")
    for name in (*MODELS, "shortcut"):
        auc = json.loads((reported / f"metrics/{name}.json").read_text())["roc_auc"]
        assert any(name in line and f" {auc:.3f} " in line for line in text.splitlines()), name
    assert "1,001" in text, "parameters of resnet50"
    assert "## Stress validation, on which the model was selected" in text
    assert len(text) < 6000
