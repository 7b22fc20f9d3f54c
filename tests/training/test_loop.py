"""The trainer itself: the real command, in processes of its own."""

import json
import os
import signal
from dataclasses import asdict, replace

import pytest
import torch
import warm
from conftest import SMALL, WORLD, artifact, refusal, wait_for

from train.artifact import Input, Manifest, write_json
from train.compose import compose
from train.config import build
from train.model import Transformer, load_weights, weights_of
from train.training.checkpoint import Checkpoint, restore
from train.training.loop import FitConfig, fit, steps
from train.training.optimizer import Optimizer
from train.world import Inputs

STEPS = 24


def test_products_are_the_weights_and_every_checkpoint(uninterrupted):
    steps = [f"checkpoints/step-{step:06d}/{name}" for step in (8, 16, 24)
             for name in ("model.safetensors", "optimizer.safetensors", "state.json")]  # fmt: skip
    assert sorted(uninterrupted) == sorted([*steps, "model.safetensors"])
    last = uninterrupted["checkpoints/step-000024/model.safetensors"]
    assert uninterrupted["model.safetensors"] == last


@pytest.mark.parametrize(("threads", "capability", "micro_batches", "compiled"), [
    (3, "default", 2, False), (2, None, 4, False),
    pytest.param(2, None, 2, True, marks=pytest.mark.slow),
    pytest.param(7, "default", 16, False, marks=pytest.mark.slow),
])  # fmt: skip
def test_exact_is_the_same_bytes_everywhere(command, uninterrupted, threads, capability, micro_batches, compiled):
    environment = {"env": {"ATEN_CPU_CAPABILITY": capability}} if capability else {}
    settings = [f"machine.{name}={value}" for name, value in
                (("threads", threads), ("micro_batches", micro_batches), ("compile", compiled))]  # fmt: skip
    command("until=weights", *settings, **environment)
    assert command.products() == uninterrupted
    stack = json.loads((command.artifact("weights") / "witness" / "stack.json").read_text())
    assert (stack["threads"], stack["compile"]) == (threads, compiled)
    assert capability in (None, stack["capability"].lower())


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_asked_to_stop_it_saves_the_step_and_goes_on_from_there(command, uninterrupted, number):
    process = command.begin("until=weights", "machine.threads=1")
    log = wait_for(lambda: next((command.home / "runs").glob("weights-*.part/witness/log.jsonl"), None))
    wait_for(lambda: log.read_text().count("\n") >= 3)
    os.kill(process, number)
    done = warm.end()
    assert done.returncode == 128 + number and "Traceback" not in done.stderr, done.stderr
    (saved,) = (command.home / "runs").glob("weights-*.part/*/step-*")
    reached = int(saved.name.removeprefix("step-"))
    assert 3 <= reached < STEPS
    said = command("until=weights", "machine.threads=1")
    assert f"going on after step {reached}" in said and command.products() == uninterrupted
    steps = [json.loads(line)["step"] for line in (command.artifact("weights") / "witness" / "log.jsonl").open()]
    assert steps == list(range(1, STEPS + 1))


def test_what_is_not_finite_stops_before_the_update_and_names_the_batch(command):
    said = command("until=weights", "training.optimizer.learning_rate=1e30", status=1)
    assert "stopped before the update" in said and "documents" in said
    (part,) = (command.home / "runs").glob("weights-*.part")
    assert not list(part.glob("model.safetensors"))


@pytest.mark.parametrize(("override", "line"), [
    ("machine.micro_batches=3", "machine.micro_batches: 3 does not divide training.batch (16)"),
    ("training.batch=1000000 machine.micro_batches=1000000", "windows of 32; at least 1000000 are needed"),
    ("training.batch=1000000", "of memory with machine.micro_batches=1, and"),
    ("training.checkpoint_every=1 training.steps=99999999", "checkpoints take"),
    ("machine.device=cuda", "use machine.device=cpu"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_in_one_line(command, override, line):
    said = command("until=weights", *override.split(), status=1)
    (error,) = (text for text in said.splitlines() if text.startswith("error: ") or line in text)
    assert error.startswith("error: ") and line in error


def test_without_a_compiler_one_is_told_to_install_it_or_to_do_without(command, tmp_path):
    env = {"CXX": str(tmp_path / "absent"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    said = command("until=weights", "machine.compile=true", status=1, env=env)
    assert "error: machine.compile: torch cannot compile here" in said and "use machine.compile=false" in said


def test_pinned_weights_are_others_and_their_key_holds_the_stack(command, uninterrupted):
    command("until=weights", "training.numerics.contract=pinned", "machine.threads=1")
    found = json.loads((command.artifact("weights") / "manifest.json").read_text())
    assert found["config"]["stack"]["threads"] == 1
    assert found["products"]["model.safetensors"] != uninterrupted["model.safetensors"]


def test_wandb_offline_gets_the_same_records_and_stays_a_witness(command, uninterrupted):
    command("until=weights", "machine.wandb=offline")
    assert command.products() == uninterrupted
    assert list(command.artifact("weights").glob("witness/wandb/offline-run-*/*.wandb"))


def zero(which: str):
    """Forget the optimizer's moments of one kind."""
    forgotten = lambda state: {n: t * (not n.endswith(which)) for n, t in state.items()}  # noqa: E731
    return lambda found: replace(found, optimizer=forgotten(found.optimizer))


@pytest.mark.parametrize(("forget", "same"), [
    (lambda found: found, True), (lambda found: replace(found, step=found.step - 1), False),
    (lambda found: replace(found, weights={n: t.bfloat16() for n, t in found.weights.items()}), False),
    (zero("first"), False), (zero("second"), False), (zero("momentum"), False),
])  # fmt: skip
def test_a_checkpoint_holds_what_it_must_and_nothing_in_it_can_be_left_out(prepared, forget, same):
    mapping = compose([*SMALL, "model.layers=1", "model.width=32", "training.batch=4", "training.optimizer.clip=0.1"])
    config = build(FitConfig, {name: mapping[name] for name in ("model", "training")})

    def begin(found: Checkpoint | None) -> tuple[Transformer, Optimizer]:
        model = Transformer(config.model, 512, config.training.seed).to(config.training.numerics.compute)
        optimizer = Optimizer(model, config.training.optimizer, config.training.numerics)
        if found:
            load_weights(model, found.weights)
            restore(optimizer.state, found.optimizer)
        return model, optimizer

    def go(model: Transformer, optimizer: Optimizer, start: int, end: int) -> Checkpoint:
        list(steps(config, model, optimizer, artifact(prepared, "tokens"), WORLD, range(start, end)))
        return Checkpoint(end, weights_of(model), optimizer.state).copy()

    training = begin(None)
    middle = go(*training, 0, 3)
    end = go(*training, 3, 5)
    found = forget(middle)
    reached = go(*begin(found), found.step, found.step + 2)
    assert all(torch.equal(reached.weights[n], t) for n, t in end.weights.items()) == same
    assert all(torch.equal(reached.optimizer[n], t) for n, t in end.optimizer.items()) == same


def test_tokens_of_another_tokenizer_are_refused(tmp_path):
    mapping = compose(SMALL)
    config = build(FitConfig, {name: mapping[name] for name in ("model", "training")})
    inputs = Inputs(**{name: tmp_path / name for name in ("tokens", "tokenizer")})
    for name, made_from in (("tokenizer", {}), ("tokens", {"tokenizer": Input("", "0" * 64)})):
        write_json(tmp_path / name / "manifest.json", asdict(Manifest(name, "", None, {}, made_from, {})))
    says = r"tokens: encoded by another tokenizer than .*tokenizer; give the two that"
    refusal(fit, config, inputs, tmp_path / "out", WORLD, match=says)
    assert not (tmp_path / "out").exists()
