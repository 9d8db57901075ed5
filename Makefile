# Two commands on a fresh machine with Python 3.11 or newer: `make sweep` and `make test`. Each sets up what it needs,
# in the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
# The second name is the one by which newer versions of pip constrain what builds the package.
# TORCH=cpu installs PyTorch without CUDA. It belongs together with torchvision: both come from one index, in one
# command; what else they need comes afterwards from the usual one.
TORCH ?=
CPU_INDEX := https://download.pytorch.org/whl/cpu
SIZE := $(if $(TORCH),1.5,6)
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet

ifneq ($(TORCH),)
ifneq ($(TORCH),cpu)
$(error TORCH=$(TORCH) is not allowed: it should be cpu, or left out)
endif
endif

.PHONY: sweep test chaos cluster-test lint docs wheel lock newest clean
.DELETE_ON_ERROR:

sweep: .venv/raysim                 ## the first run: bundled scenes and backbone, a report at the end, within ten minutes
	$(BIN)/python -m raysim.sweep $(ARGS)

test: .venv/raysim-test             ## all tests, or some: make test ARGS=tests/nn; RAYSIM_DATA adds real imagery
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadscope --no-loadscope-reorder $(ARGS)

chaos: .venv/raysim-test            ## kills at random moments, damaged files: docs/chaos.md
	$(BIN)/python -m tests.chaos --kills $(or $(KILLS),200) $(ARGS)

cluster-test: .venv/raysim-test     ## a real `ray up` on two hosts of this machine; needs root
	$(BIN)/python -m tests.cluster.proof

lint: .venv/raysim-dev              ## style, types and dead code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vulture

docs: .venv/raysim-docs             ## the documentation as a site: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

wheel: .venv/raysim                 ## the package as others get it, used in a fresh environment
	$(BIN)/python .ci/wheel.py

lock:                               ## write constraints.txt: the newest versions that pyproject.toml allows
	$(PYTHON) .ci/versions.py lock

newest:                             ## print where newer versions are allowed than in constraints.txt, and test them
	$(PYTHON) .ci/versions.py newest

clean:
	rm -rf .venv .venv-newest site

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "raysim needs Python 3.11 or newer; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(if $(TORCH),$(INSTALL) --no-deps --index-url $(CPU_INDEX) torch torchvision)

.venv/raysim: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing raysim and what it needs into .venv (some minutes, about $(SIZE) GB)"
	$(INSTALL) --editable .
	@touch $@

.venv/raysim-test: pyproject.toml constraints.txt | .venv/bin/python
	@echo "installing raysim, what it needs and its test tools into .venv (some minutes, about $(SIZE) GB)"
	$(INSTALL) --editable '.[test]'
	@touch $@ .venv/raysim

.venv/raysim-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable '.[dev]'
	@touch $@ .venv/raysim .venv/raysim-test

.venv/raysim-docs: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable '.[docs]'
	@touch $@ .venv/raysim
