# shellcheck shell=bash
# What a job needs, wherever it runs: a clone of its own, for DVC lets one process at a time work in a folder, and one
# cache for all, in which each finds what others computed. To be sourced: . cluster/clone.sh NAME
clone=$PNEUMO_RUN/clones/$1
if [ ! -d "$clone" ]; then # a requeued job goes on in the one that it had
    rm -rf "$clone.part"
    git clone --quiet --shared --no-checkout "$PNEUMO_PROJECT" "$clone.part"
    git -C "$clone.part" checkout --quiet --detach "$PNEUMO_COMMIT"
    mv "$clone.part" "$clone"
fi
cd "$clone" || exit
rm -f .dvc/tmp/rwlock # of a killed job, perhaps on another node: nobody else works here
if [ -f "$PNEUMO_PROJECT/.dvc/config.local" ]; then cp "$PNEUMO_PROJECT/.dvc/config.local" .dvc/; fi
PATH=$PNEUMO_PROJECT/.venv/bin:$PATH
dvc config --quiet --local cache.dir "$PNEUMO_CACHE"
