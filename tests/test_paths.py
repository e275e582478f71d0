"""Paths of every kind given to `dvc exp run`, as a shell, Hydra, DVC and the stage read them."""

import hashlib
import zipfile
from pathlib import Path

import pytest
import yaml
from clones import clone_to, ran, run
from listed import contents

from pneumo.errors import override
from pneumo.sources import FOLDERS

pytestmark = pytest.mark.slow

ODD = 'Röntgen (1) [2] {3} = it\'s & #4, "5" ~ $HOME %d.zip'
COMMAND = "dvc exp run -S data=archive -S data.expected=null -S model=cnn"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone_to(tmp_path_factory.mktemp("paths") / "pneumo")


def make_zip(path: Path) -> Path:
    """Files that differ from path to path, under the names of images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for folder in FOLDERS:
            file.writestr(f"{folder}/a.jpeg", hashlib.sha256(path.name.encode()).hexdigest() + folder)
    return path


def obtained(clone: Path) -> str:
    return contents(clone / "data/raw")["test/NORMAL/a.jpeg"].decode()[:64]


def test_a_path_with_every_sign_is_read_as_the_remedies_quote_it(clone, tmp_path):
    path = make_zip(tmp_path / ODD)
    run(clone, "sh", "-c", f"{COMMAND} {override('data.path', str(path))} download")
    assert yaml.safe_load((clone / "params.yaml").read_text())["data"]["path"] == str(path)
    assert obtained(clone) == hashlib.sha256(ODD.encode()).hexdigest()


def test_a_path_is_read_as_docs_real_data_quotes_it(clone, tmp_path, root):
    line = """-S "data.path='/films (1)/export.zip'" -S data.expected=null"""
    assert line in (root / "docs/real-data.md").read_text()
    make_zip(tmp_path / "films (1)/export.zip")
    run(clone, "sh", "-c", f"{COMMAND} {line.replace('/films', f'{tmp_path}/films')} download")
    assert obtained(clone) == hashlib.sha256(b"export.zip").hexdigest()


def test_a_home_is_found(clone, tmp_path):
    make_zip(tmp_path / "home.zip")
    run(clone, "sh", "-c", f"""HOME={tmp_path} {COMMAND} -S "data.path='~/home.zip'" download""")
    assert obtained(clone) == hashlib.sha256(b"home.zip").hexdigest()
    assert yaml.safe_load((clone / "params.yaml").read_text())["data"]["path"] == "~/home.zip"
    lock = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]["download"]
    assert f"{tmp_path}/home.zip" in [dep["path"] for dep in lock["deps"]]


def test_a_changed_byte_of_the_archive_runs_download_again(clone, tmp_path):
    path = make_zip(tmp_path / "films.zip")
    run(clone, "sh", "-c", f"{COMMAND} -S data.path={path} download")
    assert ran(run(clone, "dvc", "repro", "download").stdout) == []
    content = path.read_bytes()
    make_zip(tmp_path / "others.zip").replace(path)
    assert ran(run(clone, "dvc", "repro", "download").stdout) == ["download"]
    assert obtained(clone) == hashlib.sha256(b"others.zip").hexdigest()
    path.write_bytes(content)


def test_a_colleague_without_the_archive_goes_on_with_the_images(clone, tmp_path):
    path = make_zip(tmp_path / "films.zip")
    run(clone, "sh", "-c", f"{COMMAND} -S data.path={path} download")
    path.unlink()
    done = run(clone, "dvc", "repro", "download", check=False)
    assert done.returncode != 0
    assert str(path) in done.stderr
    assert ran(run(clone, "dvc", "repro", "--allow-missing", "download").stdout) == []


def test_a_relative_path_of_a_run_elsewhere_counts_from_the_project(clone):
    """`dvc exp run --temp` and queued runs work in a copy of the project that lacks what git does not know."""
    make_zip(clone / "data/mine.zip")
    done = run(clone, "sh", "-c", f"{COMMAND} --temp -S data.path=data/mine.zip download")
    assert ran(done.stdout) == ["download"]
    (name,) = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("Ran experiment(s): ")]
    (ref,) = run(clone, "git", "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}").stdout.split()
    download = yaml.safe_load(run(clone, "git", "show", f"{ref}:dvc.lock").stdout)["stages"]["download"]
    assert str(clone / "data/mine.zip") in [dep["path"] for dep in download["deps"]]
    assert download["outs"][0]["nfiles"] == 3, "images.zip, images.csv and left_out.csv"
