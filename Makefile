# Everything runs in .venv, which is made from the lock files on first use and left alone until they change.
# Another interpreter: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCHMARKS := start call plan ids

.PHONY: help demo test check sweep conformance bundle packages clients clients-slice clients-table clients-lock schemas bench lock
.DELETE_ON_ERROR:

help:
	@echo 'make demo     load real data and walk through the whole job over MCP'
	@echo 'make test     the whole test suite'
	@echo 'make check    style, types, generated files'
	@echo 'make sweep    the long tests'
	@echo 'make conformance  the suites of the protocol, on Node 22'
	@echo 'make bundle   the one-click bundle for Claude Desktop, in dist/'
	@echo 'make packages build bundle, wheel and image steps, and start each as a new user would'
	@echo 'make clients  real clients, each in an environment of its own; clients-slice: the most telling of them'
	@echo 'make bench    the benchmarks'
	@echo 'make schemas  write the generated files'
	@echo 'make lock     resolve the dependencies anew'

demo: $(VENV)/.runtime
	$(BIN)/fenqun demo

# Two processes, one per core of a small machine; a file's tests stay together, for they share what is dear to make.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

sweep: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

conformance: $(VENV)/.dev .node/.installed
	CONFORMANCE=required $(BIN)/python -m pytest -m conformance tests/conformance

# npm of any age installs them; they run on the Node 22 that is among them. No package runs a script of its own.
.node/.installed: tests/conformance/package-lock.json
	@echo 'Installing Node 22 and the conformance suites ...'
	@mkdir -p .node && cp tests/conformance/package.json tests/conformance/package-lock.json .node/
	@npm ci --prefix .node --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

bundle: $(VENV)/.runtime $(VENV)/.uv .mcpb/.installed
	$(BIN)/python -m tools.bundle

packages: $(VENV)/.dev $(VENV)/.uv .mcpb/.installed
	PACKAGES=required $(BIN)/python -m pytest -m packages --durations=0 tests/packages

.mcpb/.installed: packaging/mcpb/package-lock.json
	@echo 'Installing the packer of bundles ...'
	@mkdir -p .mcpb && cp packaging/mcpb/package.json packaging/mcpb/package-lock.json .mcpb/
	@npm ci --prefix .mcpb --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# The environments are below .clients; CLIENTS names some of tests/clients/clients.json, FENQUN_COMMAND another server.
clients: CLIENTS ?= all
clients-slice: CLIENTS = slice
clients clients-slice: $(VENV)/.dev
	@CLIENTS=$(CLIENTS) $(BIN)/python -m tests.clients.environments
	CLIENTS=$(CLIENTS) $(BIN)/python -m pytest -m clients -n 2 tests/clients

# The results of the last run, into docs/clients.md and docs/clients.zh.md.
clients-table: $(VENV)/.dev
	$(BIN)/python -m tests.clients.table --write

clients-lock: $(VENV)/.dev
	$(BIN)/python -m tests.clients.environments --lock

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.generate --check

schemas: $(VENV)/.runtime
	$(BIN)/python -m tools.generate --write

bench: $(VENV)/.dev
	@for name in $(BENCHMARKS); do echo "$$name"; $(BIN)/python -m "benchmarks.$$name" || exit 1; done

lock: $(VENV)/.uv
	$(VENV)/uv/bin/uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o requirements.lock
	$(VENV)/uv/bin/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --quiet -c requirements.lock -o requirements-dev.lock

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$($(PYTHON) -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null || echo 'not installed'); \
		echo "fenqun needs Python 3.11 or newer; $(PYTHON) is $$found. Name another one: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.made
	@echo 'Installing the dependencies into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo 'Installing the tools for tests into $(VENV) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.uv: | $(VENV)/.made
	$(PYTHON) -m venv $(VENV)/uv
	$(VENV)/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@
