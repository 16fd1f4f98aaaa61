# Everything sets itself up: Python 3.11 to 3.13, make and a package registry are enough.
VENV := .venv
PYTHON ?= python3
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
# What one stage or worker has compiled, the next need not compile again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo studio test slow check lint types e2e kill exports exports-small training nemo completion browser pgbouncer wheel docs tables bench faults teach teach-real teach-small attacks fuzz hostile mutation sound audit audit-reachable golden lock clean

help:
	@echo "make demo   the main job on a real model, no key, no server"
	@echo "make studio the graphs on a server for LangGraph Studio, no key"
	@echo "make test   unit and graph tests, in under a minute"
	@echo "make slow   the unit and graph tests that take long, and every property on all its examples"
	@echo "make bench  processor time a call and a run's time against the least, into docs/benchmarks.md"
	@echo "make faults runs broken at every boundary by seed, of which CI runs a part"
	@echo "make teach  models trained on what the loop accepts, and on what it does not, into docs/teaching.md"
	@echo "make attacks, fuzz, mutation  hostile texts, hostile files and changed code, into docs/reliability.md"
	@echo "make audit  known vulnerabilities of the locked dependencies, and releases taken back"
	@echo "make exports the exports, read and used by the libraries that they are for"
	@echo "make nemo  the export for NeMo Gym by its own data check, with NEMO_PYTHON=python3.13, 3.13.14 or later"
	@echo "make completion  completion in bash, zsh and fish, which it installs where it can"
	@echo "make browser the report in a headless Chromium, which it installs where it can"
	@echo "make check  all that CI runs: tests, lint, types, slow tests, end-to-end tests, kill tests, faults"

# uv where present, else venv + pip; both from the one lock file, which is whole: nothing is resolved.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11")'
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(RUN) --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(RUN) --no-deps --no-build-isolation -e . ; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
	  $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(READY)

demo: $(READY)
	@$(VENV)/bin/autodata demo

# The graphs of langgraph.json on a server of this machine, for LangGraph Studio: no key, nothing is sent anywhere.
STUDIO_PORT ?= 2024
studio: $(READY)
	LANGGRAPH_CLI_NO_ANALYTICS=1 LANGGRAPH_NO_VERSION_CHECK=true LANGSMITH_TRACING=false \
	  $(VENV)/bin/langgraph dev --host 127.0.0.1 --port $(STUDIO_PORT) --no-browser --no-reload --n-jobs-per-worker 10

# Files of the tests are kept in memory where there is room: on a disk, each commit of a run folder would wait for it.
ROOM := $(shell [ -w /dev/shm ] && df -Pk /dev/shm | awk 'END { if ($$4 > 1000000) print "/dev/shm" }')
IN_MEMORY := $(if $(TMPDIR),,$(if $(ROOM),TMPDIR=$(ROOM)))

test: $(READY)
	$(IN_MEMORY) $(RUN) -m pytest -n auto --dist worksteal -m "not slow" --hypothesis-profile quick

# What `make test` leaves out: tests marked slow, and the examples of properties that it does not try.
slow: $(READY)
	$(IN_MEMORY) $(RUN) -m pytest -n auto --dist worksteal -m "slow or hypothesis"

# Imports and types are checked on the wheel's contents: an editable install is invisible to the checkers.
lint: wheel
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PYTHONPATH=build/wheel $(VENV)/bin/lint-imports

wheel: $(READY)
	@rm -rf build dist
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	$(RUN) -m zipfile -e dist/*.whl build/wheel

types: wheel
	MYPYPATH=build/wheel $(VENV)/bin/mypy -p autodata -p autodata_launch
	MYPYPATH=build/wheel $(VENV)/bin/mypy tests

e2e: $(READY)
	$(RUN) -m pytest -n 2 --dist loadgroup tests/e2e

kill: $(READY)
	$(RUN) -m pytest -n 2 --dist loadgroup tests/kill

# Exports are tried by the libraries that they are for, each in an environment of its own: a gigabyte to fetch, so it is
# no part of `make check`.
LIBRARIES := trl verifiers inspect llama-factory ray trackers
exports: $(READY) $(LIBRARIES:%=.venvs/%/.ready)
	$(RUN) -m pytest tests/exports

# The parts of it that CI runs: two minutes and 0.9 GB from nothing,
SMALL := verifiers inspect
exports-small: $(READY) $(SMALL:%=.venvs/%/.ready)
	$(RUN) -m pytest tests/exports/test_libraries.py -k "inspect_runs or verifiers_validates or llama_factory_finds"

# and what the trainer's libraries read and do, docs/training.md as written included: 1.5 GB with torch for processors
# alone, which `make teach-small` uses too.
training: $(READY) .venvs/trl/.ready
	$(RUN) -m pytest tests/exports/test_training.py tests/exports/test_libraries.py -k "training or datasets_and_verl or trl_takes"

# NeMo Gym's own check of the export for it. Its package wants Python 3.13.14, newer than most machines have.
NEMO_PYTHON ?= python3.13
nemo: $(READY) .venvs/nemo-gym/.ready
	$(RUN) -m pytest tests/nemo_gym

.venvs/nemo-gym/.ready: PYTHON := $(NEMO_PYTHON)

.venvs/%/.ready: tests/exports/%.txt
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --seed --python $(PYTHON) .venvs/$* && uv pip install --quiet --python .venvs/$*/bin/python -r $< ; \
	else \
	  $(PYTHON) -m venv .venvs/$* && .venvs/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $< ; \
	fi
	@touch $@

# A run through PgBouncer in transaction mode: apt-get install pgbouncer.
pgbouncer: $(READY)
	$(RUN) -m pytest tests/pgbouncer

# Completion in bash, zsh and fish, each the one that is there, or Debian's. `make e2e` tries those that are installed.
completion: $(READY)
	@{ command -v zsh && command -v fish; } >/dev/null 2>&1 || \
	  { apt-get update -q && apt-get install -q -y --no-install-recommends zsh fish; } || \
	  { echo "make completion needs zsh and fish: install them" >&2; exit 1; }
	$(RUN) -m pytest tests/e2e/test_completion.py

# The report in a browser. It takes a Chromium that is there, or Debian's; no part of `make check`, for not every machine
# can have one. What the page's script decides is tested without a browser by `make test`.
browser: $(READY)
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null 2>&1 && exit 0; \
	done; \
	{ apt-get update -q && apt-get install -q -y --no-install-recommends chromium; } || \
	  { echo "make browser needs Chromium or Chrome: install one" >&2; exit 1; }
	$(RUN) -m pytest tests/browser

check: test lint types slow e2e kill faults

# The generated parts of docs; tests/unit/test_docs.py, test_api.py and test_metrics.py say when they are out of date.
docs: $(READY)
	$(RUN) docs/make.py
	$(RUN) docs/public.py
	$(RUN) docs/commands.py
	$(RUN) docs/example.py
	$(RUN) docs/metrics.py

# The simulated tables in docs; tests say when they are out of date. The last takes an hour of two cores, and goes on where
# it was stopped.
tables: $(READY)
	$(RUN) benchmarks/tables.py
	$(RUN) -m benchmarks.curtailing
	$(RUN) -m benchmarks.world_tables
	$(RUN) -m benchmarks.optimizer_tables

# What a call costs and how close a run comes to the least time, into docs/benchmarks.md: ten minutes of an idle machine.
bench: $(READY)
	$(RUN) -m benchmarks.calls
	$(RUN) -m benchmarks.call_parts
	$(RUN) -m benchmarks.postgres_bytes

# Runs broken at every boundary by seed. All thousand, into docs/reliability.md: a quarter of an hour of two cores, by
# `.venv/bin/python -m benchmarks.faults --scenarios 1000 --jobs 2 --write`.
FAULTS ?= 45
faults: $(READY)
	$(RUN) -m benchmarks.faults --scenarios 1000 --seed 10000 --seconds $(FAULTS) --jobs 2

# Does the data teach? Five seeds of every arm, within an hour of two idle cores; what is done already is not done again.
# The small one takes two steps of every arm in a minute or two and writes no page; CI runs it. Torch brings gigabytes, so
# neither is part of `make check`; tests/unit/test_teaching.py says when the page is out of date.
teach: .venvs/teach/.ready
	.venvs/teach/bin/python -m benchmarks.teaching --folder runs/teaching

# Threads that wait must not spin: beside other work they would take most of the time from those that work.
PASSIVE := OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
teach-small: .venvs/teach/.ready
	rm -rf runs/teaching-small
	$(PASSIVE) .venvs/teach/bin/python -m benchmarks.teaching --tiny --processes 1 --folder runs/teaching-small
	$(PASSIVE) .venvs/teach/bin/python -m benchmarks.teaching.real --tiny --folder runs/teaching-small/real

# The same of a real small model, whose weights come as those of `make demo` do: docs/teaching-plan-real.md.
teach-real: .venvs/teach/.ready
	$(PASSIVE) .venvs/teach/bin/python -m benchmarks.teaching.real --folder runs/teaching-real

# Autodata, and the trainer's libraries of tests/exports by a line of a .pth file: the solvers are chat models of one process
# with the loop, and torch is fetched once.
.venvs/teach/.ready: .venvs/trl/.ready pyproject.toml
	$(PYTHON) -m venv .venvs/teach
	.venvs/trl/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	  "$$(.venvs/teach/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/trainer.pth"
	.venvs/teach/bin/python -m pip install --quiet --disable-pip-version-check -e '.[export,local,plot,science]'
	@touch $@

# What hostile texts and files do, into docs/reliability.md: ten minutes and one minute of an idle core.
attacks: $(READY)
	$(IN_MEMORY) $(RUN) -m benchmarks.attacks

fuzz: $(READY)
	$(IN_MEMORY) $(RUN) -m benchmarks.fuzzing

# The part of both that CI runs.
hostile: $(READY)
	$(IN_MEMORY) $(RUN) -m benchmarks.attacks --slice 20
	$(IN_MEMORY) $(RUN) -m benchmarks.fuzzing --share 0.2

# Which changes of the code that decides no test would notice, into docs/reliability.md: a quarter of an hour of one core.
mutation: $(READY) .venvs/mutation/.ready
	$(RUN) -m benchmarks.mutation

.venvs/mutation/.ready: benchmarks/mutation.txt
	$(PYTHON) -m venv .venvs/mutation && .venvs/mutation/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Dependencies that fit each other; they were installed from a lock of hashes alone.
sound: $(READY)
	@if $(RUN) -m pip --version >/dev/null 2>&1; then $(RUN) -m pip check; else uv pip check --python $(RUN); fi

# Known vulnerabilities of what is locked, and releases that were taken back; what no service answers about is not known
# to be sound, and fails. CI has the other one: where no service can be reached it says so, and goes on.
audit: .venvs/audit/.ready
	.venvs/audit/bin/python -m benchmarks.audit

audit-reachable: .venvs/audit/.ready
	.venvs/audit/bin/python -m benchmarks.audit --where-reachable

.venvs/audit/.ready: benchmarks/audit.txt
	$(PYTHON) -m venv .venvs/audit && .venvs/audit/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The recorded runs and served schemas in tests/golden; tests/graph/test_golden.py and test_schemas.py say when a prompt
# or a schema is no longer the recorded one. What is printed of the run folders in tests/golden/run_folder is written anew
# too (test_pinned.py); the folders are not, for they stand for what people have on their disks.
golden: $(READY)
	$(RUN) -c 'from autodata.checkpoints import schema; schema.SCHEMA.write_text(schema.schema_sql(), "utf-8")'
	$(RUN) -m tests.support.golden
	$(RUN) -m tests.support.schemas
	$(RUN) -m tests.support.pinned

# All extras but the one that is gigabytes of a trainer's libraries, and those of trackers, which have environments of their own.
EXTRAS = $(shell $(PYTHON) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(*(f"--extra {name}" for name in extras if name not in {"transformers", "mlflow", "wandb"}))')
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(EXTRAS) pyproject.toml -o requirements.lock

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
