# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
SHELL := /bin/bash

.PHONY: demo test bench-target check lint types format lock prove clean

demo: $(VENV)/.installed
	@SWITCHBOARD_URL=http://127.0.0.1:$(PORT) exec $(BIN)/python manage.py demo

test: $(VENV)/.installed
	@$(BIN)/python -m tests.run

prove: $(VENV)/.installed
	@[ -n "$(PART)" ] || DELAY_EXAMPLES=3000 $(BIN)/pytest -q --timeout 3600 tests/engine/test_delay_properties.py
	@$(BIN)/python -m benchmarks.prove

# The production shape with the flows of the load harness, on DATABASE_URL (benchmarks/README.md).
bench-target: $(VENV)/.installed
	@exec $(BIN)/python -m benchmarks.target

check: $(VENV)/.installed lint types
	@$(BIN)/python manage.py makemigrations --check --dry-run --settings tests.settings
	@$(BIN)/python -m tests.deploy_check

lint: $(VENV)/.installed
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(VENV)/.installed
	@$(BIN)/mypy

format: $(VENV)/.installed
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Needs uv; the lock names no index, so that any mirror will do.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-annotate --no-header --extra dev pyproject.toml -o requirements.lock

$(VENV)/.installed: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Switchboard needs Python 3.11 or newer: install python3 and python3-venv."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Switchboard needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`. Name another one with PYTHON=."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install it with 'apt-get install python3-venv'."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what Switchboard needs (once, a minute or two) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
