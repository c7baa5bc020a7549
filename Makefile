# Every task of the project; `make` alone lists them.  CI runs `test` and `check`, and `test-slow` where its data lies.
.POSIX:

PYTHON = python3
VENV = .venv
RUN = $(VENV)/bin/python
STAMP = $(VENV)/.installed
# More for the command behind a target: make serve ARGS="--port 9000", make test ARGS="-k layers".
ARGS =
# Tests that run at the same time, each file in one process.
JOBS = 2
# Where the labelled news lies: train_a, train_b and dev (.ndjson.gz).
GOLD_FOLDER = ../shared/gold
# More for pip, such as the index that holds the CPU build of torch.
PIP_EXTRA_ARGS =

PIP = PIP_DISABLE_PIP_VERSION_CHECK=1 $(RUN) -m pip install $(PIP_EXTRA_ARGS) -c constraints.txt
# The model lies in the package: nothing here may wait for a network.
OFFLINE = HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
# In the order of names: by size, files of few but long tests would come last and leave one process waiting.
# Some two hundred processes are started: each would compile every source anew where writing it down is forbidden.
PYTEST = $(OFFLINE) PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help install serve demo test test-slow check clean
.PHONY: benchmark-quality benchmark-gate benchmark-pairs benchmark-copies benchmark-further benchmark-ingest benchmark-linkage benchmark-memory benchmark-nights benchmark-openings benchmark-scale benchmark-soak

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## Make .venv with the locked dependencies; nothing to do while they are unchanged

# A folder whose interpreter is gone or does not start is made anew.  torch comes first: it is by far the largest, and
# the rest then finds it in place.  setuptools builds the package here, so that the lock holds for the build as well.
# What is compiled is compiled now, not when the first article comes; the sources as well, for some forbid it later.
$(STAMP): pyproject.toml constraints.txt
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) torch==2.13.0 setuptools
	$(PIP) --no-build-isolation -e ".[dev]"
	$(RUN) -m compileall -q service embeddings
	$(OFFLINE) $(RUN) -m embeddings.warm
	@touch $(STAMP)

serve: $(STAMP) ## Run the service on 127.0.0.1:8080 with the store in ./data
	$(OFFLINE) $(RUN) -m service.cli serve $(ARGS)

demo: $(STAMP) ## Post invented news to a service of its own and show the stories it finds
	$(OFFLINE) $(RUN) -m service.cli demo $(ARGS)

test: $(STAMP) ## Run the tests but the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

# pytest exits with 5 when no test is marked slow.
test-slow: $(STAMP) ## Run the slow tests
	$(PYTEST) -m slow $(ARGS) || [ $$? -eq 5 ]

check: $(STAMP) ## Lint, formatting and types
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

benchmark-quality: $(STAMP) ## Score labelled news, a quarter of an hour: make benchmark-quality GOLD_FOLDER=../shared/gold
	$(OFFLINE) $(RUN) -m benchmarks.quality $(GOLD_FOLDER) $(ARGS)

benchmark-gate: $(STAMP) ## Fail where quality on labelled news fell; ARGS=--update raises the floors
	$(OFFLINE) $(RUN) -m benchmarks.quality $(GOLD_FOLDER) --gate $(ARGS)

benchmark-pairs: $(STAMP) ## Recall of candidates, calibration and cost: make benchmark-pairs GOLD="a.ndjson.gz"
	$(OFFLINE) $(RUN) -m benchmarks.pairs $(GOLD) $(ARGS)

benchmark-copies: $(STAMP) ## Score copies, raw and after reading: make benchmark-copies GOLD="a.ndjson.gz b.ndjson.gz"
	$(OFFLINE) $(RUN) -m benchmarks.copies $(GOLD) $(ARGS)

benchmark-ingest: $(STAMP) ## Measure speed and durability: make benchmark-ingest CORPUS=articles.ndjson.gz
	$(OFFLINE) $(RUN) -m benchmarks.ingest $(CORPUS) $(ARGS)

benchmark-openings: $(STAMP) ## What reading openings brings to a night, and what it costs, about ten minutes
	$(OFFLINE) $(RUN) -m benchmarks.openings $(GOLD_FOLDER) $(ARGS)

benchmark-further: $(STAMP) ## Score news of another year, and see what more labels bring, some minutes
	$(OFFLINE) $(RUN) -m benchmarks.further $(GOLD_FOLDER) $(CORPUS) $(ARGS)

benchmark-linkage: $(STAMP) ## Fit how a night joins groups, on one labelled file for the other, some minutes
	$(OFFLINE) $(RUN) -m benchmarks.linkage $(GOLD_FOLDER) $(ARGS)

benchmark-nights: $(STAMP) ## See that IDs survive nightly runs: make benchmark-nights GOLD=a.ndjson.gz
	$(OFFLINE) $(RUN) -m benchmarks.nights $(GOLD) $(ARGS)

benchmark-scale: $(STAMP) ## Measure ingest and nights by size: make benchmark-scale ARGS="10000 100000"
	$(OFFLINE) $(RUN) -m benchmarks.scale $(ARGS)

benchmark-soak: $(STAMP) ## Mixed load under a killer, an hour or so: make benchmark-soak ARGS="--minutes 60"
	$(OFFLINE) $(RUN) -m benchmarks.soak $(ARGS)

benchmark-memory: $(STAMP) ## Measure memory of an article: make benchmark-memory CORPUS=articles.ndjson.gz
	$(OFFLINE) $(RUN) -m benchmarks.memory $(CORPUS) $(ARGS)

clean: ## Remove what builds and tools left; .venv and data stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name $(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
