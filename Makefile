# make quickstart: install, generate data, train, test.    make test: install and run the tests.
# make docs: install and build the documentation into docs/_build.
# make gpu: measure on a GPU what only a GPU can show; needs torch and Triton, installs nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install install-test install-docs quickstart test test-slow test-study lint docs gpu clean

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test
install-docs: $(VENV)/.installed-docs

$(VENV)/.installed: setup.py setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar on torch==2.13.0
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e .
	# It requires decord, which has no wheels for Macs and ARM, and imports it in DecordInit only.
	$(BIN)/python -m pip install -c constraints.txt --no-deps mmaction2
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[test,dev]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[docs]'
	touch $@

quickstart: install
	$(BIN)/python tools/quickstart.py

test: install-test
	$(BIN)/python -m pytest

test-slow: install-test
	$(BIN)/python -m pytest -m slow

test-study: install-test
	$(BIN)/python -m pytest -m '' projects/motion_study/tests

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Every warning is an error: a reference that does not resolve, a page that nothing links to.
docs: install-docs
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . docs/_build

gpu:
	$(PYTHON) benchmarks/gpu.py $(GPU_ARGS)

clean:
	rm -rf $(VENV) build docs/_build docs/api *.egg-info
