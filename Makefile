VENV := .venv
PYTHON_IN_VENV := $(VENV)/bin/python
# Present if the environment is complete and newer than its sources.
READY := $(VENV)/.ready
CONSTRAINTS := constraints/airflow-3.3.txt
ADD_GROUP := sh dev/quietly.sh $(PYTHON_IN_VENV) -m pip install --constraint $(CONSTRAINTS) --group
# Two processes mostly wait for a running Airflow, and the third keeps the cores busy. See tests/conftest.py.
IN_PARALLEL := -n 3
# The tests of the money code without the random searches.
MONEY_TESTS := tests/unit/purchases --ignore=tests/unit/purchases/test_executors_at_once.py \
	--ignore=tests/unit/purchases/test_purchase_machine.py

.DEFAULT_GOAL := help
.PHONY: help demo ui test coverage matrix cells older constraints mutants distributed fuzz ablations holds-search bench lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run the credit gate in a real Airflow, pay for it, check the run (about a minute)
	@$(PYTHON_IN_VENV) -m dev.demo.run

ui: $(READY) ## Start a real Airflow for you to look around and to pay (Ctrl-C stops everything)
	@$(PYTHON_IN_VENV) -m dev.demo.ui

test: $(READY) ## Run all tests, three at a time (about a quarter of an hour on two cores)
	$(PYTHON_IN_VENV) -m pytest $(IN_PARALLEL)

coverage: $(READY) ## Run every branch of the money code by the tests that need no emulator (half a minute)
	$(PYTHON_IN_VENV) -m coverage run -m pytest $(MONEY_TESTS)
	$(PYTHON_IN_VENV) -m coverage report --fail-under=100 --include='airflow_provider_videodb/purchases/*'

# nox makes an environment for each cell. CELL=3.1.3-py3.11 runs one, and ARGS are those of pytest.
MATRIX := .venv-matrix
NOX_REPORT := .nox/report.json
NOX := mkdir -p .nox && rm -f $(NOX_REPORT) && $(MATRIX)/bin/python -m nox --report $(NOX_REPORT)
SUMMARY := $(MATRIX)/bin/python -m dev.matrix.summary $(NOX_REPORT)

matrix: $(MATRIX)/.ready ## Test the wheel with each Airflow and Python. CELL=3.1.3-py3.11 tests one
	@$(NOX) $(if $(CELL),--session $(CELL)) -- $(ARGS); [ -f $(NOX_REPORT) ] && $(SUMMARY)

cells: ## Print the cells of `make matrix` as JSON, for a workflow
	@$(or $(PYTHON),python3) -m dev.matrix.cells

older: $(MATRIX)/.ready ## Run the failure matrix and the demo with the lowest Airflow (about four minutes)
	@$(NOX) --session older -- $(ARGS); [ -f $(NOX_REPORT) ] && $(SUMMARY)

constraints: $(MATRIX)/.ready ## Resolve the constraints of each Airflow anew
	@$(MATRIX)/bin/python -m nox --session constraints

mutants: $(READY) ## Break the money code in 1,800 ways, list what no test notices (about ten minutes)
	@$(ADD_GROUP) mutation
	@# mutmut keeps its earlier results even if the tests have changed.
	@rm -rf mutants
	$(PYTHON_IN_VENV) -m mutmut run
	$(PYTHON_IN_VENV) -m mutmut results

distributed: $(READY) ## Kill parts of a distributed Airflow during purchases: two workers, two triggerers (about six minutes)
	@$(ADD_GROUP) distributed
	@$(PYTHON_IN_VENV) -m pytest -q -s tests/chaos/test_distributed.py

fuzz: $(READY) ## Search 10,000 examples for a sequence of events that pays twice
	PURCHASE_MACHINE_EXAMPLES=10000 $(PYTHON_IN_VENV) -m pytest tests/unit/purchases/test_purchase_machine.py

ablations: $(READY) ## Remove each safeguard, and check that the search notices (about 15 minutes)
	$(PYTHON_IN_VENV) -m tests.support.search_ablations

holds-search: $(READY) ## Search 100,000 schedules for two pipelines that count on the same credits (about ten minutes)
	@$(PYTHON_IN_VENV) -m tests.support.holds_search $(ARGS)

bench: $(READY) ## Compare what waiting costs here and with HttpSensor (about 20 minutes)
	@$(PYTHON_IN_VENV) -m dev.benchmarks $(ARGS)

lint: $(READY) ## Check style, types and the direction of imports: ruff, mypy --strict, import-linter
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	$(VENV)/bin/lint-imports

clean: ## Remove the environment and every cache
	rm -rf $(VENV) $(MATRIX) .nox build dist mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml $(CONSTRAINTS) dev/make_venv.sh
	@sh dev/make_venv.sh $(VENV) $(CONSTRAINTS) '.[sdk]' test lint
	@touch $@

$(MATRIX)/.ready: pyproject.toml $(CONSTRAINTS) dev/make_venv.sh
	@sh dev/make_venv.sh $(MATRIX) $(CONSTRAINTS) '' matrix
	@touch $@
