# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv and installs what it needs.
SHELL := /bin/bash
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.PHONY: setup demo test test-long check bench docs clean require

require:
	@[ "$$(uname -s)" = Linux ] || { echo "Homeostat's demo and tests need Linux; this is $$(uname -s)."; exit 1; }
	@command -v $(PY) >/dev/null || { echo "Python 3.11 or newer is needed and '$(PY)' is not there: install it, or say where it is with PY=/path/to/python3."; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PY) is $$($(PY) --version). Say PY=/path/to/python3.11."; exit 1; }
	@$(PY) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: on Debian, apt-get install python3-venv."; exit 1; }
	@command -v git >/dev/null || { echo "git is needed and is not there."; exit 1; }

setup: require $(STAMP)

$(STAMP): requirements.lock pyproject.toml instrument/pyproject.toml | require
	@test -x $(BIN)/python || $(PY) -m venv $(VENV)
	@if $(BIN)/python -m pip install -q uv 2>/dev/null; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e instrument -e . ; \
	else \
	  $(BIN)/python -m pip install -q --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --no-deps -e instrument -e . ; \
	fi
	@touch $@

demo: setup
	@$(BIN)/homeostat demo

check: setup
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/lint-imports --no-timing >/dev/null || $(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/pytest -q -x -n 2 -m "not live and not browser and not long and not sim"

test: setup
	@$(BIN)/pytest -q -n 2 -m "not live and not browser and not long and not sim"
	@$(BIN)/pytest -q -n 2 -rP -m sim tests/loop/sim
	@$(BIN)/pytest -q -m "(live or browser) and not long"

test-long: setup
	@$(BIN)/pytest -q -m "long" --timeout 3600

bench: setup
	@$(BIN)/pytest -q benchmarks --benchmark-enable --benchmark-only

docs: setup
	@$(BIN)/python -m homeostat.cli.main schema > docs/reference/homeostat.schema.json

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
