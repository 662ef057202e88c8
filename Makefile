# The dev loop. `make` lists the targets; everything it needs is created on first use.
#
# POSIX make and sh. On Windows see CONTRIBUTING.md, which gives the same steps for `py`.

ifndef PYTHON
PYTHON := $(shell tools/find_python.sh 11)
endif
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamps
REVM := adapters/ethereum/revm
CCF := .venv-ccf
SAWTOOTH := .venv-sawtooth
SAWTOOTH_JS := .cache/sawtooth-javascript
SAWTOOTH_RUST := .cache/sawtooth-rust
SAWTOOTH_GO := .cache/sawtooth-go
SAWTOOTH_WANTS := python/requirements.txt python/sawtooth_sdk_today.py javascript/package.json javascript/zeromq/package.json
# A toolchain manager without a toolchain also answers to the name: only a cargo that runs counts.
CARGO := $(shell cargo --version >/dev/null 2>&1 && command -v cargo)
JVM := adapters/corda_bridge/jvm
# Both, or nothing is built: a JDK from 17 on, and Maven.
MVN := $(shell javac -version 2>&1 | grep -Eq '^javac (1[7-9]|[2-9][0-9])' && mvn -version >/dev/null 2>&1 && command -v mvn)
CLIPPY := $(shell cargo clippy --version >/dev/null 2>&1 && command -v cargo)
# As maturin sets it, once it has built: in another environment each of the two compiles the engine anew.
CLIPPY_ENVIRONMENT = PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(patsubst %,PYO3_BUILD_EXTENSION_MODULE=1 PYO3_CONFIG_FILE=%,$(shell ls -t $(CURDIR)/$(REVM)/target/maturin/pyo3-config-*.txt 2>/dev/null | head -n 1))
# One core stays free for whoever sits in front of the machine.
NICE := $(shell command -v nice 2>/dev/null)
PYTEST := $(BIN)/python -m pytest
# Not those of whole runs and of random: they are for other things, and longer.
TEE_TESTS := enclave/tests $(addprefix --ignore=enclave/tests/test_,mutations.py bounds.py bit_flips.py kit.py mixed_network.py)
DOCS_CHECKS := tests/rules/test_docs.py
# Two at a time, to the end whatever fails, and what each of them said in one piece (not by GNU make 3).
SIDE_BY_SIDE := --jobs=2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

SEEDS ?= 300
JOBS ?= 2
MINUTES ?= 5
NODES ?= 5
KILLS ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup fmt check test test-processes test-others sim mutants nemesis failover cover cover-tee demo demo-governance demo-sawtooth demo-corda demo-tee tee-mutants bench catch-up revm jvm jvm-test cordapp-tests ccf sawtooth-clients sawtooth-go sawtooth-rust audit docs lock clean ci ci-processes
.DELETE_ON_ERROR:

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- environment -------------------------------------------------------------------------------

setup: $(STAMP)/install revm  ## make .venv, install everything editable, build the native engine

$(STAMP)/venv:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer with venv found; install one, or say PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	@mkdir -p $(STAMP) && touch $@

# The lock is installed with hashes first; our own distributions then bring no dependency of their own.
$(STAMP)/lock: requirements-dev.txt | $(STAMP)/venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

$(STAMP)/install: pyproject.toml adapters/corda_bridge/pyproject.toml adapters/ethereum/pyproject.toml adapters/sawtooth/pyproject.toml adapters/tally/pyproject.toml enclave/pyproject.toml $(STAMP)/lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . -e adapters/corda_bridge -e adapters/ethereum -e adapters/sawtooth -e adapters/tally -e enclave
	@touch $@

# --- the native EVM engine (optional: needs a Rust toolchain) -------------------------------------

ifneq ($(CARGO),)
revm: $(STAMP)/revm  ## build the native EVM engine (needs cargo; without it py-evm runs)

$(STAMP)/revm: $(STAMP)/lock $(REVM)/Cargo.toml $(REVM)/pyproject.toml $(shell find $(REVM)/src $(REVM)/python -type f ! -name '*.so' ! -name '*.pyc' 2>/dev/null) | $(STAMP)/install
	@echo "note: the native EVM engine is built now, which takes minutes the first time; CARGO= leaves it out"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(NICE) $(BIN)/maturin develop --release --quiet -m $(REVM)/Cargo.toml
	@touch $@
else
revm:
	@echo "note: no cargo here, so the native EVM engine is not built; the portable one (py-evm) runs, far slower"
endif

# --- the JVM worker for Corda (optional: needs a JDK 17 and Maven) ----------------------------------

ifneq ($(MVN),)
JVM_SOURCES := $(shell find $(JVM) adapters/corda_bridge/wire -path '*/target' -prune -o -type f -print)

jvm: $(STAMP)/jvm  ## build the JVM worker that runs Corda's contracts (needs a JDK 17 and Maven)

$(STAMP)/jvm: $(JVM_SOURCES) | $(STAMP)/venv
	cd $(JVM) && $(NICE) mvn -q -B -DskipTests package && $(NICE) ./archive.sh
	@touch $@

jvm-test: $(STAMP)/jvm-test  ## its tests: contracts nobody here wrote, and hostile ones

$(STAMP)/jvm-test: $(STAMP)/jvm
	cd $(JVM) && $(NICE) mvn -q -B package && $(NICE) ./archive.sh
	@touch $@

cordapp-tests: $(STAMP)/cordapp-tests  ## what runs a CorDapp's own contract tests by the worker (fetches Corda's node: 120 MB)

$(STAMP)/cordapp-tests: $(STAMP)/jvm
	cd $(JVM) && $(NICE) mvn -q -B -DskipTests -Pcordapp-tests package
	@touch $@
else
jvm jvm-test cordapp-tests:
	@echo "note: no JDK 17 with Maven here, so the Corda worker is not built; everything but the Corda ledger runs"
endif

# --- the independent reader of our ledger, in an environment of its own ------------------------------

ccf: $(CCF)/.ready  ## make .venv-ccf with the independent ledger reader

$(CCF)/.ready: tools/ccf_venv.sh
	tools/ccf_venv.sh $(CCF) $(PYTHON)
	@touch $@

# --- processors on the published Sawtooth SDKs, in environments of their own ------------------------------

# Made once, and again only when what is to be installed changes; what this machine cannot have is said.
sawtooth-clients: $(SAWTOOTH)/.made  ## install the published Sawtooth SDKs for Python and JavaScript

$(SAWTOOTH)/.made: tools/sawtooth_clients.sh $(addprefix adapters/sawtooth/examples/,$(SAWTOOTH_WANTS))
	tools/sawtooth_clients.sh $(SAWTOOTH) $(SAWTOOTH_JS) $(PYTHON)
	@mkdir -p $(SAWTOOTH) && touch $@

# What takes a while to compile, only when asked for.
sawtooth-go:  ## build Sawtooth's own processors in Go (needs go, a C compiler, libzmq's headers)
	$(NICE) tools/sawtooth_go.sh $(SAWTOOTH_GO)

sawtooth-rust:  ## build Sawtooth's own processors in Rust (needs cargo, libzmq's headers, protoc)
	$(NICE) tools/sawtooth_rust.sh $(SAWTOOTH_RUST)

# --- the loop -------------------------------------------------------------------------------------

fmt: $(STAMP)/install  ## format and apply the safe fixes
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
ifneq ($(CARGO),)
	cargo fmt --manifest-path $(REVM)/Cargo.toml
endif

check: $(STAMP)/install  ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(NICE) $(BIN)/mypy
	$(NICE) $(BIN)/lint-imports
ifneq ($(CARGO),)
	cargo fmt --check --manifest-path $(REVM)/Cargo.toml
endif
ifneq ($(CLIPPY),)
	$(CLIPPY_ENVIRONMENT) $(NICE) cargo clippy --quiet --release --all-targets --manifest-path $(REVM)/Cargo.toml -- -D warnings
endif

test: setup jvm-test ccf sawtooth-clients  ## every test, also those that start processes
	$(MAKE) --keep-going test-others test-processes

# Nodes have timeouts, what only computes has none: it gives way when both run at the same time.
test-processes: setup jvm-test ccf sawtooth-clients  ## tests that start node processes, and mostly wait
	$(PYTEST) -q -m processes

test-others: setup jvm-test ccf sawtooth-clients  ## all other tests
	$(NICE) $(PYTEST) -q -m "not processes"

sim: $(STAMP)/install  ## simulate whole networks under faults, from SEEDS=300 seeds
	$(NICE) $(BIN)/python -m coco_core.testing.simulation --seeds $(SEEDS) --jobs $(JOBS) --cover

mutants: $(STAMP)/install  ## deliberate bugs: each must be caught by the simulation
	$(NICE) $(BIN)/python -m coco_core.testing.simulation --mutants --jobs $(JOBS)

tee-mutants: $(STAMP)/install  ## remove every check of the TEE verifiers: a test must notice
	$(NICE) $(BIN)/python tools/tee_mutants.py --jobs $(JOBS)

nemesis: setup  ## faults on real node processes under load: MINUTES=5 NODES=5 SEED=drawn
	$(NICE) $(BIN)/python -m coco_core.testing.nemesis --minutes $(MINUTES) --nodes $(NODES) $(if $(SEED),--seed $(SEED))

failover: $(STAMP)/install  ## kill primaries, KILLS=30, and measure the time to the next commit
	$(BIN)/python -m coco_core.testing.nemesis failover --kills $(KILLS)

cover: setup jvm ccf sawtooth-clients  ## every test with branch coverage
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report --skip-covered

cover-tee: $(STAMP)/install  ## branch coverage of the TEE verifiers, on simulators: all of it
	COVERAGE_FILE=.coverage.tee $(NICE) $(BIN)/coverage run --source=coco_enclave -m pytest -q -m "not shared and not processes" $(TEE_TESTS)
	COVERAGE_FILE=.coverage.tee $(BIN)/coverage report --include='enclave/src/coco_enclave/*.py,enclave/src/coco_enclave/forms/*.py' --fail-under=100

demo: setup  ## three nodes, real Ethereum transactions, proofs
	$(BIN)/coco demo

demo-governance: setup  ## three organisations form a network and govern it
	$(BIN)/coco demo-governance

demo-sawtooth: setup sawtooth-clients  ## unmodified Sawtooth processors and clients, and a bundle with Ethereum
	$(BIN)/python adapters/sawtooth/examples/demo.py

demo-corda: setup jvm  ## R3's Corda contracts on three nodes: money goes round, hostile code does not get far
	$(BIN)/python adapters/corda_bridge/examples/demo.py

demo-tee: $(STAMP)/install  ## verify published TEE evidence, say how fast; a network on simulated machines
	$(BIN)/python enclave/examples/demo.py
	$(BIN)/python enclave/examples/network.py

bench: setup  ## throughput and latency of a three-node network
	$(BIN)/coco bench

catch-up: setup  ## how long a node 100 000 transactions behind needs, while load goes on
	$(BIN)/python -m coco_core.testing.catching_up

audit: setup ccf  ## read a ledger of this tree with the independent reader
	$(PYTEST) -q tests/ledger/test_independent_reader.py

docs: $(STAMP)/install  ## write the generated reference pages and check links and code
	$(BIN)/python tools/generate_reference.py
	$(PYTEST) -q $(DOCS_CHECKS)

lock:  ## renew requirements-dev.txt (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate --no-emit-package coco-framework --no-emit-package coco-framework-corda \
	    --no-emit-package coco-framework-ethereum \
	    --no-emit-package coco-framework-sawtooth --no-emit-package coco-framework-enclave \
	    --no-emit-package coco-framework-tally \
	    --group dev --all-extras pyproject.toml -o requirements-dev.txt

clean:  ## remove everything built, also the environments
	rm -rf $(VENV) $(CCF) $(SAWTOOTH) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.tee
	rm -rf $(REVM)/target $(JVM)/*/target .cache

# What times out stays one at a time, with something beside it that does not. What to install is made before.
ci: setup jvm-test ccf sawtooth-clients  ## what .ci/run does after bootstrap
	$(MAKE) $(SIDE_BY_SIDE) check ci-processes test-others cover-tee sim

ci-processes:
	@failed=0; $(MAKE) test-processes || failed=1; $(MAKE) demo || failed=1; exit $$failed
