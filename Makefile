# Two commands do everything on a fresh machine with Python 3.10+, a C compiler and make:
#   make demo    a simulated line drives the real station: teaches an engine, inspects parts, writes a report
#   make test    every check and test
# Each makes its own environment in .venv; `make clean` removes it.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

DEMO_WORK ?= demo

.PHONY: demo test lint clean tools install

demo: $(STAMP)
	$(BIN)/station demo --work $(DEMO_WORK) $(DEMO_ARGS)

# Two at a time, file by file: many tests wait for processes. One at a time: make test PYTEST_ARGS=-n0
test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(STAMP)

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
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,openvino,dev]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info drivers/camera/simtl/*.cti .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
