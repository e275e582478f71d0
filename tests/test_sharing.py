"""Runs shared through a bucket, with two stages alone: a clone whose dvc.lock does not know a run runs it not again."""

import pytest
import s3
import yaml
from clones import clone_to, experiment, ran, run
from listed import contents

pytestmark = pytest.mark.slow

CACHED = "is cached - skipping run"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A bucket, into which a clone has pushed a run, and a maker of clones that know the remote and not the run."""
    top = tmp_path_factory.mktemp("shared")
    first = clone_to(top / "first")
    run(first, "dvc", "remote", "add", "-d", "storage", "s3://bucket/pneumo")
    with s3.serving("bucket") as address:
        run(first, "dvc", "remote", "modify", "storage", "endpointurl", address)
        run(first, "git", "commit", "-qam", "a remote")
        experiment(first, "model=cnn", target="preprocess")
        run(first, "dvc", "push", "--run-cache", "download", "preprocess")

        def another(name: str, *, commit: bool = False):
            clone = top / name
            run(top, "git", "clone", "-q", str(first), str(clone))
            run(first, "cp", "params.yaml", str(clone))
            if commit:
                run(first, "cp", "dvc.lock", str(clone))
            return clone

        yield first, another


def test_a_lock_that_does_not_know_the_run_needs_the_run_cache_alone(shared):
    """As after an array of jobs, each with its own clone: docs/cluster.md, docs/sharing.md."""
    first, another = shared
    clone = another("assembled")
    said = run(clone, "dvc", "repro", "--pull", "preprocess").stdout
    assert ran(said) == []
    assert said.count(CACHED) == 2
    assert (clone / "dvc.lock").read_bytes() == (first / "dvc.lock").read_bytes()
    assert contents(clone / "data/raw") == contents(first / "data/raw")
    assert ran(run(clone, "dvc", "repro", "preprocess").stdout) == []


def test_a_lock_that_knows_the_run_needs_no_raw_images(shared):
    first, another = shared
    clone = another("without raw images", commit=True)
    run(clone, "dvc", "pull", "preprocess")
    assert ran(run(clone, "dvc", "repro", "--allow-missing", "preprocess").stdout) == []
    assert not (clone / "data/raw").exists()
    assert (clone / "data/processed/images.npy").read_bytes() == (first / "data/processed/images.npy").read_bytes()


def test_thousands_of_images_are_few_objects(shared):
    first, _ = shared
    cached = [path for path in (first / ".dvc/cache/files").rglob("*") if path.is_file()]
    assert len(contents(first / "data/raw")) == 82
    assert len(cached) == 8, "images.zip, two tables, three of data/processed, and a list of each folder"


def test_the_images_are_unpacked_as_the_page_says(shared, root):
    first, _ = shared
    command = "for shard in data/raw/images*.zip; do python -m zipfile -e $shard films; done"
    assert f"    {command}\n" in (root / "docs/sharing.md").read_text()
    run(first, "sh", "-c", command)
    films = {path.relative_to(first / "films").as_posix(): path.read_bytes() for path in first.glob("films/*/*/*")}
    assert films == contents(first / "data/raw")


NOWHERE = """  audit:
    cmd: python -m stages.audit
    outs:
    - path: data/audit
      hash: md5
      md5: 00000000000000000000000000000000.dir
"""


def test_what_a_job_without_the_cache_ran_and_pushed_another_clone_takes(shared):
    """The job's lock knows what it starts from, and outputs that nobody has."""
    first, another = shared
    job, assembling = another("job"), another("assembling")
    lock = yaml.safe_load((first / "dvc.lock").read_text())
    lock["stages"].pop("preprocess")
    for clone in (job, assembling):
        (clone / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False) + NOWHERE)
        params = (clone / "params.yaml").read_text()
        (clone / "params.yaml").write_text(params.replace("image_size: 80", "image_size: 64"))
    assert ran(run(job, "dvc", "repro", "--pull", "preprocess").stdout) == ["preprocess"]
    run(job, "dvc", "push", "--run-cache")
    said = run(assembling, "dvc", "repro", "--pull", "preprocess").stdout
    assert ran(said) == []
    assert said.count(CACHED) == 1
