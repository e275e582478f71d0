"""The workflows keep their promises: pinned, valid, no write permission for a fork's code."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / ".github/workflows").iterdir())
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in FILES}
SCRIPT = ROOT / ".github/post-review.sh"
# Of this environment, also when it is not activated.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def check(name: str, *arguments: object, given: str | None = None) -> None:
    program = shutil.which(name, path=PATH)
    assert program, f"{name} is missing: make test installs it"
    done = subprocess.run([program, *map(str, arguments)], cwd=ROOT, input=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def steps(name: str) -> list[dict]:
    return [step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]]


def commands(name: str) -> list[str]:
    return [step["run"] for step in steps(name) if "run" in step]


def permissions(name: str) -> list[dict]:
    jobs = [job["permissions"] for job in WORKFLOWS[name]["jobs"].values() if "permissions" in job]
    return [WORKFLOWS[name]["permissions"], *jobs]


def test_there_are_workflows():
    assert set(WORKFLOWS) == {"test", "review", "comment", "reproduce"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_follows_the_schema_of_github(path):
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", path)


def test_zizmor_finds_nothing():
    check("zizmor", "--offline", "--no-progress", "--quiet", ".github")


def test_shellcheck_finds_nothing_in_the_script():
    check("shellcheck", SCRIPT)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_shellcheck_finds_nothing_in_the_steps(name):
    for command in commands(name):
        check("shellcheck", "--shell=bash", "-", given=f"set -e\n{command}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit_with_its_version(path):
    uses = re.findall(r"uses: *(.+)", path.read_text())
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_one_pin_everywhere():
    pins = {step["uses"] for name in WORKFLOWS for step in steps(name) if "uses" in step}
    assert len(pins) == len({pin.split("@")[0] for pin in pins}), pins


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_names_its_permissions_and_keeps_no_token_in_the_checkout(name):
    assert all(isinstance(granted, dict) for granted in permissions(name)), "read-all and write-all are not a list"
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_the_comment_may_write_and_only_comments():
    writing = {
        (name, key) for name in WORKFLOWS for granted in permissions(name) for key in granted if granted[key] == "write"
    }
    assert writing == {("comment", "pull-requests"), ("reproduce", "pull-requests")}
    granted = {name: job.get("permissions", {}) for name, job in WORKFLOWS["reproduce"]["jobs"].items()}
    assert [name for name in granted if "write" in granted[name].values()] == ["comment"]


def test_secrets_are_named_nowhere():
    assert not [path.name for path in FILES if "secrets" in path.read_text()]


def test_the_workflow_that_may_write_touches_nothing_of_the_pull_request():
    assert commands("comment") == [".github/post-review.sh"]
    used = [(step["uses"].split("@")[0], step["with"]) for step in steps("comment") if "uses" in step]
    # Without a ref this is the default branch.
    assert used == [("actions/checkout", {"sparse-checkout": ".github", "persist-credentials": False})]
    assert not re.search(r"\b(make|source|eval|pneumo) ", re.sub("#.*|'.*?'", "", SCRIPT.read_text()))


def job(name: str) -> dict:
    return WORKFLOWS["reproduce"]["jobs"][name]


def test_a_reproduction_is_started_by_hand_on_the_default_branch_alone():
    assert list(WORKFLOWS["reproduce"][True]) == ["workflow_dispatch"]
    assert WORKFLOWS["reproduce"]["permissions"] == {}
    first, *others = WORKFLOWS["reproduce"]["jobs"].values()
    assert "github.ref_name == github.event.repository.default_branch" in first["if"]
    assert all("pull" in job["needs"] and "if" not in job for job in others), (
        "a job that is left out stops what follows"
    )


def test_the_code_of_the_pull_request_runs_where_there_is_nothing_to_steal():
    """In a job that may read, without a token or any other variable of GitHub, and nothing later is on its machine."""
    assert job("run")["permissions"] == {"contents": "read"}
    assert {key for step in job("run")["steps"] for key in step.get("env", {})} == {"BASE_REF"}
    assert [step["run"] for step in job("run")["steps"] if "run" in step] == [
        'base=$(git rev-parse --verify "origin/$BASE_REF^{commit}")\nmake reproduce BASE="$base"\n'
    ]
    of_the_pull_request = [
        (name, step["with"].get("path"))
        for name in WORKFLOWS["reproduce"]["jobs"]
        for step in job(name)["steps"]
        if "needs.pull" in str(step.get("with", {}).get("ref"))
    ]
    assert of_the_pull_request == [("run", None), ("compare", "pull")]


def test_what_is_compared_is_read_by_the_code_of_the_default_branch():
    first, second = (step["with"] for step in job("compare")["steps"] if "checkout" in step.get("uses", ""))
    assert first == {"fetch-depth": 0, "persist-credentials": False}, "without a ref this is the default branch"
    assert second["path"] == "pull"
    for command in (step["run"] for step in job("compare")["steps"] if "run" in step):
        assert not re.search(r"\bcd\b|(pull|reproduced)/|-C", command)


def test_the_comment_on_a_reproduction_is_what_the_comparison_wrote():
    """`run` could upload a `review` of its own; then the comparison cannot, fails, and nothing is posted."""
    assert job("comment")["needs"] == ["pull", "compare"]
    (upload,) = (step["with"] for step in job("compare")["steps"] if "upload" in step.get("uses", ""))
    assert upload == {"name": "review", "path": "review.md", "if-no-files-found": "error"}
    posting = [step["run"] for step in job("comment")["steps"] if "run" in step]
    assert posting == [".github/post-review.sh", 'exit "$STATUS"']


def test_the_workflow_that_may_write_follows_the_review_of_a_pull_request_alone():
    assert WORKFLOWS["comment"][True] == {"workflow_run": {"workflows": ["review"], "types": ["completed"]}}
    assert WORKFLOWS["review"]["name"] == "review"
    for job in WORKFLOWS["comment"]["jobs"].values():
        assert job["if"] == "github.event.workflow_run.event == 'pull_request'"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_template_is_expanded_inside_a_command(name):
    assert not [command for command in commands(name) if "${{" in command]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_steps_are_commands_that_exist_here(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for command in commands(name):
        assert set(re.findall(r"\bmake ([a-z]+)", command)) <= targets
        for script in re.findall(r"^\.\S+", command, flags=re.MULTILINE):
            assert os.access(ROOT / script, os.X_OK), script


def test_the_review_is_of_the_commit_of_the_pull_request_and_stays_red():
    checkouts = [step["with"] for step in steps("review") if step.get("uses", "").startswith("actions/checkout@")]
    assert [given["ref"] for given in checkouts] == ["${{ github.event.pull_request.head.sha }}"] * 2
    assert not [step for step in steps("review") if step.get("continue-on-error")]
    assert not re.search(r"\|\||; *true|set \+e", "\n".join(commands("review")))


GITLAB = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs/gitlab.md").read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_jobs_for_gitlab_follow_its_schema(tmp_path):
    assert len(GITLAB) == 2
    for place, text in enumerate(GITLAB):
        (tmp_path / f"{place}.yml").write_text(text)
        check("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", tmp_path / f"{place}.yml")
    for name, gitlab_job in (pair for text in GITLAB for pair in yaml.safe_load(text).items()):
        for key in ("script", "after_script"):
            check("shellcheck", "--shell=bash", "-", given="\n".join(["set -e", *gitlab_job.get(key, [])]))
        assert set(re.findall(r"\bmake ([a-z]+)", str(gitlab_job["script"]))) <= {"review", "gate", "reproduce"}, name


def test_on_gitlab_the_pipeline_is_run_again_by_hand_from_the_default_branch_and_without_a_token_of_ours():
    for text in GITLAB[1:]:
        for gitlab_job in yaml.safe_load(text).values():
            ((condition,),) = (rule.values() for rule in gitlab_job["rules"])
            assert '$CI_PIPELINE_SOURCE == "web" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' in condition
            assert "TOKEN" not in str(gitlab_job)
