# Two commands on a fresh machine with Python 3.11 or newer: `make sweep` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: sweep test lint clean
.DELETE_ON_ERROR:

sweep: .venv/raysim                 ## the first run: bundled scenes and backbone, a report at the end, within ten minutes
	$(BIN)/python -m raysim.sweep $(ARGS)

test: .venv/raysim-test             ## all tests; real imagery is used where RAYSIM_DATA points at it
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/raysim-dev              ## style and types
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "raysim needs Python 3.11 or newer; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/raysim: pyproject.toml | .venv/bin/python
	@echo "installing raysim and what it needs into .venv (some minutes, about 6 GB)"
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/raysim-test: pyproject.toml | .venv/bin/python
	@echo "installing raysim, what it needs and its test tools into .venv (some minutes, about 6 GB)"
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ .venv/raysim

.venv/raysim-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ .venv/raysim .venv/raysim-test
