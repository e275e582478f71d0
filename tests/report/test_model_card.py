import json
import re
from pathlib import Path


def test_the_model_card_is_filled_from_the_results(reported: Path) -> None:
    card = (reported / "reports/MODEL_CARD.md").read_text()
    best = json.loads((reported / "metrics/best.json").read_text())
    for words in ("# Model card: densenet121", "**Not for diagnosis.**", "**Phantoms**", "one to five years", "w" * 64):
        assert words in card
    low, high = best["ci95"]["accuracy"]
    assert f"| accuracy | {best['accuracy']:.3f} | [{low:.3f}, {high:.3f}] |" in card
    assert not re.search(r"[{}%]{2}|\b(None|nan)\b", card)
