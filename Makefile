# Everything a developer types. Needs make and Python 3.11 to 3.14; the rest installs itself into .venv and .sandbox.

VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := $(VENV)/.packages-installed
UV := .sandbox/uv/bin/uv
# The versions that Azure has and that the pinned packages have wheels for.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
# What runs the app: make demo HOST=functions. From this line only: some shells keep their machine's name in HOST.
ON_HOST = $(if $(filter command,$(origin HOST)),--host=$(HOST))

.DEFAULT_GOAL := help
.PHONY: help setup browser tools demo test coverage up bench soak mutants lint lock clean
.SUFFIXES:

help: ## Say what there is to type
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(PACKAGES) ## Install Python packages and Azurite where they are missing (the other targets do it too)
	@$(PY) -m sandbox.azurite

demo: setup ## Run the main job once on real storage, show what happened, check every appointment
	@$(PY) -m sandbox demo $(ON_HOST)

# The console is tested in a real browser. Debian's package can be installed without asking; all else is for people.
browser: $(PACKAGES) ## Install Chromium where it is missing and can be (test does it too)
	@$(PY) -m tests.console.chromium

tools: $(PACKAGES) ## Install what our texts are held against: the Azure CLI (1.1 GB) and Kusto's language service
	@$(PY) -m tests.tools

test: setup browser ## Run all tests; pass more to pytest with ARGS="-k merge", one at a time with ARGS="-n 0"; HOST=functions: see README
	@$(PY) -m tests.tools.kusto
	@$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ON_HOST) $(ARGS)

# What a test starts as a process of its own is not counted. The meeting is pure: whatever a test does not reach is dead.
coverage: setup browser ## Run all tests and say which branches none of them takes; fails where one is of shared/meeting
	@$(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder --cov --cov-report= $(ARGS)
	@$(PY) -m tests.tools.branches

# Not in .venv: what mutmut brings in is nobody else's business.
mutants: $(PACKAGES) ## Change what decides a little, in every place, and say which change no test notices (half an hour)
	@[ -d .sandbox/mutmut ] || $(PY) -m pip install --quiet --target .sandbox/mutmut mutmut==3.8.1
	@PYTHONPATH=.sandbox/mutmut $(PY) -m mutmut run $(ARGS)
	@PYTHONPATH=.sandbox/mutmut $(PY) -m mutmut results

up: setup ## Start the whole stack and leave it running; prints what to curl, Ctrl-C stops it
	@$(PY) -m sandbox up $(ON_HOST)

bench: setup ## Measure calls, speed and memory beside a naive build of the same job
	@$(PY) -m bench $(ARGS)

soak: setup ## 20,000 events while everything breaks: nothing lost, nothing twice
	@$(PY) -m sandbox soak $(ON_HOST) $(ARGS)

lint: $(PACKAGES) ## Check style, types and, where the compiler is at hand, the Bicep files
	@echo "==> ruff"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@echo "==> mypy"
	@$(PY) -m mypy
	@echo "==> imports"
	@$(VENV)/bin/lint-imports --verbose >$(VENV)/imports.log 2>&1 || { cat $(VENV)/imports.log >&2; exit 1; }
	@echo "==> bicep"
	@$(PY) -m tests.tools.bicep

# Markers make one file for every Python from 3.11; Dependabot reads these options from the head of the files.
lock: | $(PY) ## Make requirements*.txt from requirements*.in: every package with its hash (upgrade all with ARGS=--upgrade)
	@[ -x $(UV) ] || { $(PY) -m venv .sandbox/uv && .sandbox/uv/bin/pip install --quiet uv==0.13.9; }
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(ARGS) requirements.in -o requirements.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes $(ARGS) requirements-dev.in -o requirements-dev.txt

clean: ## Remove all that setup and runs have made
	rm -rf $(VENV) .sandbox mutants .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY): | python
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
		if command -v "$$python" >/dev/null 2>&1 && "$$python" -c '$(FITS)' 2>/dev/null; then \
			echo "==> $(VENV): $$("$$python" --version)"; \
			"$$python" -m venv $(VENV) && exit 0; \
			rm -rf $(VENV); \
			echo "$$python could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
			exit 1; \
		fi; \
	done; \
	echo "No Python 3.11 to 3.14 on the path. Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1

# A Python that is named is the one that is taken, or none is. It is told here, because pip would only say that it finds
# no package.
.PHONY: python
python:
	@version() { "$$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }; \
	no() { echo "$$1" >&2; exit 1; }; \
	if [ -n "$(PYTHON)" ]; then \
		named=$$(version "$(PYTHON)") || no "PYTHON=$(PYTHON) is no Python that runs."; \
		"$(PYTHON)" -c '$(FITS)' || no "$(PYTHON) is Python $$named; this needs one from 3.11 to 3.14."; \
	fi; \
	if made=$$(version $(PY)); then \
		$(PY) -c '$(FITS)' || no "$(VENV) has Python $$made; this needs one from 3.11 to 3.14: type make clean first."; \
		[ "$${named:-$$made}" = "$$made" ] || no "$(VENV) has Python $$made, not $$named: type make clean first."; \
	fi

# pip says nothing useful for minutes or far too much; its log keeps the rest.
$(PACKAGES): requirements.txt requirements-dev.txt | python $(PY)
	@echo "==> Python packages (the first time about a minute)"
	@rm -f $@
	@{ $(PY) -m pip install --disable-pip-version-check --no-color --progress-bar off \
		--require-hashes -r requirements-dev.txt \
		2>&1 && touch $@; } | tee $(VENV)/pip.log \
		| awk '/^Collecting/ { printf "    %d %s\n", ++n, $$2; fflush() } /^ERROR/ { print; fflush() }'
	@[ -f $@ ] || { grep -vE '^( |$$|Traceback)' $(VENV)/pip.log | tail -n 3 >&2; \
		echo "pip failed; is PyPI reachable? All it said: $(VENV)/pip.log" >&2; exit 1; }
