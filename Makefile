VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
# The environment is complete and as new as what it was made from.
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo ui test fuzz lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run the credit gate in a real Airflow, pay for it, check what was promised (about a minute)
	@$(PYTHON_IN_VENV) -m demo.run

ui: $(READY) ## Start Airflow and the emulator, and leave paying to you (Ctrl-C stops everything)
	@$(PYTHON_IN_VENV) -m demo.ui

test: $(READY) ## Run all tests
	$(PYTHON_IN_VENV) -m pytest

fuzz: $(READY) ## Search long for a sequence of events that pays twice (10,000 examples)
	PURCHASE_MACHINE_EXAMPLES=10000 $(PYTHON_IN_VENV) -m pytest tests/test_purchase_machine.py

lint: $(READY) ## Check style and types: ruff, mypy --strict
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

clean: ## Remove the environment and every cache
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints/airflow-3.3.txt demo/make_venv.sh
	@sh demo/make_venv.sh $(VENV)
	@touch $@
