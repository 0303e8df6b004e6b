# `make help` lists the targets. Everything runs in .venv, made from uv.lock.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types layers unit root e2e clients tempest tempest-real lab image-test golden docs bench clean
SHELL := /bin/sh
# An environment that forbids it would make each of the hundreds of processes of the tests compile all it imports.
unexport PYTHONDONTWRITEBYTECODE
RUN := scripts/uv run --frozen --all-extras --no-sync

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages by apt (as root), Python packages by uv
	@scripts/setup

demo: setup ## the operator's guide, typed and shown, in a private fabric (as root)
	@$(RUN) hydria demo

test: setup check ## everything: lint, types, layers, unit, root, end-to-end, clients, tempest, lab and image tests (as root), none skipped
	@scripts/setup --lab
	@scripts/setup --image
	@scripts/test tests/unit -n auto
	@scripts/test tests/root tests/e2e tests/clients
	@$(MAKE) --no-print-directory tempest
	@$(MAKE) --no-print-directory tempest-real
	@$(MAKE) --no-print-directory lab
	@$(MAKE) --no-print-directory image-test

check: lint types layers ## lint, types and layers, without tests

lint: ## ruff
	$(RUN) ruff check
	$(RUN) ruff format --check

types: ## mypy --strict
	$(RUN) mypy

layers: ## import-linter
	$(RUN) lint-imports

unit: ## unit tests: no root, no network
	$(RUN) pytest -q tests/unit -m "not client" -n auto

root: ## tests that need network namespaces (as root)
	@scripts/test tests/root

e2e: ## the whole of Hydria with traffic (as root)
	@scripts/test tests/e2e

clients: ## every subcommand of the official clients against `hydria up --noop`
	@scripts/test tests/clients

tempest: ## octavia-tempest-plugin's API tests against `hydria up --noop`; some of them with TEMPEST=REGEX
	@scripts/setup --tempest
	@$(RUN) python tests/tempest/run.py $(TEMPEST)

tempest-real: ## those of them that amphorae of this version serve, on real load balancers (as root)
	@scripts/setup --tempest
	@$(RUN) python tests/tempest/run.py --real --workers 2 $(TEMPEST)

lab: ## tests on real SR-IOV NICs, those of a throw-away virtual host (as root; needs no KVM)
	@scripts/setup --lab
	@$(RUN) python -m lab $(LAB)

image-test: ## the amphora image built from nothing and inspected, and amphorae booted from it (as root; needs no KVM)
	@scripts/setup --image
	@HYDRIA_STAGE_PATIENCE=5 scripts/test tests/image
	@PYTHONPATH=. $(RUN) python bench/boot.py --runs 1 --no-page

golden: ## rewrite tests/golden from the renderers, but for recorded specs; read the diff
	GOLDEN_UPDATE=1 $(RUN) pytest -q tests/unit/render

docs: ## rewrite docs/configuration.md from hydria/base/config.py, and the tables of docs/compatibility.md from the routes
	$(RUN) python scripts/configuration.py
	$(RUN) python scripts/compatibility.py

bench: setup ## the API against Octavia's, create to first byte, VF against normal port in the lab, boot of the image, into docs/benchmarks.md (as root)
	@scripts/setup --lab
	@scripts/setup --image
	@$(MAKE) --no-print-directory bench-api
	@$(RUN) python bench/create_to_first_byte.py
	@$(RUN) python -m lab --timeout 1800 --command 'PYTHONPATH=tests:tests/lab python bench/vf_against_normal_lab.py $$LAB_OUTPUT/vf.json'
	@$(RUN) python bench/vf_against_normal.py --page-of build/lab/runs/latest/plain/output/vf.json
	@PYTHONPATH=. $(RUN) python bench/boot.py

.PHONY: bench-api
bench-api: ## the API against Octavia's alone, into docs/benchmarks.md; OCTAVIA_PEER names the Octavia
	@$(RUN) python bench/api.py

clean: ## remove what make and the tests have made
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
