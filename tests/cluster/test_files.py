"""The files of cluster/ without a cluster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cluster"
SCRIPTS = sorted([*FOLDER.glob("*.sh"), *FOLDER.glob("*.sbatch")])
MANIFEST = yaml.safe_load((FOLDER / "kubernetes-job.yaml").read_text())
VERSION = "1.33"  # of Kubernetes: every pod of an indexed Job has retries of its own


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, "--external-sources", path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_job_of_kubernetes_follows_its_schema():
    schemas = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    schemas.validate(MANIFEST, VERSION, strict=True)
    with pytest.raises(schemas.ValidationError):
        schemas.validate({**MANIFEST, "spec": {**MANIFEST["spec"], "completion": 5}}, VERSION, strict=True)


def test_every_pod_trains_the_network_of_its_number(tmp_path):
    """The line of the manifest that picks it, with `dvc` standing by with names."""
    (script,) = MANIFEST["spec"]["template"]["spec"]["containers"][0]["args"]
    (line,) = [line for line in script.splitlines() if line.startswith("name=")]
    (tmp_path / "dvc").write_text("#!/bin/sh\nprintf '%s\\n' download train@cnn train@cnn-1 predict@cnn train@vgg16\n")
    (tmp_path / "dvc").chmod(0o755)
    names = []
    for number in range(3):
        environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(number)}
        done = subprocess.run(["bash", "-c", f'{line}; echo "$name"'], env=environment, capture_output=True, text=True)
        names.append(done.stdout.strip())
    assert names == ["cnn", "cnn-1", "vgg16"]
