# make release            everything: fetch, prepare, train, evaluate, pack, verify
# make release RECIPE=tiny ARGS="training.steps=50"
# make fork NAME=our_text TITLE="Our text" DEST=../our_text    a project of your own, for texts of your own
# make bench              speed and memory of the data stages and of training, beside their peers
# make sample             let the model write; ARGS=--serve: on a page and as an API, on this machine alone
# make test               every test, the whole chain on recipe tiny among them
# verify, replay, reproduce, explore, pairs, diff, assess, sign, archive and publish: see README.md
PYTHON ?= python3
RECIPE ?= reference
RELEASE ?= releases/$(RECIPE)-0.1.0
PROMPT ?= The
ARGS ?=
RUN := .venv/bin/python

.PHONY: help setup release test bench check format verify replay reproduce diff assess sign archive publish
.PHONY: sample pairs explore fork clean
help: ; @sed -n '/^PYTHON/q; s/^# //p' Makefile

# A virtual environment from the lock, each file by its digest; made once, and again when the lock changes.
setup: .venv/complete
.venv/complete: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 2) and "error: Python 3.11.2 or newer is needed; say which: make PYTHON=...")'
	$(PYTHON) -B -m train.release.lock requirements.lock .venv
	@touch $@

release: setup ; @$(RUN) scripts/run.py recipe=$(RECIPE) $(ARGS)
verify: setup ; @$(RUN) scripts/verify.py $(RELEASE) $(ARGS)
replay: setup ; @$(RUN) scripts/replay.py $(RELEASE) $(if $(SEGMENT),--segment $(SEGMENT)) $(ARGS)
reproduce: setup ; @$(RUN) scripts/reproduce.py $(RELEASE) $(ARGS)
diff: setup ; @$(RUN) scripts/diff.py $(BEFORE) $(RELEASE) $(ARGS)
assess: setup ; @$(RUN) scripts/assess.py $(FOLDER) $(ARGS)
sign: setup ; @$(RUN) scripts/sign.py $(RELEASE) $(if $(KEY),--key $(KEY)) $(ARGS)
archive: setup ; @$(RUN) scripts/archive.py $(RELEASE) $(ARGS)
publish: setup ; @$(RUN) scripts/publish.py $(RELEASE) $(TO) $(ARGS)
sample: setup ; @$(RUN) scripts/sample.py $(RELEASE) --prompt "$(PROMPT)" $(ARGS)
pairs: setup ; @$(RUN) scripts/pairs.py $(RELEASE) $(FILES) $(ARGS)
explore: setup ; @$(RUN) scripts/explore.py --from $(RELEASE) $(ARGS)
fork: setup ; @$(RUN) scripts/fork.py "$(NAME)" "$(TITLE)" "$(DEST)" $(ARGS)
bench: setup ; @$(RUN) scripts/bench.py $(ARGS)
test: setup ; $(RUN) -m pytest $(ARGS)

check: setup
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: setup
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean: ; rm -rf runs releases
