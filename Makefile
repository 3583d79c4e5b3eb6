# Everything a person needs, on a machine with Python 3.11 or newer, venv and make.
PYTHON ?= python3
VENV ?= .venv
OLDEST := .venv-oldest
NEWEST := .venv-newest
# Old releases have wheels for old Pythons.
OLDEST_PYTHON ?= python3.11
BIN := $(VENV)/bin
PORT ?= 5000
# Much of the suite waits for servers that are slow on purpose, so more processes than cores.
JOBS ?= 4
export PORT
# A run starts hundreds of processes. Where Python is told to keep no bytecode (many images do), each
# would compile the package anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-oldest test-newest lock test-kill test-long lint format messages bench dist clean
.DEFAULT_GOAL := run

# One stamp per set of pins: a changed file of them installs again.
#
# $(call installed,VENV,PYTHON,PINS) installs what the file pins and nothing else, then this package
# as it lies here. Setuptools is among the pins: a build of its own would fetch today's.
define installed
	@echo "Installing what $(3) pins into $(1); the first time this takes a minute or two …"
	@test -x $(1)/bin/python || $(2) -m venv $(1)
	$(1)/bin/python -m pip install $(QUIET) --no-deps --requirement $(3)
	$(1)/bin/python -m pip install $(QUIET) --no-deps --no-build-isolation --editable .
	@touch $@
endef
QUIET := --quiet --disable-pip-version-check

$(VENV)/run.stamp: requirements/run.txt setup.cfg pyproject.toml
	$(call installed,$(VENV),$(PYTHON),requirements/run.txt)

$(VENV)/dev.stamp: requirements/dev.txt setup.cfg pyproject.toml
	$(call installed,$(VENV),$(PYTHON),requirements/dev.txt)
	@touch $(VENV)/run.stamp

$(OLDEST)/dev.stamp: requirements/oldest.txt setup.cfg pyproject.toml
	$(call installed,$(OLDEST),$(OLDEST_PYTHON),requirements/oldest.txt)

run: $(VENV)/run.stamp
	@exec $(BIN)/python wsgi.py

PYTEST := -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev.stamp
	$(BIN)/python $(PYTEST) $(PYTEST_ARGS)

# The lower end of the ranges in setup.cfg, with the oldest Python.
test-oldest: $(OLDEST)/dev.stamp
	$(OLDEST)/bin/python $(PYTEST) $(PYTEST_ARGS)

# The upper end: whatever is released by now, so it is installed anew each time.
test-newest:
	@test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install $(QUIET) --upgrade --upgrade-strategy eager --editable ".[dev]"
	$(NEWEST)/bin/python $(PYTEST) $(PYTEST_ARGS)

# All pins anew from the ranges in setup.cfg; with UPGRADE= only what no longer fits them changes.
# They hold for every Python from 3.11 on. In oldest.txt only what the package needs is at its lower
# bound: what makes and runs the tests is as in dev.txt, as far as it goes with these.
UPGRADE ?= --upgrade
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 $(UPGRADE) \
	--custom-compile-command "make lock" setup.cfg
lock: $(VENV)/dev.stamp
	$(LOCK) --extra dev --output-file requirements/dev.txt
	$(LOCK) --extra embedded --no-annotate --constraint requirements/dev.txt \
		--output-file requirements/run.txt
	$(LOCK) --extra embedded --extra mysql --extra postgresql --extra ses --resolution lowest-direct \
		--output-file $(VENV)/lowest.txt
	$(LOCK) --extra dev --no-annotate --constraint $(VENV)/lowest.txt \
		--output-file requirements/oldest.txt

# A hundred times kill -9 of a worker with mail in flight, on SQLite and on PostgreSQL.
KILLS ?= 100
test-kill: $(VENV)/dev.stamp
	SMTP_ADMIN_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest -s tests/endurance/test_kills.py $(PYTEST_ARGS)

# The pictures of docs/admin-guide.md, from what the browser tests see.
pictures: $(VENV)/dev.stamp
	SMTP_ADMIN_TEST_LONG=1 $(BIN)/python -m pytest -m browser $(PYTEST_ARGS)
	$(BIN)/python -m tests.browser.pictures

# Every shipped mail, light and dark, wide and narrow, with odd names: to be looked at.
mail-pictures: $(VENV)/dev.stamp
	$(BIN)/python -m tests.browser.mail_pictures build/mail-pictures

# What takes minutes, or needs root: lost servers and killed workers at every point, two machines as
# two network namespaces, real leases, a year of renewals, a hundred thousand recipients, every page
# in four looks, and all examples of what is tried with made-up values.
test-long: $(VENV)/dev.stamp
	SMTP_ADMIN_TEST_LONG=1 $(BIN)/python -m pytest -m "long or browser or hypothesis" $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config .importlinter
	$(BIN)/djlint --quiet --lint templates
	$(BIN)/python -m pip --disable-pip-version-check check

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The catalogues of translations/, brought up to date with the texts of the sources; with LANGUAGE=fr
# a new one.
messages: $(VENV)/dev.stamp
	$(BIN)/python -m tests.translation.messages $(LANGUAGE)

# Needs Postfix's smtp-sink (Debian: postfix).
bench: $(VENV)/dev.stamp
	$(BIN)/python -W ignore -m benchmarks.run $(BENCH_ARGS)

dist: $(VENV)/dev.stamp
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
