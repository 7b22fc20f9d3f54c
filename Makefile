# make release            everything: fetch, prepare, train, evaluate, pack, verify
# make release RECIPE=tiny ARGS="training.steps=50 name=short"
# make fork NAME=our_text TITLE="Our text" DEST=../our_text    a project of your own, for texts of your own
# make bench              speed and memory of the data stages and of training, beside their peers
# make sample             let the model write; ARGS=--serve: on a page and as an API, on this machine alone
# make test               every test, the whole chain on recipe tiny among them
# verify, replay, reproduce, explore, pairs, diff, assess, sign, archive and publish: see README.md
PYTHON ?= python3
RECIPE ?= reference
PROMPT ?= The
ARGS ?=
RUN := .venv/bin/python

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

.PHONY: help setup release test bench check format verify replay reproduce diff assess sign archive publish
.PHONY: sample pairs explore fork clean
help: ; @sed -n '/^PYTHON/q; s/^# //p' Makefile

# A virtual environment from the lock, each file by its digest; made once, and again when the lock changes.
setup: .venv/complete
.venv/complete: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 2) and "error: Python 3.11.2 or newer is needed; say which: make PYTHON=...")'
	$(PYTHON) -B -m train.release.lock requirements.lock .venv
	@touch $@

release: setup ; @$(RUN) scripts/run.py "recipe=$$GIVEN_RECIPE" $(ARGS)
verify: setup ; @$(RUN) scripts/verify.py "$$GIVEN_RELEASE" $(ARGS)
replay: setup ; @$(RUN) scripts/replay.py "$$GIVEN_RELEASE" $(if $(value SEGMENT),"--segment=$$GIVEN_SEGMENT") $(ARGS)
reproduce: setup ; @$(RUN) scripts/reproduce.py "$$GIVEN_RELEASE" $(ARGS)
diff: setup ; @$(RUN) scripts/diff.py "$$GIVEN_BEFORE" "$$GIVEN_RELEASE" $(ARGS)
assess: setup ; @$(RUN) scripts/assess.py "$$GIVEN_FOLDER" $(ARGS)
sign: setup ; @$(RUN) scripts/sign.py "$$GIVEN_RELEASE" $(if $(value KEY),"--key=$$GIVEN_KEY") $(ARGS)
archive: setup ; @$(RUN) scripts/archive.py "$$GIVEN_RELEASE" $(ARGS)
publish: setup ; @$(RUN) scripts/publish.py "$$GIVEN_RELEASE" "$$GIVEN_TO" $(ARGS)
sample: setup ; @$(RUN) scripts/sample.py "$$GIVEN_RELEASE" "--prompt=$$GIVEN_PROMPT" $(ARGS)
pairs: setup ; @$(RUN) scripts/pairs.py "$$GIVEN_RELEASE" "$$GIVEN_FILES" $(ARGS)
explore: setup ; @$(RUN) scripts/explore.py "--from=$$GIVEN_RELEASE" $(ARGS)
fork: setup ; @$(RUN) scripts/fork.py $(ARGS) -- "$$GIVEN_NAME" "$$GIVEN_TITLE" "$$GIVEN_DEST"
bench: setup ; @$(RUN) scripts/bench.py $(ARGS)
test: setup ; $(if $(filter-out file,$(origin RELEASE)),RELEASE="$$GIVEN_RELEASE") $(RUN) -m pytest $(ARGS)

check: setup
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: setup
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean: ; rm -rf runs releases
