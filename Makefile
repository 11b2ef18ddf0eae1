# Everything a person or the build does here. `make help` lists it.
SHELL := /bin/bash -euo pipefail
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
WORKERS ?= 2
UV := .uv/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy
# Imports take half the time, also where Python is told not to write its caches.
export UV_COMPILE_BYTECODE := 1
export GRPC_VERBOSITY ?= ERROR

SOURCES := server bff launch
PROTO_CACHE := .cache/proto
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --no-emit-package carelane

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.ready ## Install everything into .venv (does nothing when nothing changed)
	@:

.PHONY: run
run: setup ## Set up, then start the whole platform on this machine (Ctrl-C stops it)
	@exec $(BIN)/carelane up

.PHONY: migrate
migrate: setup ## Bring the database of MIGRATE_DATABASE_URL to the newest schema
	@$(BIN)/carelane migrate

.PHONY: test
test: setup proto-cache ## Run every test with reduced counts (TESTS=tests/auth for a part)
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "not deep" -q $(TESTS)

.PHONY: test-deep
test-deep: setup proto-cache ## Run every test with full counts, the slow ones too
	@CARELANE_TEST_COUNTS=deep $(BIN)/pytest -n $(WORKERS) --dist loadgroup -q $(TESTS)

.PHONY: bench
bench: setup ## Measure the platform and its peers on this machine (PARTS="expansion reading booking")
	@$(BIN)/python -m benchmarks $(PARTS)

.PHONY: lint
lint: setup proto-cache ## Check style, types, imports, sizes and the contract
	@$(MAKE) -k lint-style lint-types lint-imports lint-sizes lint-contract

.PHONY: lint-style lint-types lint-imports lint-sizes lint-contract
lint-style:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
lint-types:
	@$(BIN)/mypy
lint-imports:
	@$(BIN)/lint-imports --no-logo
lint-sizes:
	@$(BIN)/python tools/sizes.py $(SOURCES) tools
lint-contract:
	@$(BIN)/buf lint
	@$(BIN)/buf breaking proto --exclude-imports --against proto/released.binpb

.PHONY: format
format: setup ## Rewrite the code the way lint wants it
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

.PHONY: generate
generate: setup proto-cache ## Write the generated code of clients/ from proto/
	@$(BIN)/python tools/generate.py

.PHONY: release-image
release-image: setup proto-cache ## At a release only: make the present contract the one that may not break
	@$(BIN)/buf build --path proto/carelane --exclude-source-info --output proto/released.binpb
	@echo "proto/released.binpb is now the contract of proto/; commit it with the release."

.PHONY: lock
lock: .uv/.ready ## Write the lock files from pyproject.toml (UPGRADE=1 takes newer versions)
	@for part in "requirements.lock pyproject.toml" \
		"requirements-dev.lock pyproject.toml --group dev" \
		"requirements-bootstrap.lock --group bootstrap" \
		"requirements-proto.lock --group proto --no-deps"; do \
		echo "  $${part%% *}"; $(COMPILE) $(if $(UPGRADE),--upgrade) $${part#* } -o $${part%% *} >/dev/null; done

.PHONY: clean
clean: ## Remove the environment, caches and build results (data in .carelane stays)
	@rm -rf .venv .uv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- how the above comes about

.uv/.ready: requirements-bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Carelane needs Python 3.11 or newer; set PYTHON=python3.x")'
	@echo "Preparing uv in .uv ..."
	@[ -x .uv/bin/pip ] || $(PYTHON) -m venv .uv
	@.uv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	@touch $@

.venv/.ready: .uv/.ready requirements-dev.lock pyproject.toml clients/python/pyproject.toml
	@echo "Installing the locked packages into .venv ..."
	@[ -x $(BIN)/python ] || $(UV) venv -q --python "$$(command -v $(PYTHON))" .venv
	@$(UV) pip sync --python $(BIN)/python --require-hashes requirements-dev.lock
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation --offline -e clients/python -e .
	@touch $@

.PHONY: proto-cache
proto-cache: $(PROTO_CACHE)/.ready

$(PROTO_CACHE)/.ready: requirements-proto.lock requirements-dev.lock tools/third_party_protos.py | setup
	@echo "Fetching third-party .proto files ..."
	@$(BIN)/python tools/third_party_protos.py $(PROTO_CACHE)
