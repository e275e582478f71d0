"""Commands of README.md and of the other pages, each with the test that runs it or the reason why none does."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
HERE = "tests/test_readme.py::test_the_commands_for_experiments_run_as_they_stand"
SHARED = "tests/test_pipeline.py::test_through_an_s3_bucket_another_clone_gets_everything_and_has_nothing_to_run"
RESTORED = "tests/test_pipeline.py::test_make_restore_goes_back_to_the_committed_results_and_deletes_nothing"
ONCE = "tests/test_pipeline.py::test_all_stages_run_once"
REGISTERED = "tests/registry/test_commands.py::test_the_commands_of_the_page_run_in_their_order"
PREDICTED = "tests/serving/test_predict.py::test_the_model_is_all_it_takes"
COMPARED = "tests/test_pipeline.py::test_another_backbone_runs_only_its_own_stages_and_metrics_diff_compares"
REVIEWED = "tests/review/test_command.py::test_the_exit_code_is_the_verdict"
MERGED = "tests/test_merge.py::test_two_branches_are_merged_and_nothing_is_trained_twice"
RECOMPUTED = "tests/test_cli.py::test_every_committed_figure_is_recomputed"
NODES = "tests/cluster/test_nodes.py::test_two_nodes_learn_what_one_learns_with_the_same_global_batch"
LINE_UP = "tests/cluster/test_line_up.py::test_the_lock_and_all_results_are_those_of_one_machine"
PULLED = "tests/cluster/test_line_up.py::test_the_results_come_into_the_project_as_the_page_says"
WORKERS = "tests/test_readme.py::test_workers_of_the_queue_leave_nothing_to_train"
ANYWHERE = "tests/test_readme.py::test_a_job_anywhere_leaves_its_network_in_the_shared_cache"
NOT = "not tried: "
KAGGLE = f"{NOT}needs the network; tests/sources/test_kaggle.py downloads from a server on this machine"
# A command, without its comment -> the test that runs it, or why none does.
README = {
    "make repro": ONCE,  # without the installation
    "make test": f"{NOT}it runs these tests",
    "source .venv/bin/activate": f"{NOT}the tests set what it sets",
    "dvc exp run -S model=inceptionv3": HERE,
    "dvc metrics diff": HERE,
    "dvc params diff": HERE,
    "dvc exp run -S model=resnet50 -S model.resnet50.lr=1e-4 -S train.epochs=6": HERE,
    "dvc exp run --queue -S model=cnn,resnet50": HERE,
    "dvc queue start": HERE,
    "dvc exp show --only-changed": HERE,
    "dvc exp apply NAME": HERE,
    "git stash": RESTORED,
    "dvc exp run": MERGED,
    "dvc repro": SHARED,
    "make restore": RESTORED,
    "pneumo weights": "tests/test_weights.py::test_every_backbone_is_listed_with_where_its_weights_are",
    "dvc exp run -S data=kaggle": KAGGLE,
    "dvc exp run -S data=archive -S data.path=/where/chest-xray.zip": (
        "tests/test_paths.py::test_a_path_with_every_sign_is_read_as_the_remedies_quote_it"  # of another data set
    ),
    "dvc exp run -S data=nih -S data.path=/where/nih": (
        "tests/sources/test_sets.py::test_a_public_set_is_read_by_its_own_file"  # up to download, of a few rows
    ),
    "pneumo predict film.jpeg": PREDICTED,
    "pneumo serve": "tests/web/test_server.py::test_one_line_says_where_it_is_and_what_the_model_is",
    "gto register pneumonia-classifier --version v0.1.0": REGISTERED,
    "gto assign pneumonia-classifier --version v0.1.0 --stage dev": REGISTERED,
    "pneumo predict film.dcm --model 'https://example.org/you/pneumo.git#dev'": REGISTERED,
    "pneumo review main": REVIEWED,
    "dvc metrics diff main": HERE,
    "dvc plots diff main": COMPARED,
    "make verify": RECOMPUTED,
    "dvc remote add -d storage s3://bucket/pneumo": SHARED,
    "dvc push": SHARED,
    "dvc pull": SHARED,
}
GOT = "tests/test_weights.py::test_fetch_says_what_is_here_and_what_needs_none"
SEEDS = "tests/test_pipeline.py::test_one_more_seed_trains_only_that_one"
PLANNED = "tests/review/test_power.py::test_as_it_is_typed"
OTHER_PAGES = {
    "pneumo predict films/ --format csv > predictions.csv": (
        "tests/serving/test_predict.py::test_folders_are_searched_at_any_depth_in_the_order_of_names"
    ),
    "pneumo predict films/ --heatmap maps --format csv": (
        "tests/serving/test_heatmap.py::test_every_image_has_a_picture_that_its_row_names"
    ),
    "find /where -name '*.dcm' | pneumo predict - --format jsonl": (
        "tests/serving/test_predict.py::test_a_dash_stands_for_a_list_on_standard_input"
    ),
    "pip install 'pneumo[predict] @ git+https://example.org/your/pneumo'": (
        "tests/serving/test_wheel.py::test_a_wheel_with_a_small_set_of_packages_predicts"  # of a wheel
    ),
    "pneumo predict film.dcm --model best": (
        "tests/serving/test_wheel.py::test_a_wheel_with_a_small_set_of_packages_predicts"
    ),
    "pip install 'pneumo[predict,sr] @ git+https://example.org/your/pneumo'": f"{NOT}as the one above, with highdicom",
    "pneumo predict film.dcm --sr reports/": (
        "tests/dicom_sr/test_structured_report.py::test_the_report_belongs_to_the_study_of_the_film"
    ),
    "pneumo export --to hub": "tests/hub/test_hub.py::test_the_command_says_what_is_next_and_imports_no_torch",
    "hf upload USER/NAME hub": f"{NOT}it needs the network and an account",
    "pneumo predict films/ --error-rate 5%": (
        "tests/serving/test_unsure.py::test_the_command_says_so_beside_the_probability"
    ),
    "podman build --file Containerfile --tag pneumo .": (
        "tests/container/test_containerfile.py::test_the_image_predicts"  # its steps
    ),
    "podman run --rm --read-only --publish 127.0.0.1:8000:8000 --env PNEUMO_TOKEN --volume ./models/best:/model:ro,z "
    "pneumo": "tests/container/test_containerfile.py::test_the_image_serves_and_its_health_check_sees_it",
    "dvc push models/best": REGISTERED,
    "git push origin main --tags": REGISTERED,
    "gto show": REGISTERED,
    "pneumo predict film.dcm --model pneumonia-classifier@dev": REGISTERED,
    "pneumo predict film.dcm --model pneumonia-classifier@v0.1.0": REGISTERED,
    "pneumo predict film.dcm --model pneumonia-classifier": REGISTERED,
    "pneumo predict film.dcm --model 'https://example.org/you/pneumo.git#v0.1.0'": REGISTERED,
    "pneumo predict film.dcm --model 'https://example.org/you/pneumo.git#pneumonia-classifier@dev'": REGISTERED,
    "dvc artifacts get https://example.org/you/pneumo.git pneumonia-classifier --stage dev -o best": REGISTERED,
    "git show pneumonia-classifier@v0.1.0:metrics/best.json": REGISTERED,
    "dvc metrics diff pneumonia-classifier@v0.1.0": REGISTERED,
    "gto assign pneumonia-classifier --version v0.1.0 --stage prod --force": REGISTERED,
    "git push --tags": REGISTERED,
    "gto history pneumonia-classifier": REGISTERED,
    "gto deprecate pneumonia-classifier v0.2.0 prod": REGISTERED,
    "gto deprecate pneumonia-classifier v0.2.0": REGISTERED,
    "pip install 'pneumo[serve] @ git+https://example.org/your/pneumo'": (
        "tests/web/test_static.py::test_a_wheel_has_the_page"  # a wheel's files
    ),
    "curl -F images=@film.dcm -F images=@other.png http://127.0.0.1:8000/predict": (
        "tests/web/test_server.py::test_the_commands_of_the_page"
    ),
    "export PNEUMO_TOKEN=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')": (
        "tests/web/test_server.py::test_the_commands_of_the_page"
    ),
    "pneumo serve --host 0.0.0.0": ("tests/web/test_server.py::test_with_a_token_only_those_who_have_it_are_answered"),
    "make .venv/.complete && source .venv/bin/activate": f"{NOT}it installs what the tests run with",
    'pytest -m "not slow"': f"{NOT}it runs these tests",
    "pneumo weights fetch resnet50 vgg16": GOT,  # of weights that are here
    """dvc exp run -S model=vit_base_dino -S 'model.vit_base_dino.weights="hf-hub:OWNER/NAME/FILE#sha256=..."'""": (
        "tests/test_params.py::test_weights_of_the_hub_are_named_as_the_page_says"
    ),
    "dvc exp run -S train.seeds=3": SEEDS,
    "dvc exp run -S 'train.seeds=[0,1,2,7]'": SEEDS,
    "pneumo power main --difference 0.01": PLANNED,
    "pneumo power --difference 0.01 --metric recall": PLANNED,
    "pneumo status": "tests/review/test_status.py::test_a_difference_is_no_failure_and_a_broken_file_is",
    "make lint": f"{NOT}it checks style and types beside the tests",
    "make format": f"{NOT}it rewrites the code",
    "make gate": "tests/verification/test_gate.py::test_the_committed_results_are_those_of_the_committed_code",
    "make review BASE=main": f"{NOT}it is `pneumo review --merge-base`, written to a file",
    "pneumo review main my-branch": REVIEWED,
    "-S split.leave_out=site:nih": "tests/test_sites.py::test_leaving_one_site_out_makes_it_the_test_part",
    "dvc exp run -S data=archive -S data.path=/where/chest-xray.zip -S data.site=kermany -S +data@sites.nih=nih "
    "-S sites.nih.path=/where/nih": "tests/test_sites.py::test_the_command_of_the_page_composes",
    "python -c 'import secrets; print(secrets.token_hex(32))' > .patient.key": (
        "tests/preprocessing/test_headers.py::test_without_a_key_the_remedy_works_when_pasted"
    ),
    "dvc exp run -S data=archive -S data.path=/where/films -S data.expected=null "
    "-S preprocess.patient_key=.patient.key": (
        "tests/preprocessing/test_headers.py::test_no_identifier_leaves_the_files"
    ),
    "dvc exp run -S data=table -S data.table=/where/labels.csv -S data.path=/where/images "
    "-S data.columns.image=image_id -S data.columns.label=finding -S data.columns.patient=patient_id "
    "-S 'data.columns.keep=[age,sex,site]' -S 'data.labels.pneumonia=[Pneumonia]' "
    "-S 'data.labels.normal=[No Finding]'": (
        "tests/sources/test_table.py::test_every_row_becomes_an_image_with_its_file_at_the_same_path"
    ),
    "dvc exp run -S recipe=from_scratch -S data=archive -S data.path=chest-xray-pneumonia-224.zip "
    "-S preprocess.image_size=128 -S model=cnn10 -S model.cnn10.input_size=64 -S train.epochs=8": (
        f"{NOT}it trains on the real images; its stages were run one by one"
    ),
    "dvc exp run -S external=nih_adults -S external.nih_adults.path=/where/images "
    "-S external.nih_adults.table=/where/labels.csv": (
        "tests/external/test_external_sets.py::test_the_command_of_the_page_composes_and_its_source_is_read"
    ),
    'git add -A && git commit -m "Fifty films more"': f"{NOT}it is git's own",
    "make reproduce BASE=main": f"{NOT}it is `dvc repro --no-run-cache` with the lock of base",
    "pneumo review main BRANCH --reproduced ../that-clone": (
        "tests/review/test_reproduced.py::test_scores_that_the_pipeline_gives_are_reproduced"
    ),
    "git merge other-branch": MERGED,
    "git add -A && git commit --no-edit": MERGED,
    "git commit -a --amend --no-edit": MERGED,
    "dvc exp run -S model=densenet121": f"{NOT}other backbones run; tests/models builds this one",
    "dvc exp run -S data=hospital -S data.path=/where/share": f"{NOT}there is no such source",
    "dvc exp run -S data=archive -S data.path=/where/chest-xray-pneumonia.zip -S data.subset=600 "
    "-S model=resnet50 -S recipe=from_scratch": f"{NOT}it needs the real images",
    """dvc exp run -S data=archive -S "data.path='/films (1)/export.zip'" -S data.expected=null""": (
        "tests/test_paths.py::test_a_path_is_read_as_docs_real_data_quotes_it"
    ),
    "dvc exp run -S train.devices=4": f"{NOT}it needs four GPUs",
    "torchrun --standalone --nproc-per-node=4 -m stages.train resnet50": (
        "tests/training/test_distributed.py::test_two_processes_learn_what_one_learns"
    ),
    'export PNEUMO_LAUNCHER="srun --nodes=2 --ntasks-per-node=4 --cpus-per-task=2 --kill-on-bad-exit"': NODES,
    "dvc exp run -S train.nodes=2 -S train.devices=4": NODES,  # with one process on each
    "dvc exp run -S data=archive -S data.path=/where/chest-xray.zip -S train.seeds=3 download": LINE_UP,
    'git commit -am "A line-up to train"': LINE_UP,
    "cluster/submit.sh --partition=gpu --gres=gpu:1": LINE_UP,  # without a GPU
    "squeue --me": LINE_UP,
    "WHOLE=../pneumo-runs/0123456789ab/clones/whole": PULLED,
    'git -C $WHOLE add -A && git -C $WHOLE commit -m "Results of the line-up"': PULLED,
    "git pull --ff-only $WHOLE HEAD && dvc checkout": PULLED,
    "export PNEUMO_CHECKPOINTS=$PWD/.checkpoints": WORKERS,
    "dvc exp run -S runtime.threads=1 preprocess": WORKERS,
    "for name in cnn resnet50; do dvc exp run --queue -S model=$name -S runtime.threads=1 predict; done": WORKERS,
    "dvc queue start --jobs 2": WORKERS,
    "dvc queue status": WORKERS,
    "dvc exp run -S model=[cnn,resnet50] -S runtime.threads=1": WORKERS,
    'git clone --quiet "$PROJECT" work && cd work && git checkout --quiet "$COMMIT"': ANYWHERE,
    'dvc config --local cache.dir "$CACHE"': ANYWHERE,
    'export PNEUMO_CHECKPOINTS="$SHARED/checkpoints"': ANYWHERE,
    'dvc repro "train@$NAME" "predict@$NAME"': ANYWHERE,
    "dvc exp run --queue -S model=cnn10 -S 'model.cnn10.lr=1e-3,2e-3,4e-3' "
    "-S 'train.label_smoothing=range(0.0,0.11,0.05)'": HERE,
    "dvc exp show --only-changed --sort-by metrics/best.json:stress.all.roc_auc --sort-order desc": HERE,
    'git add .dvc/config && git commit -m "A remote for data and models"': SHARED,
    "dvc push --run-cache": SHARED,
    "dvc pull --run-cache": SHARED,
    "dvc repro --pull": "tests/test_sharing.py::test_a_lock_that_does_not_know_the_run_needs_the_run_cache_alone",
    "for shard in data/raw/images*.zip; do python -m zipfile -e $shard films; done": (
        "tests/test_sharing.py::test_the_images_are_unpacked_as_the_page_says"
    ),
    "dvc remote modify storage endpointurl https://s3.example.org": SHARED,
}
PROGRAMS = ("dvc", "git", "make", "pip", "pneumo", "pytest", "python", "source", "uv")


def blocks(page: Path) -> list[str]:
    """Commands of the indented blocks of a page, on one line each and without comments. What a command prints, which
    starts with Markdown, is none."""
    text = "\n" + re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    commands = []
    for block in re.findall(r"(?<=\n\n)(?:    .+\n)+", text):
        lines = re.sub(r"\s*\\\n\s*", " ", block).splitlines()
        commands += [re.sub(r"\s+# .*", "", line.strip()) for line in lines if not re.match(r" *(#|\||\*\*)", line)]
    return commands


def spans(page: Path) -> list[str]:
    """Commands within the sentences of a page: `make test` and the like."""
    words = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", page.read_text())]
    return [word for word in words if word.split()[0] in PROGRAMS and " " in word]


def is_output(line: str) -> bool:
    return line.startswith(("Base is ", "Differences below", "These ", "The verdict is", "- "))


def block(page: str, first: str) -> list[str]:
    """The lines of the indented block of `page` that starts with `first`."""
    text = (ROOT / "docs" / page).read_text()
    start = text.index(f"    {first}")
    return [line.strip() for line in text[start : text.index("\n\n", start)].splitlines()]
