# asrbox: `make iso` builds the ISO, `make test` proves it. Everything else is convenience.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.asrbox-deps
APT := $(shell cat distro/build-host.txt 2>/dev/null | sed 's/ *\#.*//' | tr '\n' ' ')
ISO_OPTIONS ?=
TEST_OPTIONS ?=
# Two tests beside one another, those of a file in order; files begin as they are named: the longest first.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
CHOSEN_BASE = $(if $(BASE),--base $(BASE))
SOURCES = $(if $(MIRROR),--mirror $(MIRROR)) $(if $(KEYRING),--keyring $(KEYRING))
MEDIUM = $(if $(BOOT_ISO),--boot-iso $(BOOT_ISO))
export PYTHONPATH := $(CURDIR)
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help deps iso boot test lint unit twice services containers machine centos-acceptance synthetic bench docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: $(STAMP) ## install what building and testing need (Debian packages, a virtual environment)

$(STAMP): distro/build-host.txt distro/locks/tools.txt
	@echo "▸ Debian packages that the build host needs"
	@sh builder/install_host_packages.sh $(APT)
	@echo "▸ virtual environment in $(VENV), from the hash-locked distro/locks/tools.txt"
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN)/python -m pip install --quiet --quiet --require-hashes --requirement distro/locks/build.txt
	@$(RUN)/python -m pip install --quiet --quiet --require-hashes --no-build-isolation --requirement distro/locks/tools.txt
	@touch $@

iso: deps ## build the ISO into dist/ (BASE=centos-stream-9 MIRROR=… BOOT_ISO=… ISO_OPTIONS="--release --seed FILE …")
	@$(RUN)/python cli.py $(CHOSEN_BASE) iso $(SOURCES) $(MEDIUM) $(ISO_OPTIONS)

boot: iso ## install the ISO on an empty disk in QEMU, then boot it (BOOT_OPTIONS="--window --firmware uefi …")
	@$(RUN)/python cli.py boot --install $(BOOT_OPTIONS)

test: deps ## everything: checks, two builds compared, all floors of tests
	@# Two things at a time: none keeps two processors busy by itself. First what is quick to fail. Of the floors, the
	@# machines take longest and a story of theirs cannot be cut up, so they begin first; the containers wait more than
	@# they compute, and the services follow when they have ended.
	@$(MAKE) --no-print-directory -j 2 twice lint unit
	@$(MAKE) --no-print-directory -j 2 machine containers services

lint: deps ## ruff, mypy --strict, asrbox check
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/mypy
	@$(RUN)/python cli.py check

unit: deps ## pure tests, seconds
	@$(RUN)/python -m pytest $(PARALLEL) tests/unit $(TEST_OPTIONS)

twice: deps ## build from empty stores twice and compare the ISOs
	@$(RUN)/python cli.py $(CHOSEN_BASE) build --twice $(SOURCES)

services: deps ## real daemons on this machine
	@$(RUN)/python -m pytest $(PARALLEL) tests/services/test_synthetic_build.py tests/services $(TEST_OPTIONS)

containers: deps ## real containers made from our images
	@$(RUN)/python -m pytest tests/containers $(TEST_OPTIONS)

machine: deps ## the ISO in QEMU: install, boot, talk to it
	@$(RUN)/python -m pytest $(PARALLEL) tests/machine $(TEST_OPTIONS)

centos-acceptance: deps ## for who has a mirror: build, install, look, report (BASE=… MIRROR=… [BOOT_ISO=…])
	@$(RUN)/python -m tests.acceptance $(CHOSEN_BASE) $(SOURCES) $(MEDIUM)

synthetic: deps ## the RPM distribution of the tests, and how to build from it
	@$(RUN)/python -m tests.synthetic build/synthetic

bench: deps ## measure; writes build/bench.json and docs/benchmarks.md
	@$(RUN)/python -m tests.bench

docs: deps ## write docs/manifest.md from the models, and the table of docs/centos.md from pykickstart
	@$(RUN)/python cli.py schema --markdown > docs/manifest.md
	@$(RUN)/python -m builder.kickstart_handlers docs/centos.md

clean: ## remove what builds have made (the store too)
	rm -rf build dist
