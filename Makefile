# Each target does its own set-up, in .venv; nothing else is touched.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export MPLBACKEND := Agg
export OPENBLAS_NUM_THREADS ?= 2
TEST_WORKERS ?= 2

.PHONY: demo test test-slow mutants bench lint serve docs sbom clean

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[demo,test,lint]'
	touch $(SETUP)

demo: $(SETUP)  ## the whole workflow on public data; prints where the report is
	$(BIN)/galenic demo galenic-demo

lint: $(SETUP)  ## format, style, import contracts, types, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/deptry src
	$(BIN)/bandit -q -ll -r src -c pyproject.toml

test: lint  ## what CI runs; TEST_WORKERS processes, each file in one of them
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

test-slow: $(SETUP)  ## audits and races that take minutes
	$(BIN)/python -m pytest -m slow --timeout=3600
	GALENIC_RACES=50 $(BIN)/python -m pytest --timeout=3600 tests/security/test_races_of_processes.py tests/server/test_races_over_http.py
	$(MAKE) mutants

mutants: $(SETUP)  ## random changes to named modules that the closest tests must notice: benchmarks/mutants.toml
	$(PIP) -e '.[mutants]'
	$(BIN)/python benchmarks/mutants.py

serve: $(SETUP)  ## the server with simulated patients, at https://localhost:8443
	$(PIP) -e '.[server]'
	$(BIN)/galenic serve

docs: $(SETUP)  ## the documentation as a site with search, checked strictly: build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'read it with search: $(BIN)/python -m http.server --directory build/site 8000, then open http://localhost:8000'

sbom: $(SETUP)  ## every part of this environment, as CycloneDX: build/sbom.json
	mkdir -p build
	$(BIN)/cyclonedx-py environment --output-format JSON --output-file build/sbom.json $(BIN)/python

bench: $(SETUP)  ## make bench NAME=spine
	$(BIN)/python benchmarks/$(NAME).py

clean:
	rm -rf $(VENV) build galenic-demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
