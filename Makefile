.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
DEMO := $(if $(wildcard .env),,--demo)

.PHONY: help run test lint bench soak up down logs clean

help: ## show this list
	@echo "Wraeclast Ledger: the Path of Exile market in ClickHouse."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 …"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt install python3-venv"; exit 2; }

$(STAMPS)/run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (the embedded ClickHouse engine is about 150 MB to fetch) …"
	@$(INSTALL) --editable '.[embedded]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (the embedded ClickHouse engine is about 150 MB to fetch) …"
	@$(INSTALL) --editable '.[embedded,test,lint]'
	@mkdir -p $(STAMPS) && touch $@ $(STAMPS)/run

run: $(STAMPS)/run ## install, then harvest: the demo where there is no .env
	@$(BIN)/poe-ledger $(DEMO)

test: $(STAMPS)/test ## install, then run every test (at most 5 minutes on two cores)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --max-worker-restart 0

lint: $(STAMPS)/test ## formatting, lint rules, strict types, import contracts
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(STAMPS)/test ## measure speed, latency and memory (nothing is asserted)
	@$(BIN)/python -m benchmarks

soak: $(STAMPS)/test ## the long proofs: kills, faults, limits, mutants
	@$(BIN)/python -m pytest tests -m soak --timeout 0

COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

up: ## start ClickHouse, the migrations and the harvester in containers
	@mkdir -p secrets && chmod 700 secrets
	@[ -f .env ] || { cp .env.example .env && chmod 600 .env && echo ".env made from .env.example: fill in your OAuth client"; }
	@$(COMPOSE) up --build --detach

down: ## stop the containers; the data stays in its volumes
	@$(COMPOSE) down

logs: ## follow what the containers say
	@$(COMPOSE) logs --follow --tail 100

clean: ## remove the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
