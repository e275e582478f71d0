"""What `pneumo review` says of two kept records, as if they were two commits of one project.

    python -m benchmarks.records results/cnn-96px-three-seeds results/cnn10-96px-three-seeds
    python -m benchmarks.records results/cnn10-96px-one-view-three-seeds results/cnn10-96px-three-seeds --seed 0

--seed: as if each had been trained with this seed alone; the records of results/ then say what training noise is.
--metric: which decides, in place of review.metric. Prints the review in Markdown.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from pneumo.review import page, snapshot
from pneumo.review.result import Result, review

RESULTS = Path("results")
SETTINGS = ("user.name=records", "user.email=records@example.org", "commit.gpgsign=false")


def git(top: Path, *words: str) -> str:
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    return subprocess.run(["git", *settings, *words], cwd=top, capture_output=True, text=True, check=True).stdout


def commit(top: Path, record: Path, seed: int | None, metric: str | None) -> str:
    """Commit `record` as the project `top`; returns the hash."""
    for path in top.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for part in ("metrics", "scores"):
        shutil.copytree(record / part, top / part)
    params = yaml.safe_load((record / "params.yaml").read_text())
    params["review"]["metric"] = metric or params["review"]["metric"]
    if seed is not None:
        alone(top, params, seed)
        shutil.copytree(RESULTS, top / "results", ignore=lambda _, names: {name for name in names if name == "scores"})
    (top / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for name, content in (("dvc.yaml", "stages: {}\n"), ("dvc.lock", "schema: '2.0'\n"), ("requirements.lock", "")):
        (top / name).write_text(content)
    git(top, "add", "-A")
    git(top, "commit", "-qm", record.name)
    return git(top, "rev-parse", "HEAD").strip()


def alone(top: Path, params: dict, seed: int) -> None:
    """Make the record in `top` one of the networks that were trained with `seed`."""
    of_seed = {name: each for name, each in params["replicates"].items() if each["seed"] == seed}
    params["train"]["seeds"] = [seed]
    params["replicates"] = {}
    for name, each in of_seed.items():
        candidate = each["candidate"]
        params["replicates"][candidate] = {"candidate": candidate, "seed": seed, "folder": candidate}
        path = top / f"metrics/{candidate}.json"
        figures = json.loads(path.read_text())["replicates"][name]
        path.write_text(json.dumps(figures, indent=2))
        (top / "metrics/best.json").write_text(json.dumps({"model": candidate, **figures}, indent=2))
        for kind in ("val", "test", "stress"):
            folder = top / "scores" / kind
            kept = (folder / f"{name}.csv").read_bytes()
            shutil.rmtree(folder)
            folder.mkdir()
            (folder / f"{candidate}.csv").write_bytes(kept)


def reviewed(base: Path, head: Path, seed: int | None = None, metric: str | None = None) -> Result:
    """The review of two records."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        git(top, "init", "-q")
        before, after = (snapshot.commit(top, commit(top, record, seed, metric)) for record in (base, head))
        return review(before, after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--metric")
    arguments = parser.parse_args()
    print(page.markdown(reviewed(arguments.base, arguments.head, arguments.seed, arguments.metric), {}), end="")


if __name__ == "__main__":
    main()
