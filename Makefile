# `make demo` and `make test` are all a newcomer needs; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
DATA_DIR ?= .openclaw-jobs
# Tests run in this many processes, each with a PostgreSQL of its own; 0 is for a debugger.
JOBS ?= 2
PYTEST_ARGS ?=
STEPS ?= 50000
# For instance `make screenshots PICTURES="--only landing"`.
PICTURES ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

# What a test writes holds no secret.
PLUGINS := -p tests.plugins.no_leaks

# Where a machine decides, a test that did not run has not passed.
ifeq ($(CI),true)
STRICT := -p tests.plugins.no_skips
endif

.PHONY: help setup parts demo test soak soak-money fuzz lint types layers fmt serve bench screenshots screenshots-check pins clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the virtual environment (again only when its inputs change)

# The editable build runs with the pinned hatchling of the environment itself, so that
# nothing is installed that requirements/dev.txt does not name with its hash.
$(STAMP): pyproject.toml requirements/dev.txt src/openclaw_jobs/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "OpenClaw.jobs needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(or $(MAKECMDGOALS),setup)" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the pinned parts into $(VENV) (about half a minute, once) …"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## watch the marketplace do its main job, start to end
	$(BIN)/openclaw-jobs demo

parts: ## install what tests need of the system: browser, Redis, PgBouncer, faketime (root, apt)
	@ops/install-test-parts.sh

# Without a part of the system its tests are skipped, which the script says and CI does not accept.
test: $(STAMP) ## run every test (a real PostgreSQL is started for them)
	@ops/install-test-parts.sh || true
	$(BIN)/python -m pytest -n $(JOBS) $(PLUGINS) $(STRICT) $(PYTEST_ARGS)

SOAK_SECONDS ?= 600
soak: $(STAMP) ## run real processes at half load, break something every 10 s, audit (SOAK_SECONDS=600)
	@ops/install-test-parts.sh || true
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m tests.soak

soak-money: $(STAMP) ## live many random lives of all money together (STEPS=50000)
	OPENCLAW_SOAK_STEPS=$(STEPS) $(BIN)/python -m pytest -n 0 -s tests/payments/test_money_machine.py $(PYTEST_ARGS)

lint: $(STAMP) ## ruff: rules and format; bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src ops

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

layers: $(STAMP) ## import-linter: modules import downward only
	$(BIN)/lint-imports

fmt: $(STAMP) ## format, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Few, and always the same, are made by `make test`.
FUZZ_EXAMPLES ?= 300
fuzz: $(STAMP) ## call every route in every way its description allows (FUZZ_EXAMPLES=300)
	OPENCLAW_FUZZ=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest -n $(JOBS) tests/api/test_fuzz.py $(PYTEST_ARGS)

serve: $(STAMP) ## run the marketplace on http://127.0.0.1:8000
	$(BIN)/openclaw-jobs serve --data-dir $(DATA_DIR)

bench: $(STAMP) ## measure dispatch, ledger and HTTP on this machine
	$(BIN)/python -m bench

screenshots: $(STAMP) ## take pictures of every page, and keep those that look different
	$(BIN)/python -m tests.pictures $(PICTURES)

screenshots-check: $(STAMP) ## say which pages look different from their pictures
	$(BIN)/python -m tests.pictures --check $(PICTURES)

# --universal writes one file for every Python and platform, with markers where they differ.
PIN := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-config --custom-compile-command 'make pins' $(PIN_ARGS)
pins: $(STAMP) ## resolve requirements/*.txt anew (PIN_ARGS=--upgrade to move them)
	$(PIN) --extra server pyproject.toml -o requirements/server.txt
	$(PIN) --extra dev -c requirements/server.txt pyproject.toml -o requirements/dev.txt
	$(PIN) -c requirements/dev.txt --no-annotate - -o requirements/build.txt <<<'hatchling>=1.27,<2'

clean: ## remove the virtual environment and caches (never a data directory)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
