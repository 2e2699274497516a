# make          lint + test
# make demo     the main job: export sbcformer_xs to int8
# All of them set up what they need in $(VENV).

VENV ?= .venv
PYTHON ?= python3
# The CPU build that edgevit is tested with.
TORCH = torch==2.13.0

.PHONY: all demo test lint format

all: lint test

demo: $(VENV)/export
	$(VENV)/bin/edgevit export sbcformer_xs --int8

test: $(VENV)/dev
	$(VENV)/bin/python -m pytest

lint: $(VENV)/dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# A file in the environment says which extra is installed, so that the next call starts at once.
$(VENV)/export $(VENV)/dev: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet $(TORCH) -e '.[$(@F)]'
	touch $@
