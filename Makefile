# Two commands: `make repro` and `make test`. Python 3.11+, make and git are all they need.
PYTHON ?= python3
UV_VERSION = $(shell sed -n 's/^uv==\([^ ]*\) .*/\1/p' requirements.lock)
UV = .venv/bin/uv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

BASE ?= main

.PHONY: help repro restore test verify review reproduce gate lint format lock clean
help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile

repro: .venv/.complete ## Run the whole pipeline; a second run does only what has changed
	dvc repro
	pneumo status || true

restore: .venv/.complete ## Go back to the committed results; what a run changed goes to git stash and .trash/
	git stash push --include-untracked --message 'results before make restore' -- params.yaml dvc.lock machine.json metrics scores reports/plots
	trash=.trash/$$(date +%Y-%m-%dT%H-%M-%S); for made in models outputs dvclive; do \
		if [ -e $$made ]; then mkdir -p $$trash && mv $$made $$trash; fi; done
	dvc checkout --allow-missing
	pneumo status

test: .venv/.complete ## Run the test suite
	pytest

verify: .venv/.complete ## Recompute every committed figure from the committed scores
	pneumo verify

review: .venv/.complete ## Say whether this branch differs from where it left BASE=main: review.md, as in a pull request
	pneumo review --merge-base $(BASE) > review.md; status=$$?; cat review.md; exit $$status

reproduce: .venv/.complete ## In a clone of its own: run again all that differs from where this branch left BASE=main
	base=$$(git merge-base $(BASE) HEAD) && git show "$$base:dvc.lock" > dvc.lock
	if dvc config core.remote; then dvc pull --allow-missing; fi
	dvc repro --no-run-cache

gate: .venv/.complete ## Check that the committed results are those of this code and these parameters
	pneumo gate

lint: .venv/.complete ## Check style and types
	ruff check
	ruff format --check
	mypy

format: .venv/.complete ## Put the code into its standard form
	ruff check --fix
	ruff format

lock: .venv/.complete ## Compile the locks from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --extra dev --extra train --extra dicom --extra parquet --extra s3 --extra serve --extra registry --extra sr --extra weights $(UPGRADE) \
		--custom-compile-command 'make lock' --quiet pyproject.toml --output-file requirements.lock
	# Of the container alone: pip wants hashes for exactly what it installs. The same versions.
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --extra serve --constraint requirements.lock --no-annotate \
		--custom-compile-command 'make lock' --quiet pyproject.toml --output-file requirements-serve.lock

clean: ## Remove the environment and the caches of the developer's tools
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/.complete: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pneumo needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	test -x $(UV) && $(UV) --version | grep -qF 'uv $(UV_VERSION) ' || .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'
	$(UV) pip sync --quiet --python .venv/bin/python --require-hashes --compile-bytecode requirements.lock
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	touch $@
