VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
# The environment is complete and as new as what it was made from.
READY := $(VENV)/.ready
CONSTRAINTS := constraints/airflow-3.3.txt
# What decides about money and what carries it out; each has the tests of its name.
MONEY := answers buyer claims clock current_try journal limits matching messages payment payment_request poster \
	purchase record stores variables

.DEFAULT_GOAL := help
.PHONY: help demo ui test coverage installable older mutants distributed fuzz ablations bench lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run the credit gate in a real Airflow, pay for it, check what was promised (about a minute)
	@$(PYTHON_IN_VENV) -m demo.run

ui: $(READY) ## Start Airflow and the emulator, and leave paying to you (Ctrl-C stops everything)
	@$(PYTHON_IN_VENV) -m demo.ui

test: $(READY) ## Run all tests
	$(PYTHON_IN_VENV) -m pytest

coverage: $(READY) ## Run every branch of the money code by the tests that need no emulator (half a minute)
	$(PYTHON_IN_VENV) -m coverage run -m pytest $(MONEY:%=tests/test_%.py)
	$(PYTHON_IN_VENV) -m coverage report --fail-under=100 \
		--include=$$(echo $(MONEY:%=airflow_provider_videodb/%.py) | tr ' ' ,)

installable: $(READY) ## Install the wheel beside each supported Airflow as it was released, load it (about three minutes)
	@$(PYTHON_IN_VENV) -m pip install --quiet --constraint $(CONSTRAINTS) --group installable
	@sh constraints/installable.sh $(PYTHON_IN_VENV)

# An older Airflow, and the tests that show what differs there.
OLDER := .venv-3.2
OLDER_CONSTRAINTS := constraints/airflow-3.2.txt
OLDER_TESTS := $(MONEY:%=tests/test_%.py) tests/live/test_credit_gate.py tests/live/test_unwritable_records.py

older: $(OLDER)/.ready ## Run the tests that need an Airflow below 3.3, in Airflow 3.2 (about three minutes)
	$(OLDER)/bin/python -m pytest $(OLDER_TESTS)

mutants: $(READY) ## Break the money code in 1,800 ways, list what no test notices (about ten minutes)
	@$(PYTHON_IN_VENV) -m pip install --quiet --constraint $(CONSTRAINTS) --group mutation
	@# What an earlier run has found would stand, although the tests have changed.
	@rm -rf mutants
	$(PYTHON_IN_VENV) -m mutmut run
	$(PYTHON_IN_VENV) -m mutmut results

distributed: $(READY) ## Hurt a distributed Airflow while it buys: two workers, two triggerers (about four minutes)
	@$(PYTHON_IN_VENV) -m pip install --quiet --constraint $(CONSTRAINTS) --group distributed
	@$(PYTHON_IN_VENV) -m demo.distributed.run

fuzz: $(READY) ## Search long for a sequence of events that pays twice (10,000 examples)
	PURCHASE_MACHINE_EXAMPLES=10000 $(PYTHON_IN_VENV) -m pytest tests/test_purchase_machine.py

ablations: $(READY) ## Take each safeguard out, and see the search find the hole (about a quarter of an hour)
	$(PYTHON_IN_VENV) -m tests.support.search_ablations

bench: $(READY) ## Measure what waiting costs, beside other ways to wait (about a quarter of an hour)
	@$(PYTHON_IN_VENV) -m benchmarks $(ARGS)

lint: $(READY) ## Check style and types: ruff, mypy --strict
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy

clean: ## Remove the environment and every cache
	rm -rf $(VENV) $(OLDER) build dist mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml $(CONSTRAINTS) demo/make_venv.sh
	@sh demo/make_venv.sh $(VENV) $(CONSTRAINTS) '.[sdk]' test lint
	@touch $@

$(OLDER)/.ready: pyproject.toml $(OLDER_CONSTRAINTS) demo/make_venv.sh
	@sh demo/make_venv.sh $(OLDER) $(OLDER_CONSTRAINTS) '.[sdk]' older
	@touch $@
