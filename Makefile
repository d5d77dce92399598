# Two commands set up everything: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
PHOTOS ?= 96
FUZZ_SECONDS ?= 60

.PHONY: demo test test-runners lint format bench fuzz clean
.DELETE_ON_ERROR:

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# what a run needs
$(VENV)/installed: $(BIN)/python setup.py constraints.txt
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e .
	touch $@

# and what tests and checks need beside it
$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev,gcp,aws]'
	touch $@

# and what is measured with
$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/packshot samples $(DEMO)/catalogue --count $(PHOTOS) --seed 1 --broken 4
	$(BIN)/packshot run --input $(DEMO)/catalogue/images --output $(DEMO)/output \
	  --outputs packshot,mask,cutout --max_rejected_fraction 0.2

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# on Flink (Java) and Prism (Go), fetched and started by the tests; RUNNERS_PHOTOS=2000, RUNNERS_INPUT=feed.parquet
test-runners: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 0 -rs tests/runners

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# BENCH="--only loop,floor", BENCH="--full", BENCH="--photos catalogue.parquet" ...
bench: $(VENV)/installed-bench
	$(BIN)/python -m tests.benchmarks $(BENCH)

# the property tests on new examples, then coverage-guided; what the latter finds is written to build/fuzz
fuzz: $(VENV)/installed-dev
	$(BIN)/pytest --quiet --hypothesis-profile=searching $$(grep -rl hypothesis tests --include='test_*.py')
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz decode $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz parquet $(FUZZ_SECONDS)

.PHONY: test-images
# what the images install, in clean environments; IMAGES=deploy/dataflow/gpu.Dockerfile fetches 3 GB of CUDA
test-images: $(BIN)/python
	$(BIN)/python deploy/check_images.py $(IMAGES)

clean:
	rm -rf build $(VENV)
