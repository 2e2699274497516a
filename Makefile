# make          lint + test
# make demo     the main job: export sbcformer_xs to int8
# make test-all the slow tests too
# make audit    known holes of what is installed, where the advisory service can be reached
# make test-a72 the board's promises on an emulated Cortex-A72; needs an x86-64 Debian, takes a while
# make mutants MODULE=runtime/delivery/spool.py
#               plants faults in a core module and runs its tests: what is noticed, and what not; takes a while
# make board-wheel  dist/board/: edgevit for a board, small as it lacks the exporter's weights; each has a version of its own
# All of them set up what they need in $(VENV).

VENV ?= .venv
PYTHON ?= python3
# Where the emulated board is built.
A72 ?= .a72
# Tested is its CPU build; PyPI's for x86 Linux brings NVIDIA's libraries: README says how to spare them.
TORCH = torch==2.13.0

PIP_AUDIT = pip-audit>=2.7

.PHONY: all audit board-wheel demo test test-all test-a72 mutants lint format

all: lint test

# A name for each build, since pip passes over a wheel of the version that it has: when it was made, and of which commit.
board-wheel: $(VENV)/bin/pip
	rm -rf dist/board build/board
	EDGEVIT_BOARD=$$(date -u +%Y%m%d%H%M%S)$$(git describe --always --exclude '*' --dirty=.changed 2>/dev/null | sed s/^/.g/) \
	  $(VENV)/bin/pip wheel --quiet --no-deps --wheel-dir dist/board .

demo: $(VENV)/export
	$(VENV)/bin/edgevit export sbcformer_xs --int8

test: $(VENV)/dev
	$(VENV)/bin/python -m pytest

test-all: $(VENV)/dev
	$(VENV)/bin/python -m pytest -m "slow or not slow"

# exported anew each time, as what is counted may change with the exporter
test-a72: $(VENV)/dev $(VENV)/tflite-export
	$(PYTHON) tools/a72/build.py $(A72)
	mkdir -p $(A72)/models
	for format in onnx tflite; do for precision in "" --int8; do \
	  $(VENV)/bin/edgevit export sbcformer_xs --format $$format $$precision \
	    -o $(A72)/models/sbcformer_xs$${precision#-}.$$format || exit 1; \
	done; done
	$(VENV)/bin/edgevit export efficientvit_b0 --format tflite --int8 -o $(A72)/models/efficientvit_b0-int8.tflite
	$(VENV)/bin/edgevit export efficientvit_b0 --format tflite --int8 --io uint8 -o $(A72)/models/efficientvit_b0-uint8.tflite
	EDGEVIT_A72=$(A72) $(VENV)/bin/python -m pytest tests/test_a72.py

# one module at a time: a full run takes hours
mutants: $(VENV)/mutants
	$(VENV)/bin/python tools/mutants.py $(MODULE) $(SAMPLE)

# a tool of its own: it is none of edgevit's dependencies. It exits with 1 both for a hole and without a network.
audit: $(VENV)/dev
	$(VENV)/bin/pip install --quiet '$(PIP_AUDIT)'
	$(VENV)/bin/python tools/audit.py

lint: $(VENV)/dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(VENV)/dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

# A file in the environment says which extra is installed, so that the next call starts at once.
$(VENV)/export $(VENV)/dev $(VENV)/mutants $(VENV)/tflite-export: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet $(TORCH) -e '.[$(@F)]'
	touch $@
