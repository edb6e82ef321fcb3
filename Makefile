# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv and installs what it needs.
SHELL := /bin/bash
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HERE := not live and not browser and not long and not sim
# The files that say a marker; importing all others to find that they do not takes seconds a worker.
# No test with one of these markers hides from this: tests/conftest.py refuses it.
saying = $$(grep -rlE 'mark\.($(1))\b' tests --include='test_*.py')
# What was green here with the same inputs is not shown again; ALL=1 runs all. See tests/unchanged.
UNPROVEN := $(if $(ALL),,--only-unproven)
# Byte code is kept even where the environment says no: everything starts in half the time with it.
export PYTHONDONTWRITEBYTECODE :=
# Rooms whose tests hold real deadlines; one that computes makes room for them.
CLOCKED := tests/adapters tests/cli tests/console tests/demo tests/deploy tests/server tests/testing
# Tests that compute make room for those that wait for servers and would misjudge a starved one. They can stand
# still for minutes for that, so only a test that hangs is ended.
MODESTLY := $(shell chrt -i 0 true 2>/dev/null && echo chrt -i 0 || echo nice -n 19)
PATIENTLY := --timeout 3600
.PHONY: setup lock demo coverage test computing waiting ray chaos test-live kube test-long lint quick check bench bench-detection bench-safety evaluate sim docs clean require

require:
	@[ "$$(uname -s)" = Linux ] || { echo "Homeostat's demo and tests need Linux; this is $$(uname -s)."; exit 1; }
	@command -v $(PY) >/dev/null || { echo "Python 3.11 or newer is needed and '$(PY)' is not there: install it, or say where it is with PY=/path/to/python3."; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PY) is $$($(PY) --version). Say PY=/path/to/python3.11."; exit 1; }
	@$(PY) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: on Debian, apt-get install python3-venv."; exit 1; }
	@command -v git >/dev/null || { echo "git is needed and is not there."; exit 1; }

setup: require $(STAMP)

$(STAMP): requirements.lock pyproject.toml instrument/pyproject.toml | require
	@test -x $(BIN)/python || $(PY) -m venv $(VENV)
	@if $(BIN)/python -m pip install -q uv 2>/dev/null; then \
	  $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock && \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e instrument -e . ; \
	else \
	  $(BIN)/python -m pip install -q --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --no-deps -e instrument -e . ; \
	fi
	@touch $@

# After a change of the dependencies; what is pinned stays unless it must move or its pin was deleted.
lock: setup
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && \
	  grep -v '"homeostat-instrument",' pyproject.toml > "$$new/pyproject.toml" && \
	  $(BIN)/uv pip compile -q --generate-hashes --no-header --no-emit-index-url --no-annotate \
	    --all-extras --python-version 3.11 "$$new/pyproject.toml" -o requirements.lock
	@$(BIN)/python tests/deploy/image_lock.py > deploy/requirements.lock

demo: setup
	@$(BIN)/homeostat demo

lint: setup
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

# Side by side: of two cores, the types need one and most tests wait at times.
check: setup
	@$(MAKE) --no-print-directory -j 2 lint quick

quick: setup
	@$(BIN)/pytest -q -x -n 2 --dist worksteal --hypothesis-profile check $(UNPROVEN) -m "$(HERE) and not slow"

# Half of the tests compute and half wait: side by side. What computes is told when it is through.
test: setup
	@$(MAKE) --no-print-directory -j 2 waiting computing

computing: setup
	@log=$$(mktemp) && trap 'cat "$$log"; rm -f "$$log"' EXIT && { \
	  $(MODESTLY) $(BIN)/pytest -q -n 2 $(PATIENTLY) --dist worksteal $(UNPROVEN) -m "$(HERE)" $(CLOCKED:%=--ignore=%) && \
	  $(MODESTLY) $(BIN)/pytest -q -n 2 $(PATIENTLY) -rP -m sim tests/loop/sim; } >"$$log" 2>&1

waiting: setup
	@$(BIN)/pytest -q -n 2 --dist worksteal -m "(live or browser) and not alone and not long" $(call saying,live|browser)
	@$(BIN)/pytest -q -m "alone and not long" $(call saying,alone)
	@$(BIN)/pytest -q -n 2 --dist worksteal $(UNPROVEN) -m "$(HERE)" $(CLOCKED)

# What starts real parts. First which of them are here: one that PARTS="haproxy postgresql" names and that is
# not fails at once; the tests of others are skipped, and say so. The last line takes half an hour.
test-live: setup
	@$(BIN)/python tests/live/live_parts.py $(PARTS)
	@$(BIN)/pytest -q -n 2 --dist worksteal -m "(live or browser) and not alone and not long" $(call saying,live|browser)
	@$(BIN)/pytest -q -m "(live or browser) and alone and not long" $(call saying,alone)
	@$(BIN)/pytest -q -m "(live or browser) and long" --timeout 3600 $(call saying,live|browser)

# Kills every real part at random for ten minutes and looks for an unsafe act. MINUTES=1.5 SEED=7 for another run.
chaos: setup
	@$(BIN)/python tests/live/chaos.py --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1)

# A real Ray Serve for the test that wants one, in an environment of its own: 400 MB.
ray: require
	@test -x .venv-ray/bin/python || $(PY) -m venv .venv-ray
	@.venv-ray/bin/python -m pip install -q --require-hashes -r tests/adapters/actuators/ray.lock \
	  || { rm -rf .venv-ray; echo "Ray could not be installed."; exit 1; }

# A real Kubernetes API server with its controllers, for the tests in tests/kube: seven CPU-minutes, once.
kube:
	@tests/kube/build.sh

test-long: setup
	@$(BIN)/pytest -q -m "long" --timeout 3600
	@$(BIN)/pytest -q -n 2 --hypothesis-profile explore -m "$(HERE)" --timeout 3600
	@$(MAKE) --no-print-directory coverage

# Every branch of the guards, by their own tests alone: three minutes of one core.
coverage: setup
	@$(BIN)/python -m coverage run -m pytest -q tests/safety
	@$(BIN)/python -m coverage report

bench: setup
	@$(BIN)/pytest -q benchmarks --benchmark-enable --benchmark-only

# Every gate of detection beside peers, which get an environment of their own: half an hour of one core, for what
# takes hours is played in a short form. PARTS="--parts nab,speed" for some, PARTS="--parts fleet --long --keep" for
# one played whole and kept, PARTS="--page docs/reference/detection-figures.md" to write the page.
bench-detection: setup
	@test -x .venv-peers/bin/python || $(PY) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install -q --require-hashes -r benchmarks/detection/peers.lock \
	  || { rm -rf .venv-peers; echo "The peers could not be installed; the tables say so."; }
	@PYTHONPATH=benchmarks OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m detection $(PARTS)

# The figures that the safety promises name, in their short forms, and made-up canaries through the judge,
# beside what is in use: minutes. PARTS="--parts mutants --long --keep" for a part at the length that is asked,
# kept and put into docs/reference/safety-figures.md.
bench-safety: setup
	@PYTHONPATH=benchmarks OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m safety $(PARTS)

# The long form of the simulation: more than an hour of two cores; SIM_EFFECTS=5000000 for less. KEEP=1
# keeps its figures for the page, as those of `bench-safety`.
sim: setup
	@PYTHONPATH=tests/loop/sim:benchmarks $(BIN)/python -m protocol_sim $(if $(KEEP),--keep) --effects $(or $(SIM_EFFECTS),100000000)
	@$(BIN)/pytest -q -n 2 -rP -m sim tests/loop/sim -k "not million"

# Bandits, Hedge and promotion gates on made-up tasks: five minutes of one core. PARTS as above.
bench-adaptive: setup
	@PYTHONPATH=benchmarks OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bandits $(PARTS)

# Policies pair by pair over the catalogue, into docs/reference/adaptive-figures.md: hours of two cores at 100
# seeds. What was played is kept. SEEDS=2 POLICIES=hold,threshold,ppo for less; a test runs a short form.
evaluate: setup
	@$(BIN)/homeostat lab evaluate --seeds $(or $(SEEDS),100) $(if $(POLICIES),--policies $(POLICIES)) \
	  --out $(or $(OUT),evaluation) --page docs/reference/adaptive-figures.md

docs: setup
	@$(BIN)/homeostat schema > docs/reference/homeostat.schema.json
	@$(BIN)/homeostat schema --crds > deploy/components/custom-resources/definitions.yaml
	@$(BIN)/homeostat lab schema > docs/reference/lab-results.schema.json
	@$(BIN)/homeostat export metrics --page docs/reference/metrics.md

clean:
	@rm -rf $(VENV) .venv-peers .venv-ray .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks .jax_cache
