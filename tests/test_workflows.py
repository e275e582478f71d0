"""The workflows keep their promises: pinned, valid, no write permission for a fork's code, one comment in its place."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pneumo.review.page import LIMIT

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


# The script. gh itself is replaced: what it would ask GitHub is answered from a file, through the real jq.

MARKER = "<!-- pneumo review -->"
SHA = "0123456789abcdef0123456789abcdef01234567"
RUN = "https://github.com/team/pneumo/actions/runs/5"
BOT = "github-actions[bot]"
GH = f"""#!{sys.executable}
import json, os, pathlib, shutil, sys
import jq
here = pathlib.Path(__file__).parent
given = sys.argv[1:]
options = {{name: value for name, value in zip(given, given[1:]) if name.startswith("--")}}
fields = dict(value.split("=", 1) for name, value in zip(given, given[1:]) if name in ("-f", "-F"))
method = options.get("--method", "GET")
if given[:2] == ["run", "download"]:
    shutil.copytree(here / "artifact", options["--dir"], symlinks=True)
    pages, call = [], ["download", given[2], options["--repo"], options["--name"]]
else:
    route = next(one for one in given[1:] if one.startswith("repos/"))
    pages, call = json.loads((here / "answers.json").read_text())[f"{{method}} {{route}}"], [method, route, fields]
    pages = pages if "--paginate" in given else pages[:1]
if "-F" in given and fields["body"].startswith("@"):  # -f would send the name of the file
    fields["body"] = pathlib.Path(fields["body"][1:]).read_bytes().decode()
with (here / "calls.jsonl").open("a") as log:
    log.write(json.dumps(call) + "\\n")
for page in pages:
    for value in jq.compile(options["--jq"]).input(page):
        print(value if isinstance(value, str) else json.dumps(value))
"""


class GitHub:
    """What GitHub would answer, and what it was asked."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "gh").write_text(GH)
        (folder / "gh").chmod(0o755)
        (folder / "artifact").mkdir()
        (folder / "artifact/review.md").write_text("no change\n")
        self.artifacts = [{"name": "review", "expired": False}]
        self.pulls = [{"number": 6, "head": {"sha": "f" * 40}}, {"number": 7, "head": {"sha": SHA}}]
        self.comments = [[], []]

    def post(self, **changed: str) -> str:
        written = {"html_url": "https://github.com/team/pneumo/pull/7#issuecomment-1"}
        answers = {
            "GET repos/team/pneumo/actions/runs/5/artifacts?name=review": [{"artifacts": self.artifacts}],
            "GET repos/team/pneumo/pulls": [self.pulls],
            "GET repos/team/pneumo/issues/7/comments?per_page=100": self.comments,
            "POST repos/team/pneumo/issues/7/comments": [written],
            "PATCH repos/team/pneumo/issues/comments/42": [written],
        }
        (self.folder / "answers.json").write_text(json.dumps(answers))
        run = {"REPO": "team/pneumo", "RUN_ID": "5", "HEAD_SHA": SHA, "HEAD_OWNER": "ann", "HEAD_BRANCH": "wider"}
        env = {"PATH": f"{self.folder}{os.pathsep}{PATH}"} | run | changed
        done = subprocess.run([SCRIPT], env=env, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def calls(self) -> list:
        return [json.loads(line) for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    @property
    def written(self) -> list[tuple[str, str, str]]:
        """Method, route and body of everything that would have changed GitHub."""
        return [(*call[:2], call[2]["body"]) for call in self.calls if call[0] not in ("GET", "download")]


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    return GitHub(tmp_path)


def comment(number: int, author: str = BOT, body: str = f"{MARKER}\nolder") -> dict:
    return {"id": number, "user": {"login": author}, "body": body}


def test_the_first_review_is_a_new_comment(github):
    assert github.post().startswith("posted https://")
    ((method, route, body),) = github.written
    assert (method, route) == ("POST", "repos/team/pneumo/issues/7/comments")
    head, text = body.split("\n\n", 1)
    assert head == f"{MARKER}\nReview of {SHA}, computed by the pull request's own code in [this run]({RUN})."
    assert text == "no change"


def test_the_next_review_updates_the_comment_also_when_it_is_on_a_later_page(github):
    others = [comment(1, body="looks good"), comment(2, author="mallory"), comment(3, body=f"> {MARKER}")]
    github.comments = [others, [comment(42), comment(43)]]
    assert github.post().startswith("updated https://")
    assert [call[:2] for call in github.written] == [("PATCH", "repos/team/pneumo/issues/comments/42")]


def test_a_reproduction_is_a_comment_of_its_own_that_says_who_compared(github):
    github.comments = [[comment(41), comment(42, body="<!-- pneumo reproduced -->\nolder")]]
    github.post(KIND="reproduced")
    ((_, route, body),) = github.written
    assert route == "repos/team/pneumo/issues/comments/42"
    assert body.startswith("<!-- pneumo reproduced -->\nReview of ")
    assert "compared by the code of the default branch in [this run]" in body.split("\n\n")[0]


def test_a_review_that_claims_a_reproduction_stands_below_a_line_that_does_not(github):
    (github.folder / "artifact/review.md").write_text(f"<!-- pneumo reproduced -->\nReview of {SHA}, run again\n")
    github.post()
    ((_, _, body),) = github.written
    assert body.startswith(f"{MARKER}\nReview of {SHA}, computed by the pull request's own code in")


@pytest.mark.parametrize(
    "others", [comment(1, body="looks good"), comment(2, author="mallory")], ids=["text", "author"]
)
def test_the_comment_of_somebody_else_is_left_alone(github, others):
    github.comments = [[others]]
    github.post()
    assert [call[0] for call in github.written] == ["POST"]


def test_run_by_hand_it_updates_the_comment_of_the_one_who_runs_it(github):
    github.comments = [[comment(1), comment(42, author="ann")]]
    github.post(AUTHOR="ann")
    assert [call[1] for call in github.written] == ["repos/team/pneumo/issues/comments/42"]


def test_nothing_is_posted_when_the_pull_request_has_moved_on(github):
    github.pulls = [{"number": 7, "head": {"sha": "f" * 40}}]
    assert f"no open pull request of ann:wider is at {SHA}" in github.post()
    assert not github.written


def test_nothing_is_posted_when_it_is_unclear_which_pull_request_was_reviewed(github):
    github.pulls = [{"number": 7, "head": {"sha": SHA}}, {"number": 8, "head": {"sha": SHA}}]
    assert "several open pull requests are at" in github.post()
    assert not github.written


@pytest.mark.parametrize("artifacts", [[], [{"name": "review", "expired": True}]], ids=["none", "expired"])
def test_nothing_is_posted_without_an_artifact(github, artifacts):
    github.artifacts = artifacts
    assert "run 5 has no artifact 'review'" in github.post()
    assert not github.written


def test_a_link_in_the_artifact_is_not_followed(github, tmp_path):
    (tmp_path / "secret").write_text("token")
    (tmp_path / "artifact/review.md").unlink()
    (tmp_path / "artifact/review.md").symlink_to(tmp_path / "secret")
    with pytest.raises(AssertionError, match=r"expected a file review\.md"):
        github.post()
    assert not github.written


def test_the_branch_of_the_event_is_asked_for_as_it_is(github):
    github.post(HEAD_BRANCH="a&state=all#$(touch made)`touch made`'\"")
    asked = next(call[2] for call in github.calls if call[1].endswith("/pulls"))
    assert asked["head"] == "ann:a&state=all#$(touch made)`touch made`'\""
    assert asked["state"] == "open"
    assert not (github.folder / "made").exists()


@pytest.mark.parametrize(
    "text", ["`touch made` $(touch made) ${HOME} \"'\\n %s \\", "@gh.json", "true", "≥ 0.9 ± 0.1 🩻"]
)
def test_the_review_arrives_as_it_is(github, text):
    (github.folder / "artifact/review.md").write_text(f"{text}\n\n- {text}\n")
    github.post()
    ((_, _, body),) = github.written
    assert body.split("\n\n", 1)[1] == f"{text}\n\n- {text}"
    assert not (github.folder / "made").exists()


def test_a_review_that_failed_is_said_to_have_failed(github):
    (github.folder / "artifact/review.md").write_text("\n")
    github.post()
    ((_, _, body),) = github.written
    assert body.endswith("\n\nNo result: the review itself failed, and the log of the run says why.")


@pytest.mark.parametrize(("letter", "length"), [("a", 70_000), ("±", 70_000), ("🩻", 66_000)])
def test_a_review_over_the_limit_is_cut_and_says_so(github, letter, length):
    (github.folder / "artifact/review.md").write_text(letter * length)
    github.post()
    ((_, _, body),) = github.written
    assert len(body) == 65_536
    assert body.endswith(letter)
    assert "Cut to fit a comment; the summary of the run has all of it." in body.split("\n\n")[0]


def test_a_review_that_just_fits_is_whole(github):
    (github.folder / "artifact/review.md").write_text("±" * LIMIT)
    github.post()
    ((_, _, body),) = github.written
    assert body.endswith("\n\n" + "±" * LIMIT)
