# Two commands do everything on a fresh machine: `make up` and `make test`. `make help` lists the rest.
STACK ?= local
OUT ?= .state/rendered/$(STACK)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLI := $(BIN)/python -m tools.cli

.DEFAULT_GOAL := help
.PHONY: help setup up preview down status doctor policy gameday diff backtest backup restore logs images render demo demo-stop load test test-kubernetes check bench docs pictures drift site lock clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# One stamp a list of requirements: a changed list, and nothing else, installs again.
$(VENV)/.stamp: requirements.txt
	@echo "virtual environment: installing what requirements.txt pins (about a minute, once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@# The program is run from its checkout; this lets processes with another working directory import it.
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/observability.pth"
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp requirements-dev.txt
	@echo "virtual environment: installing what requirements-dev.txt pins"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.stamp ## install everything that `up` needs, and no more
	@$(CLI) setup --stack $(STACK)

up: $(VENV)/.stamp ## bring the stack up and print its URLs (STACK=local)
	@$(CLI) up --stack $(STACK)

preview: $(VENV)/.stamp ## show what `up` would change; REFRESH=1 what was changed by hand, too
	@$(CLI) preview --stack $(STACK) $(if $(REFRESH),--refresh)

down: $(VENV)/.stamp ## stop everything; PURGE=1 deletes the data too
	@$(CLI) demo-stop
	@$(CLI) down --stack $(STACK) $(if $(PURGE),--purge)

status: $(VENV)/.stamp ## part, URL and health of everything (JSON=1)
	@$(CLI) status --stack $(STACK) $(if $(JSON),--json)

diff: $(VENV)/.stamp ## what a change means (BASE=main STACK=prod; HEAD=ref JSON=1 MARKDOWN=1 OUT="a.md b.json" FAIL_ON=nothing)
	@$(CLI) diff --stack $(STACK) $(if $(BASE),--base "$(BASE)") $(if $(HEAD),--head "$(HEAD)") $(if $(JSON),--json) \
	  $(if $(MARKDOWN),--markdown) $(if $(filter file,$(origin OUT)),,--out "$(OUT)") \
	  $(if $(FAIL_ON),--fail-on $(FAIL_ON)) $(if $(PICTURES),--pictures "$(PICTURES)")

backtest: $(VENV)/.stamp ## what changed alerts would have done (BASE=main PROMETHEUS=url DAYS=30; BUDGET=5 LOKI=url JSON=1)
	@$(CLI) backtest --stack $(STACK) --base "$(BASE)" --prometheus "$(PROMETHEUS)" $(if $(LOKI),--loki "$(LOKI)") \
	  $(if $(DAYS),--days $(DAYS)) $(if $(UNTIL),--until "$(UNTIL)") $(if $(BUDGET),--budget $(BUDGET)) \
	  $(if $(ALERT),--alert "$(ALERT)") $(if $(RATE),--rate $(RATE)) $(if $(JSON),--json)

doctor: $(VENV)/.stamp ## look at a live stack from end to end (CHECK=logs,traces SEND=1 JSON=1)
	@$(CLI) doctor --stack $(STACK) $(if $(CHECK),--check $(CHECK)) $(if $(SEND),--send) $(if $(JSON),--json)

backup: $(VENV)/.stamp ## write all data of a process stack to a file (OUT=file PART=loki)
	@$(CLI) backup --stack $(STACK) $(if $(filter file,$(origin OUT)),,--out $(OUT)) $(if $(PART),--part $(PART))

restore: $(VENV)/.stamp ## put a backup back into a stack that is down and empty (FROM=file PART=loki)
	@$(CLI) restore --stack $(STACK) --from $(or $(FROM),$(error FROM=<file> is needed)) $(if $(PART),--part $(PART))

gameday: $(VENV)/.stamp-dev ## have incidents happen on a stack beside yours: who hears of them? (INCIDENTS=a,b FLOOD=60 REPORT=file JSON=1)
	@$(CLI) gameday --stack $(STACK) $(if $(INCIDENTS),--incidents "$(INCIDENTS)") $(if $(FLOOD),--flood-seconds $(FLOOD)) \
	  $(if $(REPORT),--report "$(REPORT)") $(if $(JSON),--json)

policy: $(VENV)/.stamp ## check what a stack declares against the policy pack (STACK=prod LEVEL=mandatory JSON=1)
	@$(CLI) policy --stack $(STACK) $(if $(LEVEL),--level $(LEVEL)) $(if $(JSON),--json)

logs: $(VENV)/.stamp ## what the programs say (PART=loki FOLLOW=1)
	@$(CLI) logs --stack $(STACK) $(if $(PART),--part $(PART)) $(if $(FOLLOW),--follow)

images: $(VENV)/.stamp ## every image that a stack needs (STACK=dev); LOCK=1 pins them by digest, JSON=1 for machines
	@$(CLI) images --stack $(STACK) $(if $(LOCK),--lock) $(if $(JSON),--json)

render: $(VENV)/.stamp ## write every file the stack would place (OUT=dir)
	@$(CLI) render --stack $(STACK) --out $(OUT)

demo: $(VENV)/.stamp-dev ## run the sample app (SCENARIO=errors|slow|…), or SYSTEM=roadtrip in trouble (SCENARIO=<alert>)
	@$(CLI) demo --stack $(STACK) $(if $(SYSTEM),--system $(SYSTEM)) --scenario $(or $(SCENARIO),normal) \
	  $(if $(RUN_TIME),--run-time $(RUN_TIME))

demo-stop: $(VENV)/.stamp ## stop the sample app
	@$(CLI) demo-stop

load: $(VENV)/.stamp-dev ## put TARGET=… under load and judge it (SHAPE=normal|stress|spike|endpoints)
	@$(CLI) load --stack $(STACK) $(if $(SHAPE),--shape $(SHAPE)) $(if $(TARGET),--target $(TARGET)) $(if $(APP),--app $(APP)) \
	  $(if $(SCALE),--scale $(SCALE)) $(if $(USERS),--users $(USERS)) $(if $(RUN_TIME),--run-time $(RUN_TIME)) \
	  $(if $(ENDPOINTS),--endpoints "$(ENDPOINTS)") $(if $(REQUESTS),--requests $(REQUESTS)) $(if $(REPORT),--report $(REPORT)) \
	  $(if $(OTLP),--otlp $(OTLP)) $(if $(ALLOW_REMOTE),--allow-remote $(ALLOW_REMOTE)) $(if $(WEB),--web $(WEB))

test: $(VENV)/.stamp-dev ## set up and run all tests (ARGS=… goes to pytest)
	@$(BIN)/python -m tools.native ensure --group tests
	@$(BIN)/python -m pytest --numprocesses=auto --durations=20 --durations-min=20 $(ARGS)

test-kubernetes: $(VENV)/.stamp-dev ## run the small production stack as real pods, on this machine (root; docs/test-cluster.md)
	@$(BIN)/python -m tools.native ensure etcd kubernetes --group stack --group exporters --group cluster
	@OBSERVABILITY_CLUSTER=1 $(BIN)/python -m pytest tests/cluster $(ARGS)

check: $(VENV)/.stamp-dev ## linters and type checkers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/pyright --project pyproject.toml
	@$(BIN)/yamllint --strict .
	@$(BIN)/codespell
	@$(BIN)/python -m tools.documents --check

bench: $(VENV)/.stamp-dev ## measure and print a table
	@$(BIN)/python -m tools.bench

docs: $(VENV)/.stamp ## write the generated pages of docs/
	@$(BIN)/python -m tools.documents

pictures: $(VENV)/.stamp ## save a picture of every dashboard of a live Grafana (GRAFANA_URL=… RANGE=6h; docs/pictures.md)
	@OUT=$(if $(filter file,$(origin OUT)),docs/pictures,$(OUT)) $(BIN)/python -m tools.pictures

drift: $(VENV)/.stamp ## what was changed by hand since the last `up` (STACK=prod); ISSUE=1 keeps an issue of it, in CI
	@$(CLI) drift --stack $(STACK) $(if $(JSON),--json) $(if $(ISSUE),--issue)

site: $(VENV)/.stamp-dev ## docs/ as a site with search, in .state/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir $(if $(filter file,$(origin OUT)),.state/site,$(OUT))

lock: ## pin requirements.in and requirements-dev.in with hashes (needs pip-compile of pip-tools)
	@for name in requirements requirements-dev; do pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header -o $$name.txt $$name.in; done

clean: ## remove caches of the tools (not the stack: that is `make down PURGE=1`)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache
