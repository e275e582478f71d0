#!/usr/bin/env bash
# Posts the review of a run as the one comment of its pull request, or updates that comment. By hand, logged in with gh:
#   REPO=owner/name RUN_ID=1 HEAD_SHA=... HEAD_OWNER=owner HEAD_BRANCH=branch AUTHOR=you .github/post-review.sh
set -euo pipefail
: "${REPO:?}" "${RUN_ID:?}" "${HEAD_SHA:?}" "${HEAD_OWNER:?}" "${HEAD_BRANCH:?}"
export HEAD_SHA                                # the jq programs of gh read it
export AUTHOR="${AUTHOR:-github-actions[bot]}" # the comment of somebody else who copied the marker stays as it is
case "${KIND:-review}" in
review)
    export MARKER='<!-- pneumo review -->'
    readonly BY="computed by the pull request's own code"
    ;;
reproduced) # a comment of its own, which no run of the pull request's code can reach
    export MARKER='<!-- pneumo reproduced -->'
    readonly BY="with its pipeline run again; compared by the code of the default branch"
    ;;
*)
    echo "KIND is $KIND; expected review or reproduced" >&2
    exit 1
    ;;
esac
export LC_ALL=C.UTF-8 # lengths are in characters
readonly LIMIT=65536  # characters in a comment, from GitHub
readonly URL="${GITHUB_SERVER_URL:-https://github.com}/$REPO/actions/runs/$RUN_ID"

artifacts=$(gh api "repos/$REPO/actions/runs/$RUN_ID/artifacts?name=review" \
    --jq '[.artifacts[] | select(.name == "review" and (.expired | not))] | length')
if ((artifacts == 0)); then
    echo "run $RUN_ID has no artifact 'review': nothing to post"
    exit 0
fi

# The artifact is the pull request's own word, so it does not say where it goes: GitHub knows whose run this was.
pull=$(gh api --method GET "repos/$REPO/pulls" -f state=open -f head="$HEAD_OWNER:$HEAD_BRANCH" -f per_page=100 \
    --jq '.[] | select(.head.sha == env.HEAD_SHA) | .number')
if [[ -z $pull ]]; then
    echo "no open pull request of $HEAD_OWNER:$HEAD_BRANCH is at $HEAD_SHA: a newer push is reviewed by its own run"
    exit 0
fi
if [[ $pull == *$'\n'* ]]; then # of different bases, and the event does not say which of them this run compared with
    echo "several open pull requests are at $HEAD_SHA: ${pull//$'\n'/, }"
    echo "the review is in the summary of $URL"
    exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
gh run download "$RUN_ID" --repo "$REPO" --name review --dir "$folder/artifact"
review="$folder/artifact/review.md"
if [[ ! -f $review || -L $review ]]; then # a link could show a file of this machine to the world
    echo "artifact 'review' of run $RUN_ID: expected a file review.md, found:" >&2
    ls -lA "$folder/artifact" >&2
    exit 1
fi

text=$(<"$review")
text=${text:-No result: the review itself failed, and the log of the run says why.}
head="$MARKER
Review of $HEAD_SHA, $BY in [this run]($URL)."
# Said above the text: below, an open code block or <details> would swallow it.
shortened="$head Cut to fit a comment; the summary of the run has all of it."
if ((${#head} + 2 + ${#text} > LIMIT)); then
    head=$shortened
    text=${text:0:LIMIT - ${#head} - 2}
fi
printf '%s\n\n%s' "$head" "$text" >"$folder/body.md"

comments=$(gh api --paginate "repos/$REPO/issues/$pull/comments?per_page=100" \
    --jq '.[] | select(.user.login == env.AUTHOR and (.body | startswith(env.MARKER))) | .id')
comment=${comments%%$'\n'*}
if [[ -n $comment ]]; then
    gh api --method PATCH "repos/$REPO/issues/comments/$comment" -F body=@"$folder/body.md" --jq '"updated " + .html_url'
else
    gh api --method POST "repos/$REPO/issues/$pull/comments" -F body=@"$folder/body.md" --jq '"posted " + .html_url'
fi
