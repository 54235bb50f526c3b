# Every target sets up its own environment first; the second time that costs nothing.
.PHONY: help setup run trade ui test test-room laws mutants check bench audit audit-search chaos soak drill restarts postgres s3 cluster container conformance pages pictures docs sbom audit-deps clean
.DEFAULT_GOAL := help

BIN := .venv/bin
# Files with few tests that take minutes: begun last, they would leave a core idle at the end.
LONG_TESTS := $(addprefix quant_organism_tests/,orchestration audit test_documentation.py)
DATA := data
N := 20
SEED := 0
export DAGSTER_DISABLE_TELEMETRY := 1
export RAY_USAGE_STATS_ENABLED := 0
# Containers like to set it, and then each of many processes compiles the whole program anew.
unexport PYTHONDONTWRITEBYTECODE

help:  ## show the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup:  ## make .venv with the locked packages
	@bash .ci/setup

run: setup  ## the whole organism on a simulated market: data, search, validation, deployment, report
	@$(BIN)/quant-organism run --world demo

trade: setup  ## a demonstration strategy on a simulated exchange, a bar a second, until Ctrl-C
	@$(BIN)/quant-organism trade --demo

ui: setup  ## the Dagster web UI on http://127.0.0.1:3000
	@$(BIN)/quant-organism ui

test: setup  ## all tests
	@bash .ci/chromium
	@bash .ci/postgres
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 --durations 15 $(LONG_TESTS) quant_organism_tests

test-room: setup  ## the tests of one room and its subfolders: make test-room ROOM=validation
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations 5 quant_organism_tests/$(ROOM)

laws: setup  ## every law on examples nobody has drawn before, those of the account over 20,000 random plans; 10 months of money; 20 kills of a search, 60 of weeks lived through
	@ACCOUNT_PLANS=20000 $(BIN)/python -m pytest -q -n 2 -m hypothesis --hypothesis-profile fresh quant_organism_tests
	@EQUITY_MONTHS=10 $(BIN)/python -m pytest -q -n 2 quant_organism_tests/trading/test_money.py -k thirty
	@KILLS=20 AUDIT_WORLDS=6 $(BIN)/python -m pytest -q -n 2 --dist loadfile --timeout 1800 quant_organism_tests/evolution/test_kill_and_resume.py quant_organism_tests/audit/test_small_audit.py
	@KILLS=60 $(BIN)/python -m pytest -q --timeout 3600 quant_organism_tests/orchestration/test_backfill_killed.py

mutants: setup  ## does the suite notice small changes? make mutants ROOM=backtest/margin N=20 SEED=0; may be interrupted
	@$(BIN)/python -m quant_organism_tests.mutants $(ROOM) --n $(N) --seed $(SEED)

check: setup  ## ruff, mypy, import walls
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup  ## one benchmark: make bench NAME=configs; AGAINST=FOLDER in turn with another checkout's
	@$(BIN)/python -m benchmarks $(NAME) $(if $(AGAINST),--against $(AGAINST))

audit: setup  ## the whole organism on 260 fresh worlds: false discoveries and power; may be interrupted
	@$(BIN)/quant-organism audit --nulls 200 --planted 60 --seed-range confirmation

audit-search: setup  ## the search against random search, TPE and CMA-ES on 60 worlds; may be interrupted
	@$(BIN)/python -m benchmarks audit_search

chaos: setup  ## faults against traders and their feed: ten minutes; PART=session|line|kills|breakers; SEEDS=200 for as many seeds
	@$(BIN)/python -m quant_organism_tests.chaos $(PART) $(if $(SEEDS),--seeds $(SEEDS))

soak: setup  ## a whole trader for 24 simulated hours: books, memory, threads, sockets; HOURS=168 STRATEGIES=20 FAULTS=1, or KILLS=100
	@$(BIN)/python -m quant_organism_tests.chaos.soak $(if $(HOURS),--hours $(HOURS)) $(if $(STRATEGIES),--strategies $(STRATEGIES)) $(if $(FAULTS),--faults) $(if $(KILLS),--kills $(KILLS))

drill: setup  ## a data folder is backed up while it is traded in, lost, brought back, reconciled, and goes on with its next cycle
	@$(BIN)/python -m quant_organism_tests.drill

restarts: setup  ## web UI, trader with its watchdog, figures and alerts started and stopped 100 times, nothing left; ROUNDS=3
	@$(BIN)/python -m quant_organism_tests.restarts $(if $(ROUNDS),--rounds $(ROUNDS))

postgres: setup  ## Dagster's history moved from files into a PostgreSQL server, and a cycle there, killed once
	@bash .ci/postgres
	@$(BIN)/python -m quant_organism_tests.postgres

s3: setup  ## the lake in a bucket of a server on this machine: the same bytes as in a folder, killed once, the server taken away
	@$(BIN)/python -m quant_organism_tests.s3

cluster: setup  ## the guide to a cluster followed with three Ray nodes: one is lost, then a head; the same bytes as on threads
	@$(BIN)/python -m quant_organism_tests.cluster

container:  ## an image with environment and kernels, from Debian's packages, and a whole cycle in it
	@bash .ci/container

conformance: setup  ## other people's clients on the local exchange, in environments of their own: docs/conformance.md
	@$(BIN)/python -m quant_organism_tests.conformance $(CLIENT)

pages: setup  ## what of docs/ follows from the code: commands, tables, families with their pictures, gates, workflows
	@$(BIN)/python -m quant_organism_tests.family_pages

pictures: setup  ## pictures of report site and web UI in docs/images, after their looks have changed: make pictures DATA=data; YEAR=FOLDER
	@bash .ci/chromium
	@$(BIN)/python -m quant_organism_tests.pictures $(if $(YEAR),--year $(YEAR),$(DATA))

docs: setup  ## the documentation as a site, strictly, in site/; .venv/bin/mkdocs serve shows it on http://127.0.0.1:8000
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

sbom: setup  ## every locked package with digests, licence and needs, as CycloneDX: sbom.json
	@$(BIN)/python -m quant_organism_tests.sbom sbom.json

audit-deps: setup  ## known vulnerabilities of the locked packages; needs the network, and fails without it
	@bash .ci/audit-dependencies

clean:  ## remove the environment and everything that runs have made
	rm -rf .venv site sbom.json data/lake data/strategies data/reports data/logs data/demonstration
	find data/dagster_home -mindepth 1 -not -name dagster.yaml -delete
