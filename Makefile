# Two commands are enough: `make serve` runs Doorward, `make test` proves it. `make help` lists the rest.
#
# ARGS is handed on to the program behind a target:  make serve ARGS="--listen 127.0.0.1:9443"

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
# pytest keeps what it makes of the tests, which takes as long as reading them.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# Two more than the cores of a small machine: tests wait a lot. The long files begin first (tests/conftest.py).
WORKERS ?= 4
PYTEST := pytest --workers $(WORKERS)
# What the tests need beside Python.
NEEDED := chromium chrony curl dropbear-bin freeradius gcc git gnupg haproxy htop iproute2 ldap-utils libc6-dev libnfs13 mosh nfs-ganesha \
	nfs-ganesha-vfs openssh-client openssh-server openssl postgresql prometheus putty-tools python3 rpcbind rsync rsyslog rsyslog-openssl \
	samba slapd systemd tcpdump tmux util-linux vim x11-utils xauth xvfb
# Of random schedules.
COUNT ?= 1000
# Of each operation and mode, of generated requests.
EXAMPLES ?= 20
# Of Debian, that a package is for.
RELEASE ?= 12
# Only folders that hold code: mypy refuses a path that has none.
CODE := src tests scripts ansible_collections $(if $(wildcard benchmarks/*.py),benchmarks)

.PHONY: help serve demo test coverage unit kills schedules generated soak mutants pairs check format bench lock directories deb deb-test image image-test console docs pictures screenshots clean

help: ## List the targets
	@awk -F ':[^#]*## ' '/^[a-z][a-z-]*:[^#]*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

serve: $(VENV)/.run ## Install what is missing and start Doorward (options: ARGS="--listen HOST:PORT --state DIR")
	@scripts/need --optional chrony gnupg libnfs13 openssh-client rsync
	@command -v doorward >/dev/null 2>&1 || \
		echo 'The command line, in another terminal: export PATH="$(CURDIR)/$(BIN):$$PATH", then doorward status'
	@exec $(BIN)/doorward serve $(ARGS)

demo: $(VENV)/.run ## A minute: a node and a server of its own, a recorded session, found and replayed; removed again
	@scripts/need openssh-client openssh-server
	@scripts/offline scripts/demo

# Beside the tests: together they leave no core idle. What they find is printed when they find it. The console comes first:
# tests in browsers need its packages.
test: $(VENV)/.clients $(VENV)/.directories ## Everything CI runs: all tests, offline, and checks beside them
	@scripts/need $(NEEDED)
	@{ built=0; scripts/console --check || built=$$?; $(MAKE) --no-print-directory check && exit $$built; } & beside=$$!; \
	tested=0; scripts/offline $(BIN)/$(PYTEST) $(ARGS) || tested=$$?; \
	wait $$beside || { echo "The checks failed: what they found stands above." >&2; exit 1; }; \
	exit $$tested

# Apart from `test`, since it takes half as long again.
coverage: $(VENV)/.dev $(VENV)/.clients $(VENV)/.directories ## All tests with branch coverage, which must not fall below the threshold in pyproject.toml
	@scripts/need $(NEEDED)
	@rm -f .coverage .coverage.*
	@scripts/offline $(BIN)/coverage run -m $(PYTEST) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

unit: $(VENV)/.dev ## The unit tests alone (ARGS="-k name" selects)
	@scripts/offline $(BIN)/pytest tests/unit $(ARGS)

kills: $(VENV)/.dev ## Kill nodes at every step of what they do (make test: where something else is left than a step before)
	@EVERY_STEP=1 scripts/offline $(BIN)/$(PYTEST) tests/faults $(ARGS)

schedules: $(VENV)/.dev ## A cluster through 1,000 random schedules of faults (COUNT=; ARGS="--hypothesis-seed=7" repeats one run)
	@DOORWARD_SCHEDULES=$(COUNT) scripts/offline $(BIN)/pytest -o faulthandler_timeout=0 tests/schedules $(ARGS)

generated: $(VENV)/.dev ## Send many generated requests to every operation of the API (EXAMPLES=; make test: two of each kind)
	@DOORWARD_EXAMPLES=$(EXAMPLES) scripts/offline $(BIN)/pytest -o faulthandler_timeout=0 tests/system/test_schemathesis.py $(ARGS)

soak: $(VENV)/.dev ## The long form of what docs/reliability.md tells (ARGS="-k power" chooses; TRIES= how often, SEED= by which chance)
	@scripts/need $(NEEDED)
	@DOORWARD_SOAK=1 scripts/offline $(BIN)/pytest -s -o faulthandler_timeout=0 tests/proof $(ARGS)

mutants: $(VENV)/.dev ## Change 200 small things in the sources, one at a time, and see that tests notice (ARGS="--seed 2 store")
	@scripts/need $(NEEDED)
	@scripts/offline $(BIN)/python -m tests.mutants $(ARGS)

pairs: $(VENV)/.dev ## SSH through the gateway with every cipher of the client against every cipher of the server (make test: some)
	@EVERY_PAIR=1 scripts/offline $(BIN)/pytest tests/system/test_ssh_peers.py -k cipher $(ARGS)

check: $(VENV)/.dev ## Lint, formatting, types and the import contract
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted: run 'make format'." >&2; exit 1; }
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## Format the code and apply the safe fixes of the linter
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format --quiet

bench: $(VENV)/.dev ## Measure side by side with Caddy and etcd, print ratios
	@scripts/need caddy chrony etcd-server libnfs-utils nfs-ganesha nfs-ganesha-vfs openssh-client openssh-server rpcbind rsync samba \
		smbclient util-linux wrk
	@$(BIN)/python -m benchmarks $(ARGS)

# A pin stays until it has to move; ARGS=--upgrade moves them all. The tests run with the versions users run.
lock: $(VENV)/.dev ## Resolve the dependencies again into requirements/*.txt (ARGS=--upgrade for newer versions)
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) pyproject.toml --group build -o requirements/run.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) --group pyproject.toml:directories -o requirements/directories.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) pyproject.toml --extra otel -c requirements/dev.txt -o requirements/otel.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) pyproject.toml --extra postgresql -c requirements/dev.txt -o requirements/postgresql.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) --group pyproject.toml:clients -o requirements/clients.txt
	@UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url \
		--python-version 3.11 $(ARGS) --group pyproject.toml:console -o requirements/console.txt

directories: $(VENV)/.run $(VENV)/.directories ## Build what logins against directories (LDAP) need, which has to be compiled

deb: $(VENV)/.dev ## Build a Debian package into dist/ (RELEASE=13 for another one than Debian 12)
	@$(BIN)/python -m scripts.deb --release $(RELEASE) $(ARGS)

# Needs root and the network: it makes a Debian and installs the packages there.
deb-test: $(VENV)/.dev ## Build a package twice; boot a minimal Debian; install, run, upgrade, purge and recover it there (RELEASE=13)
	@scripts/need curl faketime iproute2 mmdebstrap prometheus util-linux
	@BIN=$(BIN) scripts/deb-test $(RELEASE)

# As root, without a daemon; the network is needed for the Debian below it, once.
image: $(VENV)/.dev ## Build an image for containers into dist/ (packaging/image/compose.yaml runs it)
	@scripts/need mmdebstrap
	@$(BIN)/python -m scripts.image --release $(RELEASE) $(ARGS)

image-test: $(VENV)/.dev ## Build the image twice, and run it as the example says: by chroot, and by podman (RELEASE=13)
	@scripts/need catatonit faketime iproute2 mmdebstrap openssh-client openssh-server openssl podman runc uidmap util-linux
	@BIN=$(BIN) scripts/image-test $(RELEASE)

console: $(VENV)/.dev ## Build the web console again, from console/ into src/doorward/console
	@scripts/console

docs: $(VENV)/.dev ## Make docs/reference.md again from the declarations
	@$(BIN)/doorward reference > docs/reference.md

pictures: $(VENV)/.dev ## Draw docs/pictures again (ARGS=--record records the cast anew, as root)
	@scripts/offline $(BIN)/python -m scripts.pictures $(ARGS)

screenshots: $(VENV)/.dev ## Draw the pages of the console in docs/pictures again
	@scripts/need chromium openssh-client openssh-server
	@scripts/offline $(BIN)/python -m scripts.screenshots

clean: ## Remove everything that can be made again
	@rm -rf $(VENV) tests/clients/node_modules console/node_modules build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache .schemathesis
	@find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What is generated from the OpenAPI document is tested with tools of their own.
$(VENV)/.clients: requirements/clients.txt tests/clients/package.json tests/clients/package-lock.json scripts/clients $(VENV)/.dev
	@scripts/clients
	@touch $@

# Compiled here: there are no wheels of it.
$(VENV)/.directories: requirements/directories.txt | $(if $(wildcard $(VENV)/.run),,$(VENV)/.dev)
	@scripts/need gcc libldap2-dev libsasl2-dev
	@$(BIN)/python -m pip install -qq --require-hashes --no-build-isolation --requirement $<
	@touch $@

# Stamps: $(VENV)/.run has what Doorward needs to run, $(VENV)/.dev has the tools and test libraries as well.
$(VENV)/.%: requirements/%.txt pyproject.toml scripts/environment
	@scripts/environment $*
	@touch $@
