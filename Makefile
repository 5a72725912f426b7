# make run      the example site on http://127.0.0.1:8000/, one process, no Redis needed
# make test     all checks, and the tests of each thing once; about seven minutes
# make test-rest  what CI adds: Valkey, encryption, uvicorn, every page on Daphne; five minutes
# make prod     as in production: Redis (or the embedded Valkey), Daphne and workers apart
# make check    format, lint, types, imports
# make bench    djchan beside Channels 4; about five minutes
#
# PYTHON=python3.13   another interpreter (the virtual environment is built anew for it)
# PORT=8001           another port for run and prod
# PARALLEL=1          how many processes the tests run in
# ARGS="-k inbox"     more arguments for pytest, or for the benchmark

PYTHON ?= python3
PORT ?= 8000
PARALLEL ?= 3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
FITS := $(shell $(PYTHON) -c 'import sys; print("yes" if sys.version_info >= (3, 11) else "")')

ifeq ($(VERSION),)
$(error $(PYTHON) does not run; name a Python 3.11 or newer: make PYTHON=python3.12)
endif
ifeq ($(FITS),)
$(error djchan needs Python 3.11 or newer, and $(PYTHON) is $(VERSION): make PYTHON=python3.12)
endif

# Stamps, all inside the virtual environment: the Python it was made for, and each dependency
# group that was installed. Another Python clears them together with the environment.
MADE := $(VENV)/.python-$(VERSION)
INSTALLED := $(VENV)/.installed-

.PHONY: run test test-rest prod check bench
.DELETE_ON_ERROR:

$(MADE):
	@echo "Making $(VENV) with Python $(VERSION) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@touch $@

$(INSTALLED)%: $(MADE) pyproject.toml
	@echo "Installing djchan and its dependency group '$*' into $(VENV), once ..."
	@$(BIN)/python -m pip install --quiet --group $* --editable ".[crypto,embedded]"
	@touch $@

run: $(INSTALLED)site
	@$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py runserver 127.0.0.1:$(PORT)

PYTEST := $(BIN)/python -m pytest --numprocesses $(PARALLEL) --dist loadfile --no-loadscope-reorder

test: check
	@echo "The tests take about seven minutes on two cores."
	$(PYTEST) $(ARGS)

test-rest: $(INSTALLED)dev
	@echo "The rest of the tests takes about five minutes on two cores."
	$(PYTEST) -m "full and not matrix" $(ARGS)

prod: $(INSTALLED)site
	@$(BIN)/python manage.py migrate --verbosity 0
	PATH="$(abspath $(BIN)):$$PATH" DJCHAN_PORT=$(PORT) $(BIN)/honcho -f procfile start

check: $(INSTALLED)dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tests.typed.snippets build/snippets
	$(BIN)/python -m mypy --strict djchan tests/typed
	$(BIN)/python -m mypy --strict --allow-subclassing-any build/snippets
	$(BIN)/python -m mypy --config-file realtime/mypy.ini realtime workers
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

bench: $(INSTALLED)bench
	$(BIN)/python -m benchmarks.compare $(ARGS)
