# Ragstone. `make run` on a fresh machine is all it takes; `make help` lists the rest.

# The first Python that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(or $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done),python3)
VENV := .venv
BIN := $(VENV)/bin
# A process a core, each with a Postgres of its own; the tests of a file stay together.
SUITE := -n logical --maxprocesses 4 --dist loadfile
NICE := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

.DEFAULT_GOAL := help
.PHONY: help run setup test check static format lint types docs quality bench soak clients clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Start the service with the sample handbook, ask it a question, keep serving
	@exec $(BIN)/ragstone up --sample

setup: $(VENV)/.base ## Install into .venv what the service needs

test: $(VENV)/.dev ## Run the test suite
	@$(BIN)/python -m pytest $(SUITE)

check: static test ## What a change must pass: formatting, lint, types, tests

static: $(VENV)/.dev ## Formatting, lint, types
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

lint: $(VENV)/.dev ## Look for likely mistakes
	@$(BIN)/ruff check .

types: $(VENV)/.dev ## Check the types
	@$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## Write the generated parts of the README
	@$(BIN)/python -m cogapp -I . -P -p 'from tests.architecture.readme import *' -r --verbosity=1 README.md

quality: $(VENV)/.dev ## Answer and retrieval figures; of the sets in DATA=FOLDER they are kept (slow)
	@$(BIN)/python -m pytest -m quality
	@$(BIN)/python -m tests.quality $(if $(DATA),--data $(DATA) --write)

bench: $(VENV)/.dev ## Speed, as ratios to floors measured in the same run (slow)
	@$(BIN)/ragstone bench

soak: $(VENV)/.dev ## The long variants of crash and ledger tests (slow)
	@$(BIN)/python -m pytest -m bench

clients: $(VENV)/.dev ## Drive the published JavaScript clients (needs Node and Chromium)
	@cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund --silent
	@$(BIN)/python -m pytest -m clients tests/clients

clean: ## Remove the environment and what tools left behind; the data folder stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build dist

# The stamps say which pyproject.toml is installed; without a change, setting up again takes no time.
$(VENV)/.base: pyproject.toml | $(BIN)/python
	@echo "Installing Ragstone into $(VENV)"
	@$(NICE) $(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing Ragstone and what its tests need into $(VENV)"
	@$(NICE) $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.base $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Ragstone needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
		"Install one and name it: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); echo "Python's module venv does not work (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
