# Every target makes the .venv it needs; it is made again when pyproject.toml changes.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready

$(READY): pyproject.toml
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

# HuggingFace's client from before its rewrite for 1.0; it cannot be in one .venv with the newest.
OLD_HUB := .venv-hub-old/.ready
$(OLD_HUB):
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check 'huggingface_hub==0.36.*'
	touch $@

# The npm packages that clients of Node are made of; without npm their tests are skipped.
NODE := tests/clients/node/node_modules/.ready
$(NODE): tests/clients/node/package-lock.json
	if command -v npm; then cd $(<D) && npm ci --ignore-scripts --no-audit --no-fund && touch ../../../$@; fi

# Who takes part in the matrix, in the order of its columns.
CLIENTS := engine.py shell pooch_loop.py curl.py wget.py aria2c.py parfive_queue.py pypdl_tasks.py hub_download.py requests_loop.py original.mjs

.PHONY: help e2e e2e-fleet test conformance matrix clients faults faults-table nightly lint fix check bench clean

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

e2e: $(READY) ## the main job, offline: 13 files, 492 MB, through healthy and failing sources
	$(BIN)/python -m tests.e2e

e2e-fleet: $(READY) ## six nodes behind one line of 20 MB/s, one lies, one is killed; COMPARE=1: against independent syncs
	$(BIN)/python -m tests.fleet $(if $(COMPARE),--compare)

test: $(READY) ## unit and flow tests, with branch coverage; other people's programs are `make clients`
	$(BIN)/python -m pytest --ignore tests/clients --cov --cov-report=term --numprocesses 4 --dist worksteal

conformance: $(READY) ## the conformance suite against CLIENT="…", or this engine
	$(BIN)/python -m tests.conformance $(if $(CLIENT),--client "$(CLIENT)") --dump out/conformance/failures --report out/conformance

matrix: $(READY) ## the conformance suite against every client in tests/conformance/clients: one page of all, counts into the README (an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	for client in $(CLIENTS); do PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.conformance \
	  --client tests/conformance/clients/$$client --report out/matrix/$$client || failed=1; done; \
	$(BIN)/python -m tests.conformance merge $(addprefix out/matrix/,$(CLIENTS)) --into out/matrix --counts README.md && [ -z "$$failed" ]

clients: $(READY) $(OLD_HUB) $(NODE) ## other people's programs against the fakes: huggingface_hub, curl, wget, aria2c, pooch, npm's IPFS
	$(BIN)/python -m pytest tests/clients

faults: $(READY) ## every fault, alone and with a good second source: a table
	$(BIN)/python -m tests.flow.trial

faults-table: faults ## the same, and into the README
	$(BIN)/python -m tests.flow.faults_table

nightly: $(READY) ## what takes minutes or gigabytes; hostile input in bulk; an hour's soak (FALLBACK_SOAK_S, FALLBACK_SOAK_SEED)
	$(BIN)/python -m pytest -s -m "nightly and not bites"
	$(BIN)/python -m pytest -q -m bites --numprocesses 4 --dist worksteal
	FALLBACK_FUZZ=50 $(BIN)/python -m pytest -q --timeout 3600 tests/hostile
	FALLBACK_SOAK_S=$${FALLBACK_SOAK_S:-3600} $(BIN)/python -m pytest -s -m soak

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint ## lint, and the tests that keep the house in order: layers, exports, documents, mutants that still apply
	$(BIN)/python -m pytest -q tests/unit/test_layers.py tests/unit/test_exports.py tests/unit/test_docs.py \
	  tests/unit/conformance/test_mutants.py::test_every_patch_can_be_applied

bench: $(READY) ## this engine against what people use instead, as ratios: tables, JSON, charts (half an hour)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench

clean: ## remove the .venv and all caches
	rm -rf .venv .venv-hub-old $(dir $(NODE)) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist
