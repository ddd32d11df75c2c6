# Everything runs in .venv, which the first command makes. Only python3 (3.11 or later), pip and make are needed.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
NEWEST_VENV := $(VENV)/newest
BIN := $(VENV)/bin
PINS := requirements/dev.txt pyproject.toml
CHECKED := src tests demo bench scripts
# What `make test` runs, in this order, each to its end. MORE adds to it.
STAGES := lint types site browser newest suite $(MORE)
# Where an image switches bytecode off, each process that a test starts compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: demo
demo: $(VENV)/.ready ## a small shop with a page: sign up, upload orders, kill the server (PORT=, DEMO_DIR=)
	@$(BIN)/python -m demo.run

.PHONY: demo-postgres
demo-postgres: $(VENV)/.ready servers ## the same with its journal in a PostgreSQL of its own, and two workers
	@$(BIN)/python -m demo.run postgres

.PHONY: demo-celery
demo-celery: $(VENV)/.ready servers ## the same with a worker of Celery's that imports orders (BROKER=rabbitmq, redis)
	@$(BIN)/python -m demo.run celery $(BROKER)

.PHONY: test
test: $(VENV)/.ready ## everything that must pass: lint, types, all tests (also on the newest Python here)
	@$(BIN)/python scripts/stages.py $(STAGES)

.PHONY: servers
servers: $(VENV)/.ready
	@$(BIN)/python scripts/servers.py

.PHONY: suite
suite: $(VENV)/.ready servers
	@# 5: none of those that PYTEST names is of that part. Slow ones mostly wait: for leases, for deaths.
	@code=0; \
	$(BIN)/python -m pytest -q -n 2 -m "not slow" $(PYTEST) || [ $$? = 5 ] || code=1; \
	$(BIN)/python -m pytest -q -n 3 --maxschedchunk=1 -m "slow and not alone" $(PYTEST) || [ $$? = 5 ] || code=1; \
	$(BIN)/python -m pytest -q -m alone $(PYTEST) || [ $$? = 5 ] || code=1; \
	exit $$code

.PHONY: unit
unit: $(VENV)/.ready ## the tests that need neither a disk nor other processes, in some 18 seconds
	@$(BIN)/python scripts/unit.py $(PYTEST)

.PHONY: versions
versions: $(VENV)/.ready ## many releases of FastAPI and Starlette, each Python here (VERSIONS="--all", "0.137.0 ...")
	@$(BIN)/python scripts/versions.py $(VERSIONS)

.PHONY: package
package: $(VENV)/.ready ## wheel and sdist, the same in two builds (PACKAGE="--extras": each extra alone; "--oldest": unit tests with oldest dependencies)
	@$(BIN)/python scripts/package.py $(PACKAGE)

.PHONY: lint
lint: $(VENV)/.ready ## ruff: rules and format
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

.PHONY: site
site: $(VENV)/.ready ## the documentation as a site, in build/site; a broken link fails
	@$(BIN)/zensical build --strict --clean

.PHONY: pictures
pictures: $(VENV)/.ready ## docs/images anew, by Chromium
	$(BIN)/python scripts/pictures.py

.PHONY: format
format: $(VENV)/.ready ## let ruff mend what it can, and write what the documentation has of the code's words and answers
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/events.py
	$(BIN)/python scripts/commands.py
	$(BIN)/python -m scripts.samples
	$(BIN)/python -m bench.peers.page

.PHONY: types
types: $(VENV)/.ready ## mypy, strict
	$(BIN)/python -m mypy $(CHECKED)

.PHONY: bench
bench: $(VENV)/.ready ## measure against FastAPI's own tasks (BENCH="--help" for options)
	@$(BIN)/python -m bench.run $(BENCH)

.PHONY: clean
clean: ## remove the virtual environments and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find src tests demo bench -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: newest
newest: $(VENV)/.ready servers
	@newest=$$(scripts/find-python.sh newest); \
	minor='import sys; print(sys.version_info[:2])'; \
	if [ "$$("$$newest" -c "$$minor")" = "$$($(BIN)/python -c "$$minor")" ]; then \
	    echo "No newer Python than $$newest here: the tests run on it alone."; \
	else \
	    $(MAKE) --no-print-directory $(NEWEST_VENV)/.ready PYTHON="$$newest" && \
	    $(NEWEST_VENV)/bin/python -m pytest -q -n 2 -m "not slow" -p no:cacheprovider $(PYTEST); \
	fi

.PHONY: browser
browser:
	@scripts/browser.sh

%/.ready: $(PINS) scripts/venv.sh
	@python="$(PYTHON)"; [ -n "$$python" ] || python=$$(scripts/find-python.sh default); \
	echo "Installing what is pinned into $* (with $$python) ..."; \
	scripts/venv.sh "$$python" $*
	@touch $@
