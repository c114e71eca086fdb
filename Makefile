# Two commands: `make demo` runs the workflow on a laptop, `make test` runs the tests.
PYTHON ?= python3
CORES ?= 2
RUN_PYTHON := .venv/bin/python

.PHONY: help demo test lint benchmark clean

help:
	@echo "make demo       set up .venv, run the demo on $(CORES) cores, write results/demo/report.html"
	@echo "make test       set up .venv, run linters, unit tests and the whole workflow in miniature"
	@echo "make lint       ruff, snakefmt and snakemake --lint only"
	@echo "make benchmark  measure speeds into benchmarks/results/"

.venv/installed-%: envs/%.txt envs/cpu.txt
	@test -x $(RUN_PYTHON) || { echo "creating .venv"; $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else 0' && $(PYTHON) -m venv .venv; }
	@echo "installing envs/$*.txt into .venv (a few minutes the first time)"
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

demo: .venv/installed-cpu
	@PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHON=$(RUN_PYTHON) CORES=$(CORES) bash scripts/run_demo.sh

test: .venv/installed-dev lint
	$(RUN_PYTHON) -m pytest

lint: .venv/installed-dev
	$(RUN_PYTHON) -m ruff check .
	$(RUN_PYTHON) -m ruff format --check .
	.venv/bin/snakefmt --check Snakefile rules
	.venv/bin/snakemake --lint

benchmark: .venv/installed-dev
	@for script in benchmarks/bench_*.py; do echo $$script; PYTHONPATH=scripts $(RUN_PYTHON) $$script || exit 1; done

clean:
	rm -rf results/demo results/test logs/demo logs/test
