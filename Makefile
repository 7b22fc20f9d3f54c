# make release            everything: fetch, prepare, train, evaluate, pack, verify
# make release RECIPE=tiny ARGS="training.steps=50 name=short"
# make fork NAME=our_text TITLE="Our text" DEST=../our_text    a project of your own, for texts of your own
# make bench              speed and memory of the data stages and of training, beside their peers
# make sample             let the model write; ARGS=--serve: on a page and as an API, on this machine alone
# make test               every test, the whole chain on recipe tiny among them
# plan, config, verify, replay, reproduce, explore, score, diff, assess, sign, archive, publish: see docs/commands.md, and
# .venv/bin/python -m train --help (`pellucid --help` where it is installed)
PYTHON ?= python3
RECIPE ?= reference
PROMPT ?= The
ARGS ?=
RUN := .venv/bin/python
PELLUCID = $(RUN) scripts/pellucid.py

# The release of the recipe, of the version that its config tells, unless another folder is named.
told = $(shell sed -n 's/^ *\(- override .\)\{0,1\}$(1): *["'\'']\{0,1\}\([^"'\'' \#]\{1,\}\).*/\2/p' $(2) | head -n 1)
CONFIG := $(wildcard configs/recipe/$(value RECIPE).yaml)
OF := configs/release/$(or $(if $(CONFIG),$(call told,release,$(CONFIG))),default).yaml
RELEASE ?= releases/$(value RECIPE)-$(call told,version,$(OF) configs/release/default.yaml)

# What is given reaches the scripts to the letter, by the environment: neither make nor a shell reads it again.
GIVEN := RECIPE RELEASE PROMPT SEGMENT BEFORE FOLDER KEY TO FILES NAME TITLE DEST
given = $(if $(findstring file,$(origin $(1))),$($(1)),$(value $(1)))
$(foreach name,$(GIVEN),$(eval export GIVEN_$(name) = $$(call given,$(name))))
unexport $(GIVEN)

.PHONY: help setup release test selftest bench check format verify replay reproduce diff assess sign archive publish
.PHONY: sample score pairs explore export fork plan config clean
help: ; @sed -n '/^PYTHON/q; s/^# //p' Makefile

# A virtual environment from the lock, each file by its digest; made once, and again when the lock changes.
setup: .venv/complete
.venv/complete: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 2) and "error: Python 3.11.2 or newer is needed; say which: make PYTHON=...")'
	$(PYTHON) -B -m train.release.lock requirements.lock .venv
	@touch $@

release: setup ; @$(PELLUCID) release "recipe=$$GIVEN_RECIPE" $(ARGS)
plan: setup ; @$(PELLUCID) plan "recipe=$$GIVEN_RECIPE" $(ARGS)
config: setup ; @$(PELLUCID) config "recipe=$$GIVEN_RECIPE" $(ARGS)
verify: setup ; @$(PELLUCID) verify "$$GIVEN_RELEASE" $(ARGS)
replay: setup ; @$(PELLUCID) replay "$$GIVEN_RELEASE" $(if $(value SEGMENT),"--segment=$$GIVEN_SEGMENT") $(ARGS)
reproduce: setup ; @$(PELLUCID) reproduce "$$GIVEN_RELEASE" $(ARGS)
diff: setup ; @$(PELLUCID) diff "$$GIVEN_BEFORE" "$$GIVEN_RELEASE" $(ARGS)
assess: setup ; @$(PELLUCID) assess "$$GIVEN_FOLDER" $(ARGS)
export: setup ; @$(PELLUCID) export "$$GIVEN_RELEASE" $(ARGS)
sign: setup ; @$(PELLUCID) sign "$$GIVEN_RELEASE" $(if $(value KEY),"--key=$$GIVEN_KEY") $(ARGS)
archive: setup ; @$(PELLUCID) archive "$$GIVEN_RELEASE" $(ARGS)
publish: setup ; @$(PELLUCID) publish "$$GIVEN_RELEASE" "$$GIVEN_TO" $(ARGS)
sample: setup ; @$(PELLUCID) sample "$$GIVEN_RELEASE" "--prompt=$$GIVEN_PROMPT" $(ARGS)
score: setup ; @$(PELLUCID) score "$$GIVEN_RELEASE" "$$GIVEN_FILES" $(ARGS)
pairs: score
explore: setup ; @$(PELLUCID) explore "--from=$$GIVEN_RELEASE" $(ARGS)
fork: setup ; @$(PELLUCID) fork $(ARGS) -- "$$GIVEN_NAME" "$$GIVEN_TITLE" "$$GIVEN_DEST"
bench: setup ; @$(PELLUCID) bench $(ARGS)
selftest: setup ; @$(PELLUCID) selftest $(ARGS)
test: setup ; $(if $(filter-out file,$(origin RELEASE)),RELEASE="$$GIVEN_RELEASE") $(RUN) -m pytest $(ARGS)

check: setup
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: setup
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean: ; rm -rf runs releases
