# Nothing but Python 3.11+ (with venv), git and make is presumed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: demo test check web bench clean

demo: $(VENV)/run        ## simulated vendors, feeds, store, gateway and page: no key, no network
	$(BIN)/livetape demo $(ARGS)

test: $(VENV)/test browser  ## all tests
	$(BIN)/pytest -n 2 $(ARGS)

check: $(VENV)/check     ## style, types and the floors of the architecture
	$(BIN)/ruff check src tests bench examples
	$(BIN)/ruff format --check src tests bench examples
	$(BIN)/mypy
	$(BIN)/pytest tests/core/test_architecture.py

web: $(VENV)/web         ## build the page from web/ into the package
	cd web && PATH="$(abspath $(BIN)):$$PATH" npm ci && PATH="$(abspath $(BIN)):$$PATH" npm run build

bench: $(VENV)/run       ## bytes to callback and bytes to events, beside peers
	$(BIN)/python bench/ingest.py $(ARGS)
	$(BIN)/python bench/decode.py $(ARGS)

.PHONY: browser
browser: $(VENV)/test    ## the browser of the page's tests: an installed one, Debian's, or Playwright's
	$(BIN)/python tests/browser/install.py

$(VENV)/pip: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "livetape needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/run: $(VENV)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test: $(VENV)/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/check: $(VENV)/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	touch $@

$(VENV)/web: $(VENV)/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[web]'
	touch $@

clean:
	rm -rf $(VENV) .venv-interop web/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
