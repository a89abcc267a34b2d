# Ragstone. `make run` on a fresh machine is all it takes; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NICE := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

.DEFAULT_GOAL := help
.PHONY: help run setup test check format lint types quality bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Start the service with the sample handbook, ask it a question, keep serving
	@exec $(BIN)/ragstone up --sample

setup: $(VENV)/.base ## Install into .venv what the service needs

test: $(VENV)/.dev ## Run the test suite
	@$(BIN)/python -m pytest

check: $(VENV)/.dev ## Formatting, lint, types, tests: what a change must pass
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest

lint: $(VENV)/.dev ## Look for likely mistakes
	@$(BIN)/ruff check .

types: $(VENV)/.dev ## Check the types
	@$(BIN)/mypy

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

quality: $(VENV)/.dev ## Retrieval and answer figures over datasets (slow)
	@$(BIN)/python -m pytest -m quality

bench: $(VENV)/.dev ## Speed, as ratios to floors measured in the same run (slow)
	@$(BIN)/ragstone bench

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
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Ragstone needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo missing)." \
		"Install one and name it: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV); echo "Python's module venv does not work (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
