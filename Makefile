# make interim   set up (once) and run the main job          make test       set up (once) and run every check
# make lab       open JupyterLab on the notebooks            make quick      checks that compile no model
# make notebooks execute the notebooks in place              make coverage   share of the lines that tests run
# make validate  long calibrations, resumable                make benchmark  speed against the alternatives
# make docs      reference and examples as pages, out/docs
.PHONY: interim test lint quick unit coverage notebook-test lab notebooks docs validate benchmark clean
.DELETE_ON_ERROR:
SHELL := /bin/sh
READY := .venv/.complete
BIN := .venv/bin
OUT ?= out/interim

interim: $(READY)
	$(BIN)/smm-bayes interim models/krd_vs_rd/spec.toml --out $(OUT)

# Each candidate is executed and asked for its version: a name on the PATH may be a shim that fails.
$(READY): requirements.lock pyproject.toml
	@found=; for candidate in $(PYTHON) python3.12 python3.13 python3.14 python3 python; do \
	  if "$$candidate" -P -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; \
	  then found=$$candidate; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "No Python 3.12 or later was found (tried python3.12, python3.13, python3.14, python3, python): install one, or name it with make PYTHON=/path/to/python." >&2; \
	  exit 2; fi; \
	echo "Setting up .venv with $$found (a few minutes, once)"; \
	rm -rf .venv && "$$found" -P -m venv .venv
	@$(BIN)/python -P -m pip install --quiet --disable-pip-version-check uv
	@if UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock; then :; \
	  else $(BIN)/python -P -m pip install --quiet --disable-pip-version-check -r requirements.lock; fi
	@$(BIN)/python -P -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

test: lint unit notebook-test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell

quick: lint
	$(BIN)/pytest -q -n 2 --dist loadfile --quick tests/identity tests/unit

# Long files first, so that no worker waits for another at the end.
UNIT = $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=5 \
  tests/recovery tests/unit tests/identity tests/calibration tests/reference

unit: $(READY)
	$(UNIT)

coverage: $(READY)
	$(UNIT) --cov --cov-report=term

notebook-test: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadfile --nbval-lax --nbval-cell-timeout=300 \
	  --nbval-sanitize-with notebooks/nbval_sanitize.cfg notebooks

lab: $(READY)
	$(BIN)/jupyter lab --ip=127.0.0.1 --notebook-dir=notebooks

notebooks: $(READY)
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace \
	  --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

docs: $(READY)
	MPLBACKEND=Agg $(BIN)/python -P -m sphinx --quiet --fresh-env --fail-on-warning -b html -c docs . out/docs
	@echo out/docs/docs/index.html

validate: $(READY)
	$(BIN)/python -P -m smm_bayes.validation.validate models
	$(BIN)/python -P -m smm_bayes.validation.null models/variants
	$(BIN)/python -P -m smm_bayes.validation.tables models/variants
	$(BIN)/python -P -m smm_bayes.validation.coverage models/variants
	$(BIN)/python -P -m smm_bayes.validation.violations models/variants
	$(BIN)/python -P -m smm_bayes.validation.backtest models/backtest
	$(BIN)/python tests/calibration/monte_carlo_error.py
	$(BIN)/python tests/fuzz/readers.py
	$(BIN)/python tests/mutation/run.py --write

benchmark: $(READY)
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf .venv .coverage out .pytest_cache .mypy_cache .ruff_cache .hypothesis
