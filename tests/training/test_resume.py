"""A training goes on only from what its records prove, and ends them whatever ends it."""

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import MACHINE, SMALL, artifact, refusal
from little import Tracker

from train.artifact import inventory
from train.compose import compose
from train.config import build
from train.training import checkpoint, loop, meters
from train.training.log import Log
from train.training.loop import FitConfig, fit
from train.world import Inputs, World

STEPS, EVERY = 6, 2
TINY = [
    *SMALL, "model.layers=1", "model.width=16", "training.batch=2", f"training.steps={STEPS}",
    f"training.checkpoint_every={EVERY}", "training.evaluate_every=6", "training.evaluate_batches=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def inputs(prepared) -> Inputs:
    return Inputs(**{name: artifact(prepared, name) for name in ("tokens", "tokenizer")})


def train(inputs, out: Path, *overrides: str, machine=MACHINE) -> None:
    mapping = compose([*TINY, *overrides])
    config = build(FitConfig, {name: mapping[name] for name in ("model", "training")})
    fit(config, inputs, out, World(0, 1, machine, log=Log, meter=meters.write_operations))


def steps_logged(out: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (out / checkpoint.LOG).read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "weights.part"
    train(inputs, out)
    return out


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("lines", range(STEPS + 1))
def test_training_goes_on_from_the_last_checkpoint_that_a_log_reaches(trained, inputs, tmp_path, capsys, lines, torn):
    out = tmp_path / "weights.part"
    shutil.copytree(trained, out)
    (out / "model.safetensors").unlink()
    whole = (out / checkpoint.LOG).read_bytes().splitlines(keepends=True)
    half = whole[lines][: len(whole[lines]) // 2] if torn and lines < STEPS else b""
    (out / checkpoint.LOG).write_bytes(b"".join(whole[:lines]) + half)
    train(inputs, out)
    reached = lines // EVERY * EVERY
    said = capsys.readouterr().err
    assert (f"going on after step {reached}" in said) == bool(reached)
    assert said.count("passed over a checkpoint") == (STEPS - reached) // EVERY
    assert steps_logged(out) == list(range(1, STEPS + 1))
    assert (out / checkpoint.LOG).read_bytes().startswith(b"".join(whole[:reached]))
    assert inventory(out) == inventory(trained)


def test_the_log_is_durable_before_each_checkpoint_that_builds_on_it(inputs, tmp_path, monkeypatch):
    out, durable, real = tmp_path / "weights.part", 0, os.fsync
    at_save: list[tuple[int, int]] = []

    def fsync(handle: int) -> None:
        nonlocal durable
        real(handle)
        if os.readlink(f"/proc/self/fd/{handle}") == str(out / checkpoint.LOG):
            durable = len(steps_logged(out))

    def save(directory: Path, state: checkpoint.Checkpoint, owner: dict) -> None:
        at_save.append((state.step, durable))
        checkpoint.save(directory, state, owner)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(loop, "save", save)
    train(inputs, out)
    assert [step for step, _ in at_save] == [2, 4, 6] and all(step <= logged for step, logged in at_save)


def test_checkpoints_of_a_lost_attempt_do_not_outlive_its_records(trained, inputs, tmp_path):
    out = tmp_path / "weights.part"
    shutil.copytree(trained, out)
    shutil.copytree(out / "checkpoints/step-000006", out / "resume/step-000005")
    whole = (out / checkpoint.LOG).read_bytes().splitlines(keepends=True)
    (out / checkpoint.LOG).write_bytes(b"".join(whole[:3]))
    refusal(train_until_it_diverges, inputs, out, match="stopped before the update")
    assert sorted(path.name for path in out.glob("*/step-*")) == ["step-000002"]


def train_until_it_diverges(inputs, out: Path, machine=MACHINE) -> None:
    """Train up to the fourth step, whose loss is not finite."""
    with pytest.MonkeyPatch.context() as patched:
        log = out / "witness/log.jsonl"
        diverged = lambda: log.exists() and len(steps_logged(out)) >= 3  # noqa: E731
        patched.setattr(loop, "all_reduce_gradients", lambda model, nats, *_: float("nan") if diverged() else nats)
        train(inputs, out, machine=machine)


@pytest.mark.parametrize("ending", ["not finite", "lost rank", "full disk", "second interrupt"])
def test_whatever_ends_the_training_the_records_are_closed(inputs, tmp_path, monkeypatch, ending):
    out, tracker = tmp_path / "weights.part", Tracker()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=tracker.init, Settings=dict))
    machine = dataclasses.replace(MACHINE, wandb="offline")
    logs: list[Log] = []
    init = Log.__init__
    monkeypatch.setattr(Log, "__init__", lambda self, *args: (logs.append(self), init(self, *args))[1])
    errors = RuntimeError("gloo"), OSError(28, "full"), KeyboardInterrupt()
    raised = dict(zip(("lost rank", "full disk", "second interrupt"), errors, strict=True))
    if ending == "not finite":
        refusal(train_until_it_diverges, inputs, out, machine, match="stopped before the update")
    else:
        monkeypatch.setattr(loop, "any_rank", raiser(raised[ending], after=3))
        refusal(train, inputs, out, machine=machine, error=type(raised[ending]))
    (took,) = map(json.loads, (out / "witness/resources.jsonl").read_text().splitlines())
    assert (took["from_step"], took["to_step"], steps_logged(out)) == (0, 3, [1, 2, 3])
    assert (
        tracker.kept[4:] == ["end"] and logs[0].file.closed and (out / "checkpoints/step-000002/state.json").is_file()
    )


def raiser(error: BaseException, after: int):
    """A function that answers False so many times and then raises."""
    calls: list[int] = []

    def call(*_) -> bool:
        calls.append(1)
        if len(calls) > after:
            raise error
        return False

    return call
