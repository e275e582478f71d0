#!/usr/bin/env bash
# Submit the line-up of the commit that is checked out: one SLURM task trains one network, a last job assembles.
#     cluster/submit.sh [options of sbatch, for all jobs]
# Everything lies in PNEUMO_RUNS, which all nodes must see: by default a folder beside the project, with -runs at its end.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
    echo "error: commit your changes first: the jobs work on clones of HEAD" >&2
    exit 1
fi

PNEUMO_PROJECT=$PWD
PNEUMO_COMMIT=$(git rev-parse HEAD)
PNEUMO_RUN=${PNEUMO_RUNS:-$PWD-runs}/${PNEUMO_COMMIT:0:12}
PNEUMO_CACHE=$(dvc cache dir)
PNEUMO_CHECKPOINTS=${PNEUMO_CHECKPOINTS:-$(dirname "$PNEUMO_RUN")/checkpoints} # those of other commits can resume, too
export PNEUMO_PROJECT PNEUMO_COMMIT PNEUMO_RUN PNEUMO_CACHE PNEUMO_CHECKPOINTS
if [ -e "$PNEUMO_RUN/jobs" ] && squeue --noheader --jobs="$(cat "$PNEUMO_RUN/jobs")" 2> /dev/null | grep .; then
    echo "error: these jobs of the same commit have not ended: wait for them, or scancel them" >&2
    exit 1
fi
rm -rf "$PNEUMO_RUN/logs"
mkdir -p "$PNEUMO_RUN"/{clones/networks,finished,logs}
dvc stage list --name-only | sed -n 's/^train@//p' > "$PNEUMO_RUN/networks" # task N trains the network in line N

submit() { # NAME of the log, then options and the file
    sbatch --parsable --kill-on-invalid-dep=yes --open-mode=append --output="$PNEUMO_RUN/logs/$1.log" "${@:2}"
}
first=$(submit prepare "$@" cluster/prepare.sbatch)
array=$(submit train-%a "$@" --dependency="afterok:$first" --array="1-$(wc -l < "$PNEUMO_RUN/networks")" cluster/train.sbatch)
last=$(submit assemble "$@" --dependency="afterany:$array" cluster/assemble.sbatch)
echo "$first,$array,$last" > "$PNEUMO_RUN/jobs"
echo "jobs $first (data), $array (networks) and $last (results); logs in $PNEUMO_RUN/logs"
