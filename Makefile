# What a user types. `make help` lists it.
SHELL := bash
VENV := .venv
PY := $(VENV)/bin/python
# Several demos, or a demo and a test run, can run side by side: make demo NAME=other
NAME ?= demo
# The demo's object store: minio or seaweedfs
STORE ?= minio
# What the demo runs on: throwaway (Kubernetes is built here), or kind (prebuilt; needs kind, docker, kubectl and helm)
CLUSTER ?= throwaway

.PHONY: help install deps lock crds lint types check unit integration certificates e2e e2e-first-half e2e-second-half e2e-swapped e2e-nodes rehearsal test try picture demo images demo-down kubectl scale interleave chaos soak bench

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: locks/dev.txt pyproject.toml
	@test -x $(PY) || python3 -m venv $(VENV) || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@$(PY) -c 'import uv' 2>/dev/null || $(PY) -m pip install -q --disable-pip-version-check \
	    "$$(sed -nE 's/^(uv==[^ ;]+).*/\1/p' locks/dev.txt)"
	@echo "Installing Alcove and its tools from locks/dev.txt (a minute or two the first time)"
	@$(PY) -m uv pip sync $(if $(MAKE_TERMOUT),,-q) --python $(PY) locks/dev.txt
	@$(PY) -m uv pip install -q --python $(PY) --no-deps -e .
	@touch $@

# `alcove run` needs the cluster's supervisor; without a C compiler everything else works.
SUPERVISOR := $(VENV)/bin/alcove-supervisor
$(SUPERVISOR): $(wildcard images/supervisor/*.c images/supervisor/*.h) $(VENV)/.installed
	@if command -v cc >/dev/null; then make -s -C images/supervisor && install images/supervisor/build/alcove-supervisor $@; \
	else echo "No C compiler, so \`alcove run\` will not work: apt-get install gcc libc6-dev"; fi

install: $(VENV)/.installed $(SUPERVISOR) ## the `alcove` command into .venv/bin, from the lock file

lock: ## write locks/ from pyproject.toml
	@.ci/lock

crds: install ## write crds/*.yaml, and the chart's copies, from the models
	@$(PY) -m alcove_api crds && $(PY) helm/generate.py

lint: install
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports
	@$(PY) -m alcove_api --check crds && $(PY) helm/generate.py --check

types: install
	@$(VENV)/bin/mypy

unit: install
	@$(PY) -m pytest -q -n auto tests/unit

check: lint types unit ## the inner loop: lint, types, unit tests

deps: install ## what clusters are made of: Debian packages, and pinned programs built into the cache
	@$(PY) -m tests.cluster deps && $(PY) -m tests.cluster binaries

# `deps` leaves out what only tests need: the Prometheus operator here, Kueue below.
integration: deps ## real API servers, real stores, and what else needs no node
	@$(PY) -m tests.cluster binaries --only prometheus-operator
	@$(PY) -m pytest -q -n 2 --dist loadfile tests/integration

certificates: deps ## the store's certificate by the real cert-manager, which is built for minutes the first time
	@$(PY) -m tests.cluster binaries --only cert-manager
	@$(PY) -m pytest -q tests/integration/helm/test_certificates.py

DEMO_TEST := test_make_demo_prints_a_ranked_leaderboard_and_demo_down_leaves_nothing
rehearsal: deps ## a whole challenge: practice, a choice, a blind final, the winners
	@$(PY) -m pytest -q -s tests/e2e/test_rehearsal.py

# Side by side, each half on a cluster that its tests share. Demo, nodes and chaos raise clusters of their own before the second half.
SECOND_HALF := tests/conformance tests/e2e/test_rehearsal.py
e2e: deps ## the throwaway cluster
	@$(PY) -m tests.cluster binaries --only kueue
	@$(MAKE) --no-print-directory --jobs 2 e2e-first-half e2e-second-half

e2e-first-half:
	@$(PY) -m pytest -q -m "not own_cluster" tests/e2e $(addprefix --ignore=,$(SECOND_HALF))

e2e-second-half:
	@$(PY) -m pytest -q -m own_cluster tests/e2e
	@$(PY) -m pytest -q $(SECOND_HALF)

e2e-swapped: deps ## the demo on SeaweedFS, and the whole challenge on MinIO; make e2e has each on the other
	@ALCOVE_SWAP_STORES=yes $(PY) -m pytest -q -s tests/e2e/test_rehearsal.py tests/e2e/test_demo.py::$(DEMO_TEST)

e2e-nodes: deps ## two nodes, one of which dies with a run on it: ten minutes, most of them spent on waiting
	@$(PY) -m pytest -q -s tests/nodes

test: check integration e2e ## everything; CI runs this

# As many runs side by side as there are cores: quick, and fair enough to try.
PRACTICE := characters waves docstrings digits moving-digits vowels
try: install ## a competition on this machine: three submissions on six datasets, about two minutes, no Kubernetes
	@for name in $(PRACTICE); do \
	    test -e out/try/data/$$name.data || $(VENV)/bin/alcove dataset make $$name out/try/data || exit 1; done
	@$(VENV)/bin/alcove compete examples/submissions/{chance,sklearn,tensorflow} --datasets out/try/data/*.data \
	    --budget 15 --jobs $$(nproc) --out out/try

demo: $(if $(filter kind,$(CLUSTER)),install,deps) ## a cluster, a hackathon, three submissions, a leaderboard; CLUSTER=kind: on prebuilt nodes
	@$(PY) -m tests.demo --name $(NAME) --store $(STORE) --cluster $(CLUSTER)

picture: try ## docs/pictures/board.png, which README shows: the page that `make try` writes, as Chromium shows it
	@$(PY) -m tests.demo.picture

images: install ## build the images, push them to REGISTRY=…, print the values that name them; more with ARGS=--help
	@test -n "$(REGISTRY)" || { echo "Say where to push them: make images REGISTRY=registry.example.org/alcove"; exit 1; }
	@$(PY) -m tests.cluster publish $(REGISTRY) --values images.yaml $(ARGS)

demo-down: install ## remove the demo and everything that belongs to it
	@$(PY) -m tests.demo --name $(NAME) --cluster $(CLUSTER) --down

kubectl: ## make kubectl ARGS="get submissions -A": look around in the demo's cluster
	@$(PY) -m tests.cluster kubectl --name $(NAME) -- $(ARGS)

SUBMISSIONS ?= 300
TEAMS ?= 20
scale: deps ## many submissions at once; SUBMISSIONS=10000 TEAMS=2000, several numbers of submissions in quotes
	@$(PY) -m bench.scale --submissions $(SUBMISSIONS) --teams $(TEAMS) $(ARGS)

COUNT ?= 100000
SEED ?= 0
interleave: install ## the operator under every order of requests, answers, events and crashes; COUNT=100000, SEED=0
	@$(PY) -m tests.interleave --count $(COUNT) --seed $(SEED) $(ARGS)

MINUTES ?= 5
chaos: deps ## every part of a cluster killed at random while submissions run; MINUTES=60, SEED=0
	@$(PY) -m bench.chaos --minutes $(MINUTES) --seed $(SEED) $(ARGS)

RATE ?= 20
soak: deps ## hours of steady submissions, and what grows meanwhile; MINUTES=120 RATE=20 submissions a minute
	@$(PY) -m bench.soak --minutes $(if $(filter file,$(origin MINUTES)),120,$(MINUTES)) --rate $(RATE) $(ARGS)

bench: deps ## measure; results go to bench/
	@$(PY) -m bench
