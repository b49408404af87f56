SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
BECOME := $(if $(AS_ROOT),--become)
ENGINE_PID := .cache/engine.pid
SECOND_ENGINE := $(CURDIR)/.venv/bin/python tests/lab/second_engine.py
SUITE ?= forky
RESUMED := $(if $(FAULTS),,-p tests.resume)
VERSIONED := tests/integration/test_changes.py tests/integration/test_states.py tests/integration/test_transactions.py

# Everything runs from this checkout, whatever the machine has set up otherwise.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export LC_ALL := C.UTF-8

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: .venv/made ## the Python environment .venv

.venv/made: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -qq python3-venv; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

.PHONY: engine
engine: venv ## a running Docker Engine: the one that answers already, or one installed by the role
	@{ docker info && docker compose version; } > /dev/null 2>&1 || ansible-playbook tests/lab/prepare.yml

.PHONY: engine-down
engine-down: ## stop the engine, if `make engine` started it
	@[[ ! -f $(ENGINE_PID) ]] || .ci/stop dockerd "$$(< $(ENGINE_PID))"
	@rm -f $(ENGINE_PID)

.PHONY: images
images: engine ## the images that tests and demo run
	python tests/images/build.py

.PHONY: lint
lint: venv ## ruff, mypy, ansible-lint
	ruff check .
	ruff format --check .
	MYPYPATH=.ansible/collections mypy --namespace-packages --explicit-package-bases \
	    -p ansible_collections.strata.compose.plugins
	mypy tests/images tests/lab
	mypy --follow-imports silent tests/faults tests/property
	ansible-lint

.PHONY: sanity
sanity: venv ## ansible-test sanity on the built collection
	.ci/sanity

.PHONY: unit
unit: venv ## pure tests, in milliseconds
	pytest tests/unit

.PHONY: integration
integration: images ## tests on a real engine
	pytest tests/integration --numprocesses 5 --dist loadfile -m "not thorough"

.PHONY: molecule
molecule: images ## the roles and playbooks, by molecule
	@molecule destroy --scenario-name default > /dev/null 2>&1 # what an interrupted run left: molecule trusts its notes
	molecule test --all --no-command-borders

.PHONY: property
property: images ## random environments and operations: 12 cells, or CELLS=all, SHARD=2/6, SEED=123; resumes
	CELLS="$(CELLS)" SHARD="$(SHARD)" SEED="$(SEED)" pytest tests/property --numprocesses 2 --dist worksteal

.PHONY: faults
faults: images ## deployments that are killed, cancelled, cut off; resumes. FAULTS="-k gate" for some, SHARD=2/6 for property's
ifndef SHARD
	$(AS_ROOT) .venv/bin/python -m pytest $(RESUMED) tests/faults --numprocesses 2 --dist worksteal $(FAULTS)
	$(if $(FAULTS),,pytest $(RESUMED) tests/integration -m thorough --dist loadfile --numprocesses 2)
endif
	$(if $(FAULTS),,@$(MAKE) property CELLS=all)

.PHONY: faults-postgres
faults-postgres: images ## databases whose operations are killed or whose disk is full, at random moments
	pytest $(RESUMED) tests/faults/postgres_*.py --numprocesses 2 --dist loadfile $(FAULTS)

.PHONY: faults-fast
faults-fast: ## a few of them, one of each kind
	@$(MAKE) faults FAULTS="-m fast"

.PHONY: newer-engine
newer-engine: images ## the tests of what differs between versions, on Engine 28.5 with Compose 2.40; SUITE=trixie for 26.1 and 2.26
	@trap '$(AS_ROOT) $(SECOND_ENGINE) down --suite $(SUITE)' EXIT; \
	$(AS_ROOT) $(SECOND_ENGINE) up --suite $(SUITE) && \
	$(AS_ROOT) $(SECOND_ENGINE) run --suite $(SUITE) env CELLS="$(CELLS)" SHARD="$(SHARD)" SEED="$(SEED)" \
	    .venv/bin/python -m pytest tests/property $(VERSIONED) --numprocesses 2 --dist worksteal

.PHONY: checks
checks: engine # the images are built meanwhile
	@mkdir -p .cache; $(MAKE) images > .cache/images.log 2>&1 & building=$$!; failed=; \
	$(MAKE) lint sanity unit || failed=checks; \
	wait $$building || { cat .cache/images.log; failed=images; }; [[ ! $$failed ]]

.PHONY: test
test: checks integration property faults-fast molecule ## lint, sanity, unit, integration, property, faults-fast, molecule

.PHONY: bench
bench: images ## timings beside the rival's and Compose's own; options as in BENCH="--rows 1,2 --quick"
	python tests/bench/run.py $(BENCH)

.PHONY: demo
demo: engine ## the example application in environment dev, on this machine
	@echo "Having the images of the example"
	@$(AS_ROOT) .venv/bin/python tests/images/build.py postgres:17 redis shop-api shop-app
	@echo "Deploying environment dev to /opt/shop; the first time takes half a minute"
	@ansible-playbook playbooks/deploy.yml -l dev $(BECOME)
	@address=$$(hostname -I | cut -d ' ' -f 1); printf '%s\n' "The shop runs:" \
	    "  its page  http://$$address:5000/" "  its api   http://$$address:8000/docs" \
	    "Look at it:  .venv/bin/ansible-playbook playbooks/ps.yml -l dev $(BECOME)" "Remove it:   make demo-down"

.PHONY: demo-down
demo-down: venv ## remove what demo made, except the images
	@ansible-playbook playbooks/remove.yml -l dev -e compose_env_confirm=dev $(BECOME)

.PHONY: clean
clean: engine-down ## remove what was made in this folder
	rm -rf .venv .cache build .mypy_cache .ruff_cache .pytest_cache .hypothesis
