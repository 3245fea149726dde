# make quickstart: install, generate data, train, test.    make test: install and run the tests.
# make test-extras: the page of demo/web.py in Chromium, MMAction2's tools that need moviepy.
# make test-encoders: networks of transformers as encoders, and motion modules in them; Python 3.11 or later.
# make docs: install and build the documentation into docs/_build.
# make matrix: install and test on every Python that setup.cfg names, as far as they are there.
# make lock: the versions that belong together, from setup.cfg and constraints.txt; UPGRADE=1: newer ones.
# make gpu: measure on a GPU what only a GPU can show; needs torch and Triton, installs nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Several tests at a time, each on one thread; the tests of a file share what they set up.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadfile

.PHONY: install install-test install-docs quickstart test test-slow test-study test-extras \
	test-encoders lint docs matrix lock gpu clean

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test
install-docs: $(VENV)/.installed-docs

# The hashes of every file but torch's, whose build depends on the machine.
LOCKED := -m pip install --progress-bar on --require-hashes -r requirements

$(VENV)/.installed: setup.py setup.cfg pyproject.toml requirements/lock.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar on torch==2.13.0
	$(BIN)/python $(LOCKED)/lock.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	# It requires decord, which has no wheels for Macs and ARM; clips are read without it.
	$(BIN)/python -m pip install -c constraints.txt --no-deps mmaction2
	touch $@

$(VENV)/.installed-test $(VENV)/.installed-docs: $(VENV)/.installed requirements/lock-dev.txt
	$(BIN)/python $(LOCKED)/lock-dev.txt
	touch $(VENV)/.installed-test $(VENV)/.installed-docs

# What the extras [demo] and [upstream] bring, an older Pillow for one, before what $(VENV) has.
EXTRAS_BIN := $(VENV)-extras/bin
$(VENV)-extras/.installed: $(VENV)/.installed-test requirements/lock-extras.txt
	$(BIN)/python -m venv $(VENV)-extras
	$(EXTRAS_BIN)/python .ci/see.py $(BIN)/python
	$(EXTRAS_BIN)/python $(LOCKED)/lock-extras.txt
	touch $@

# transformers, without torchvision, before what $(VENV) has.
ENCODERS_BIN := $(VENV)-encoders/bin
$(VENV)-encoders/.installed: $(VENV)/.installed-test requirements/lock-encoders.txt
	$(BIN)/python -m venv $(VENV)-encoders
	$(ENCODERS_BIN)/python .ci/see.py $(BIN)/python
	$(ENCODERS_BIN)/python $(LOCKED)/lock-encoders.txt
	touch $@

quickstart: install
	$(BIN)/python tools/quickstart.py

test: install-test
	$(PYTEST) -n 3 --no-loadscope-reorder

test-slow: install-test
	$(PYTEST) -n 2 -m slow

test-study: install-test
	$(PYTEST) -n 2 -m '' projects

# The page in Chromium, and videos of MMAction2's tools.
test-extras: $(VENV)-extras/.installed
	OMP_NUM_THREADS=1 $(EXTRAS_BIN)/python -m pytest --dist loadfile -n 2 -m extras -rs

test-encoders: $(VENV)-encoders/.installed
	OMP_NUM_THREADS=1 $(ENCODERS_BIN)/python -m pytest --dist loadfile -n 2 -rs \
		tests/models/plain tests/models/backbones/test_encoder_families.py

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Every warning is an error: a reference that does not resolve, a page that nothing links to.
docs: install-docs
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . docs/_build

matrix:
	.ci/matrix

COMPILE := uv pip compile --universal --python-version 3.10 --generate-hashes --no-annotate -q \
	--custom-compile-command 'make lock' --no-emit-package torch --excludes requirements/unlocked.txt \
	-c constraints.txt setup.cfg $(if $(UPGRADE),--upgrade)

EXTRAS := export test docs dev
OTHER_EXTRAS := demo upstream test-extras

# triton comes with torch; tests need it beside any.
lock: install-test
	$(BIN)/$(COMPILE) $(EXTRAS:%=--extra %) -o requirements/lock-dev.txt
	$(BIN)/$(COMPILE) -c requirements/lock-dev.txt --no-emit-package triton -o requirements/lock.txt
	$(BIN)/$(COMPILE) $(OTHER_EXTRAS:%=--extra %) --no-emit-package triton -o requirements/lock-extras.txt
	$(BIN)/$(subst setup.cfg,requirements/encoders.in,$(subst 3.10,3.11,$(COMPILE))) \
		-c requirements/lock-dev.txt -o requirements/lock-encoders.txt
	$(BIN)/python .ci/check_lock.py

gpu:
	$(PYTHON) benchmarks/gpu.py $(GPU_ARGS)

clean:
	rm -rf $(VENV) $(VENV)-extras $(VENV)-encoders .venvs build docs/_build docs/api *.egg-info
