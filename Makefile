# Two commands do everything on a fresh machine with Python 3.10+, a C compiler and make: `make demo` and `make test`.
# Each makes its own environment in .venv; `make clean` removes it. `make help` lists every target from its `##`.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

DEMO_WORK ?= demo

.PHONY: help demo run test fast system fleet-test coverage lint style typing contracts documents collected format types docs bench clean tools install

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## a simulated line drives the real station: teaches an engine, inspects parts, writes a report
	$(BIN)/station demo --work $(DEMO_WORK) $(DEMO_ARGS)

# Both lanes in one run: tests that compute fill the cores while others wait, and each worker imports everything once.
# What pytest makes of the tests, on a fresh checkout 20 s for each worker, is made beside the checks, of which mypy
# takes longest and one core.
test: $(STAMP)  ## every check and test
	$(MAKE) --no-print-directory --jobs $(CORES) --output-sync lint collected
	$(PYTEST) -n $$(($(CORES) + 1)) $(PYTEST_ARGS)

collected: $(STAMP)
	$(PYTEST) --collect-only -qqq

# Tests that start no process compute; the others wait for theirs now and then: one more of those than there are cores.
# One at a time: make test PYTEST_ARGS=-n0
CORES := $(shell nproc)
# The tests start hundreds of Python processes: each finds its modules compiled, also where the environment forbids it.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/python -m pytest --dist worksteal

fast: $(STAMP)  ## the tests that start no process, while working: a few minutes on two cores
	$(PYTEST) -m "not system" -n $(CORES) $(PYTEST_ARGS)

system: $(STAMP)  ## the tests that start processes: whole stations, commands, compilers, trainings
	$(PYTEST) -m system -n $$(($(CORES) + 1)) $(PYTEST_ARGS)

# What cannot stand beside the station's own packages (moto wants an older python-dateutil) runs as a process of an
# environment of its own; the tests themselves run in that of the station, and `make test` skips them without the other.
FLEET ?= .venv-fleet

fleet-test: $(STAMP) $(FLEET)/.installed  ## the tests of many stations against an S3 server and on Ray, in an environment of its own
	$(PYTEST) -m fleet -n $(CORES) $(PYTEST_ARGS)

$(FLEET)/.installed: tests/fleet/requirements.txt | tools
	test -x $(FLEET)/bin/python || $(PYTHON) -m venv $(FLEET)
	$(FLEET)/bin/python -m pip install --quiet --upgrade pip
	$(FLEET)/bin/python -m pip install --quiet --no-deps --requirement $<
	@touch $@

# Those of both lanes, which takes several times as long: make coverage COVERED=
COVERED ?= not system

coverage: $(STAMP)  ## a table of the lines that the fast tests do not run
	$(BIN)/python -m coverage erase
	-$(BIN)/python -m coverage run -m pytest --dist worksteal -m "$(COVERED)" -n $(CORES) $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

lint: typing style contracts documents  ## style, types, import contracts, generated documents

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typing: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

documents: $(STAMP)
	$(BIN)/python -m docs.generate --check

format: $(STAMP)  ## puts the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)  ## mypy in a process that stays, a second after the first time; `.venv/bin/dmypy stop` ends it
	$(BIN)/dmypy run

docs: $(STAMP)  ## writes every generated document and diagram
	$(BIN)/python -m docs.generate

bench:  ## lists the benchmarks
	@for file in $$(grep -l __main__ benchmarks/*.py); do printf '%-34s %s\n' "$$file" "$$(sed -n '1s/^"""//; 1s/"""$$//; 1p' $$file)"; done

run: $(STAMP)  ## the station of the last demo with the software camera, until Ctrl-C
	@test -f $(DEMO_WORK)/station.toml || { echo "make: no $(DEMO_WORK)/station.toml; run \`make demo\` first"; exit 1; }
	@echo "Look at it from another terminal, and stop it here with Ctrl-C:"
	@echo "  $(BIN)/station status --config $(DEMO_WORK)/station.toml"
	@echo "  $(BIN)/station plc monitor --port $$(sed -n 's/^port = //p' $(DEMO_WORK)/station.toml)"
	$(BIN)/station run --config $(DEMO_WORK)/station.toml

install: $(STAMP)  ## makes the environment in .venv

# Says what is missing and what to install, before anything is tried.
tools:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: '$(PYTHON)' not found. Install Python 3.10 or newer (Debian, Ubuntu: apt install python3 python3-venv)," \
	       "or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "make: $$($(PYTHON) --version) is too old. Install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "make: this Python cannot make environments. Install venv (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import ctypes, sys; ctypes.CDLL("libpython%d.%d.so.1.0" % sys.version_info[:2])' 2>/dev/null || { \
	  echo "make: this Python has no shared library, which the camera library needs (Debian, Ubuntu: apt install python3-dev)"; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { \
	  echo "make: no C compiler. Install one (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc)"; exit 1; }

$(STAMP): pyproject.toml setup.py constraints.txt $(wildcard drivers/camera/simtl/src/*) | tools
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,openvino,hmi,reports,plant,plant-db,plant-s3,dev]'
	@touch $@

clean:  ## removes the environment, builds and caches
	rm -rf $(VENV) $(FLEET) build *.egg-info drivers/camera/simtl/*.cti .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
