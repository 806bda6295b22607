# Everything a newcomer needs: `make help`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UNIT := .coverage-unit
INTEGRATION := .coverage-integration
SHELL := /bin/sh

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.PHONY: install
install: $(STAMP) ## install everything pinned into .venv

.PHONY: run
run: install ## start the whole system here, submit a sample of every task type, stay up until Ctrl-C
	$(BIN)/orchestrator up --data-dir .orchestrator --port 8080 --flower-port 5555 --samples

.PHONY: test
test: install ## run every test, with the coverage that is asked for
	rm -f .coverage $(UNIT)* $(INTEGRATION)*
	COVERAGE_FILE=$(UNIT) $(BIN)/coverage run -m pytest tests/unit tests/model
	COVERAGE_FILE=$(INTEGRATION) $(BIN)/coverage run -m pytest tests/integration
	$(BIN)/python -m pytest tests/chaos -m "not chaos"
	$(BIN)/coverage combine --quiet --data-file=$(UNIT) $(UNIT).*
	$(BIN)/coverage combine --quiet --data-file=$(INTEGRATION) $(INTEGRATION).*
	$(BIN)/coverage report --data-file=$(INTEGRATION) --format=total --fail-under=75
	$(BIN)/coverage combine --quiet --keep --data-file=.coverage $(UNIT) $(INTEGRATION)
	$(BIN)/coverage report --fail-under=85

.PHONY: check
check: install ## lint, types, import directions, deployment files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict -c config/yamllint.yml docker-compose.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: model
model: install ## search the delivery protocol's model whole, with every rule and with each one off
	$(BIN)/python -m tests.model

.PHONY: chaos
chaos: install ## strike a running system with every kind of fault, then try the checker on broken builds
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos --all-broken

.PHONY: bench
bench: install ## submit and wait against plain Celery, in turns
	$(BIN)/python -m benchmarks.wait_latency

.PHONY: format
format: install ## put the code into its form
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

.PHONY: clean
clean: ## remove what was installed and measured here; the local stack's data stay
	rm -rf $(VENV) .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
