# Two commands: `make demo` runs the workflow on a laptop, `make test` runs the tests.
PYTHON ?= python3
CORES ?= 2
TEST_WORKERS ?= 2
# What `make label` starts on.
RUN ?= demo
TARGET ?= spiral
RUN_PYTHON := .venv/bin/python
DETECTRON2 := .venv-detectron2

.PHONY: unlock help demo study label archive test test-slurm test-detectron2 lint docs benchmark clean

help:
	@echo "make demo       set up .venv, run the demo on $(CORES) cores, write results/demo/report.html"
	@echo "make study      the same with three trainings of every network (an hour or two), results/study/report.html"
	@echo "make label      label the demo's galaxies on a page in your browser (TARGET=$(TARGET))"
	@echo "make archive    results, report, config, environment and checksums of a run (RUN=$(RUN)) as an RO-Crate, one zip"
	@echo "make unlock     free the folder after a run that was killed (only while no other run is at work in it)"
	@echo "make test       set up .venv, run linters, unit tests and the whole workflow in miniature"
	@echo "make test-slurm  all of what can happen to jobs on a real SLURM of two nodes on this machine; make test has a part of it"
	@echo "make test-detectron2  the second Mask R-CNN alone, in .venv-detectron2"
	@echo "make lint       ruff, snakefmt, mypy and snakemake --lint only"
	@echo "make docs       write what follows from the code (config schema, defaults, page, snapshots, table of rules); site/"
	@echo "make benchmark  measure speeds into benchmarks/results/"

.venv/installed-%: envs/%.txt envs/cpu.txt
	@test -x $(RUN_PYTHON) || { echo "creating .venv"; $(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else 0' && $(PYTHON) -m venv .venv; }
	@echo "installing envs/$*.txt into .venv (a few minutes the first time)"
	@$(RUN_PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

demo study: .venv/installed-cpu
	@PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHON=$(RUN_PYTHON) CORES=$(CORES) bash scripts/run_to_report.sh $@

label: .venv/installed-cpu
	@PYTHONPATH=scripts $(RUN_PYTHON) -m galaxy_lvm.ui --run $(RUN) --target $(TARGET)

archive: .venv/installed-cpu
	@PYTHONPATH=scripts $(RUN_PYTHON) scripts/archive_run.py results/$(RUN)

unlock: .venv/installed-cpu
	@.venv/bin/snakemake --unlock --quiet all && echo "free; start the same command again with --rerun-incomplete"

# On CI Detectron2 must be there; elsewhere its tests wait until a package index can be reached.
test: .venv/installed-dev lint
	@bash tests/browser/install_browser.sh
	@bash tests/slurm/install_slurm.sh
	OMP_NUM_THREADS=1 bash tests/slurm/beside.sh $(RUN_PYTHON) $(RUN_PYTHON) -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
	@if $(MAKE) --no-print-directory $(DETECTRON2)/installed; then $(MAKE) --no-print-directory test-detectron2; \
	elif [ -n "$$CI" ]; then echo "test: $(DETECTRON2) cannot be made (see above); CI needs it" >&2; exit 1; \
	else echo "test: the Detectron2 tests were SKIPPED: $(DETECTRON2) cannot be made (see above); later: make test-detectron2"; fi

$(DETECTRON2)/installed: envs/detectron2-test.txt envs/detectron2-wheel.txt tests/lens_backends/make_environment.sh .venv/installed-dev
	@echo "making $(DETECTRON2) (half a minute)"
	@bash tests/lens_backends/make_environment.sh $(RUN_PYTHON) $(DETECTRON2)
	@touch $@

test-detectron2: $(DETECTRON2)/installed
	$(DETECTRON2)/bin/python -m pytest tests/lens_backends tests/unit/test_detectors.py -k "detectron2 or test_backends"

# A cluster of two nodes on this machine: 22 minutes of CPU and many waits, an hour on two slow cores.
test-slurm: .venv/installed-dev
	@SLURM_NEEDED=1 bash tests/slurm/install_slurm.sh
	SLURM_NEEDED=1 OMP_NUM_THREADS=1 $(RUN_PYTHON) -m pytest tests/slurm

lint: .venv/installed-dev
	$(RUN_PYTHON) -m ruff check .
	$(RUN_PYTHON) -m ruff format --check .
	.venv/bin/snakefmt --check Snakefile rules
	$(RUN_PYTHON) -m mypy
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(RUN_PYTHON) tests/lint_rules.py

docs: .venv/installed-dev
	PYTHONPATH=scripts $(RUN_PYTHON) -m galaxy_lvm.core.config
	PYTHONPATH=scripts $(RUN_PYTHON) -m galaxy_lvm.core.architecture
	@NO_MKDOCS_2_WARNING=1 $(RUN_PYTHON) -m mkdocs build --strict && echo "site/index.html"

benchmark: .venv/installed-dev
	@for script in benchmarks/bench_*.py; do echo $$script; PYTHONPATH=scripts $(RUN_PYTHON) $$script || exit 1; done

clean:
	rm -rf results/demo results/test logs/demo logs/test
