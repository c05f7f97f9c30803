# Everything a newcomer needs: make demo, make test. Only Python 3.11+, pip and make are assumed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
WORKERS ?= auto
# A company keeps its own certificates in the system store, and uv looks there only when told to (by
# one name or the other, by its age).
export UV_SYSTEM_CERTS ?= 1
export UV_NATIVE_TLS ?= 1

PROOFS := crash chaos-db split-brain disk-full simulate-seeds time load bad-input no-entry

.PHONY: help demo test check bench shots lock clean $(PROOFS)
.DEFAULT_GOAL := help

help:
	@echo "make demo   play a real incident on the example runbook (ARGS=--once: and exit)"
	@echo "make test   run every test"
	@echo "make check  format, lint, floors, types"
	@echo "make bench  measure what the docs claim"
	@echo "make $(firstword $(PROOFS)), or another of: $(wordlist 2,9,$(PROOFS))"
	@echo "            prove a promise of docs/reliability.md (ARGS=--short: in a minute)"

demo: $(VENV)/.demo
	@$(BIN)/tocsin demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(ARGS)

# What docs/reliability.md promises, each proved by a command: hours of faults, or ARGS=--short.
$(PROOFS): $(VENV)/.dev
	$(BIN)/python -m tests.proof.$(subst -,_,$@) $(ARGS)

shots: $(VENV)/.dev
	$(BIN)/python -m tests.web.pages.shots $(ARGS)

# What the lock files say, and Tocsin itself from this tree. uv when there is one, else our own.
$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tocsin needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	@command -v uv >/dev/null || test -x $(BIN)/uv \
	  || $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check uv
	@touch $@

UV = $$(command -v uv || echo $(BIN)/uv)

$(VENV)/.demo: $(VENV)/.uv requirements.lock pyproject.toml
	@echo "Setting up $(VENV) ..."
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

lock: $(VENV)/.uv
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
