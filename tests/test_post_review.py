"""The script that posts a review: one comment in its place, whatever GitHub answers.

gh is replaced: what it would ask GitHub is answered from a file, through the real jq.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pneumo.review.page import LIMIT

SCRIPT = Path(__file__).parent.parent / ".github/post-review.sh"
# Of this environment, also when it is not activated.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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
