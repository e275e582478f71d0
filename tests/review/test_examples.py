"""The examples of README.md, docs/pull-requests.md and docs/review/ are what the review says of the kept records."""

import re
from pathlib import Path

import pytest

from benchmarks.records import reviewed
from pneumo.review import page

ROOT = Path(__file__).parents[2]
CNN, CNN10, ONE_VIEW = (
    ROOT / f"results/{name}-three-seeds" for name in ("cnn-96px", "cnn10-96px", "cnn10-96px-one-view")
)
EXAMPLES = {
    "better": ((CNN, CNN10), {}),
    "within-noise": ((CNN, CNN10), {"metric": "accuracy"}),
    "one-seed": ((ONE_VIEW, CNN10), {"seed": 0}),
    "three-seeds": ((ONE_VIEW, CNN10), {}),
}


def without_commits(text: str) -> str:
    return re.sub(r"^Base is [0-9a-f]{10}, head is [0-9a-f]{10}\.", "Base, head.", text, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_pages_show_what_the_review_says(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    records, options = EXAMPLES[name]
    result = reviewed(*records, **options)
    shown = (ROOT / f"docs/review/{name}.md").read_text()
    assert without_commits(shown) == without_commits(page.markdown(result, {}))
    row = result.selected.row(result.rules.metric)
    digits = 4 if result.rules.metric == "roc_auc" else 3
    low, high = row.interval
    figures = f"{row.difference:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    words = "accuracy " if "metric" in options else ""
    (line,) = (
        line for line in (ROOT / "docs/pull-requests.md").read_text().splitlines() if f"review/{name}.md" in line
    )
    assert f"{words}{figures} | {result.verdict} |" in line
    seeds = 1 if "seed" in options else 3
    assert f" | {seeds} | " in line


def test_the_readme_says_what_three_seeds_make_of_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    verdicts = [reviewed(*EXAMPLES[name][0], **EXAMPLES[name][1]).verdict for name in ("one-seed", "three-seeds")]
    assert verdicts == ["better", "within noise"]
    said = " ".join((ROOT / "README.md").read_text().split())
    assert (
        "With one seed, four views of an image instead of one look better; [with three they are within noise]" in said
    )
