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
.PHONY: help demo ui test coverage matrix cells older constraints mutants distributed fuzz ablations holds-search \
	bench lint package sbom check-release clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Run the credit gate in a real Airflow, pay for it, check the run (about a minute)
	@$(PYTHON_IN_VENV) -m dev.demo.run

ui: $(READY) ## Start a real Airflow that you can explore and pay in (Ctrl-C stops everything)
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

constraints: $(MATRIX)/.ready ## Resolve the constraints of each Airflow again
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

fuzz: $(READY) ## Search for a sequence of events that pays twice, and for a response that breaks the client
	PURCHASE_MACHINE_EXAMPLES=10000 HOSTILE_EXAMPLES=1000 $(PYTHON_IN_VENV) -m pytest $(IN_PARALLEL) \
		tests/unit/purchases/test_purchase_machine.py tests/unit/api/test_hostile_responses.py \
		tests/unit/api/test_hostile_transport.py

ablations: $(READY) ## Remove each safeguard, and check that the search notices (about 15 minutes)
	$(PYTHON_IN_VENV) -m tests.support.search_ablations

holds-search: $(READY) ## Search 100,000 schedules for two pipelines that count on the same credits (about ten minutes)
	@$(PYTHON_IN_VENV) -m tests.support.holds_search $(ARGS)

bench: $(READY) ## Compare what waiting costs here and with HttpSensor (about 20 minutes)
	@$(PYTHON_IN_VENV) -m dev.benchmarks $(ARGS)

lint: $(READY) ## Check style, spelling, types, the direction of imports, and the workflows
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/zizmor --offline --no-progress --quiet .github

# The tools of a release and nothing else, so that no dependency of the tests runs while files are published.
PACKAGING := .venv-package
PACKAGING_PYTHON := $(PACKAGING)/bin/python
SBOM := build/airflow-provider-videodb.cdx.json

package: $(PACKAGING)/.ready ## Build the sdist and the wheel, and check both (ten seconds)
	@rm -rf dist
	@sh dev/quietly.sh $(PACKAGING_PYTHON) -m build --no-isolation .
	$(PACKAGING_PYTHON) -m twine check --strict dist/*
	$(PACKAGING)/bin/check-wheel-contents dist/*.whl
	@$(PACKAGING_PYTHON) -m pip hash dist/*

sbom: package ## List the packages that the wheel is tested with, as CycloneDX (a minute)
	@sh dev/quietly.sh $(PACKAGING_PYTHON) -m pip install --constraint $(CONSTRAINTS) --group sbom
	@$(PACKAGING_PYTHON) -m venv --clear --without-pip build/sbom
	@# Wheels only, so that no foreign code runs while files are published.
	@sh dev/quietly.sh $(PACKAGING_PYTHON) -m pip --python build/sbom install --only-binary :all: \
		--constraint $(CONSTRAINTS) dist/*.whl
	$(PACKAGING)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file $(SBOM) build/sbom/bin/python

check-release: ## Check that TAG=v1.2.3 is the version of the code, and that CHANGELOG.md dates it
	@sh dev/check_release.sh "$$TAG"

.PHONY: docs docs-links screenshots

SPHINX := $(PYTHON_IN_VENV) -m sphinx --fresh-env --fail-on-warning --keep-going --quiet

docs: $(READY) ## Build the site into build/docs. A warning or a broken link inside the site is an error (half a minute)
	@$(ADD_GROUP) docs
	$(SPHINX) docs build/docs

docs-links: $(READY) ## Follow the links that leave the site. Needs the internet, so CI does not run it
	@$(ADD_GROUP) docs
	$(SPHINX) --builder linkcheck docs build/docs-links

screenshots: $(READY) ## Take the pictures of the docs again, from a real Airflow in Chromium (about a minute)
	VIDEODB_PICTURES=docs $(PYTHON_IN_VENV) -m pytest tests/live/test_screenshots.py

clean: ## Remove the environment and every cache
	rm -rf $(VENV) $(MATRIX) $(PACKAGING) .nox build dist mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml $(CONSTRAINTS) dev/make_venv.sh
	@sh dev/make_venv.sh $(VENV) $(CONSTRAINTS) '.[sdk]' test lint
	@touch $@

$(MATRIX)/.ready: pyproject.toml $(CONSTRAINTS) dev/make_venv.sh
	@sh dev/make_venv.sh $(MATRIX) $(CONSTRAINTS) '' matrix
	@touch $@

$(PACKAGING)/.ready: pyproject.toml $(CONSTRAINTS)
	@$(or $(PYTHON),python3) -m venv --clear $(PACKAGING)
	@# --group needs pip 25.1.
	@sh dev/quietly.sh $(PACKAGING_PYTHON) -m pip install --upgrade 'pip>=25.1'
	@sh dev/quietly.sh $(PACKAGING_PYTHON) -m pip install --constraint $(CONSTRAINTS) --group package
	@touch $@
