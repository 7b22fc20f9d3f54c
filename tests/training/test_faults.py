"""What can happen to a run: it ends with the bytes of one to which nothing happened, or in a line that says why not."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import warm as processes
from conftest import BEFORE, EACH, MACHINE, SMALL, artifact, edit, refusal, wait_for
from little import Tracker

from train.artifact import inventory
from train.compose import compose
from train.config import build
from train.training import checkpoint, loop, meters
from train.training.log import Log
from train.training.loop import FitConfig, fit
from train.world import Inputs, World

# What can happen to a run: it ends with the bytes of one to which nothing happened, or in a line that says why not


STEPS = 12
KILLS = int(os.environ.get("PELLUCID_KILLS", 3))  # 25 of them take minutes


def logged(runs: Path) -> int:
    """How many steps the log of a training tells."""
    log = next(runs.glob("weights-*/witness/log.jsonl"), None)
    return log.read_text().count("\n") if log and log.exists() else 0


def kill_at(warm, step: int, later: float) -> None:
    """Start a run and kill it `later` seconds after it has logged `step`."""
    child = warm.begin()
    wait_for(lambda: logged(warm.home / "runs") >= step)
    time.sleep(later)
    os.kill(child, signal.SIGKILL)
    processes.end()


def test_killed_at_any_moment_it_loses_nothing_before_the_last_checkpoint(warm, unharmed):
    chance, survived = random.Random(4), 0
    for number in range(KILLS):
        warm.begin_anew()
        if number % 2:  # mostly in mid-save, before a file or a folder is durable
            warm(fsync=chance.randrange(1, BEFORE + 4 * EACH + 2), status=-signal.SIGKILL)
        else:
            kill_at(warm, chance.randrange(0, STEPS), chance.random() * 0.05)
        saved = [int(path.name[-6:]) for path in (warm.home / "runs").glob("weights-*.part/checkpoints/step-*")]
        said = warm()
        assert ("going on after step" in said) == bool(saved)
        assert (not saved or f"going on after step {max(saved)}" in said) and warm.products() == unharmed
        survived += bool(saved)
    assert survived >= KILLS // 2


@pytest.mark.parametrize(("harm", "line"), [
    (lambda path: path.write_bytes(path.read_bytes()[:-9]), "optimizer.safetensors: missing, or changed since"),
    (lambda path: edit(path.parent / "state.json", "belongs_to", "data", to="0" * 64),
     "step-000009: belongs to another training (data is '000"),
])  # fmt: skip
def test_from_a_newest_checkpoint_that_is_no_good_it_falls_back_and_says_so(warm, unharmed, harm, line):
    warm(fsync=BEFORE + 3 * EACH + 3, status=-signal.SIGKILL)
    newest = sorted(warm.part.glob("checkpoints/step-*"))[-1]
    assert newest.name == "step-000009"
    harm(newest / "optimizer.safetensors")
    said = warm()
    (told,) = (text for text in said.splitlines() if "passed over a checkpoint" in text)
    assert line in told and "going on after step 6" in said and warm.products() == unharmed


def test_checkpoints_of_another_training_alone_are_refused_by_the_field_that_differs(warm):
    warm("model.hidden=96", fsync=BEFORE + EACH + 1, status=-signal.SIGKILL)
    other = warm.part
    warm(fsync=1, status=-signal.SIGKILL)
    (mine,) = (path for path in (warm.home / "runs").glob("weights-*.part") if path != other)
    shutil.copytree(other / "checkpoints", mine / "checkpoints", dirs_exist_ok=True)
    (line,) = (text for text in warm(status=1).splitlines() if text.startswith("error: "))
    assert "step-000003: belongs to another training (config.model.hidden is 96 there and" in line
    shutil.rmtree(mine / "checkpoints")
    assert "going on" not in warm()


def test_a_checkpoint_that_does_not_fit_the_model_is_refused_in_a_line(warm):
    from train.training.checkpoint import Checkpoint, load, save

    warm(fsync=BEFORE + EACH + 1, status=-signal.SIGKILL)
    (path,) = warm.part.glob("checkpoints/step-*")
    found, owner = load(path), json.loads((path / "state.json").read_text())["belongs_to"]
    save(path, Checkpoint(found.step, {"model.norm.weight": found.weights["model.norm.weight"]}, {}), owner)
    assert "error:" in (said := warm(status=1)) and "step-000003: does not fit the config" in said


def test_saves_between_checkpoints_are_gone_on_from_and_thinned_out(warm, unharmed):
    warm("machine.save_every=1", "machine.keep_saves=2", fsync=BEFORE + 6 * EACH + 3, status=-signal.SIGKILL)
    assert [path.name for path in sorted(warm.part.glob("resume/step-*"))] == ["step-000004", "step-000005"]
    assert "going on after step 6" in warm("machine.save_every=5") and warm.products() == unharmed
    assert not (warm.artifact("weights") / "resume").exists()


def test_a_full_disk_ends_in_a_line_and_costs_nothing_that_was_saved(warm, unharmed, tmp_path):
    runs = tmp_path / "small"
    runs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(runs)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs to mount a small file system")
    try:
        shutil.copytree(warm.home / "runs", runs, dirs_exist_ok=True)
        one = sum(entry["bytes"] for name, entry in unharmed.items() if "step-000003" in name)
        warm.begin(f"machine.runs={runs}")  # there is room enough, until somebody else takes it
        wait_for(lambda: list(runs.glob("weights-*.part/witness/stack.json")))
        (runs / "filler").write_bytes(bytes(shutil.disk_usage(runs).free - int(2.5 * one)))
        done = processes.end()
        said = done.stderr
        assert done.returncode == 1 and "no space left on the disk" in said and said.count("error: ") == 1
        assert sorted(path.name for path in runs.glob("weights-*/checkpoints/step-*")) == ["step-000003", "step-000006"]
        (runs / "filler").unlink()
        assert "going on after step 6" in warm(f"machine.runs={runs}")
        made = next(runs.glob("weights-*/manifest.json"))
        assert json.loads(made.read_text())["products"] == unharmed
    finally:
        subprocess.run(["umount", "--lazy", str(runs)], check=True)


def test_of_two_runs_at_once_one_trains_and_the_other_takes_over_when_it_dies(warm, unharmed):
    first = warm.begin("machine.save_every=1")
    wait_for(lambda: list((warm.home / "runs").glob("weights-*.part/witness")))
    os.kill(first, signal.SIGSTOP)  # it holds its turn
    second = warm.start()
    while "waiting for another process" not in (line := second.stdout.readline()):
        assert line
    os.kill(first, signal.SIGKILL)
    processes.end()
    out, err = second.communicate(timeout=240)
    assert second.returncode == 0, err
    assert "weights    made" in out and warm.products() == unharmed


# More steps: a training goes on from a shorter one with the same rates, and has the bytes of one from the start


STABLE = ["training.optimizer.schedule=warmup_stable_decay", "training.optimizer.warmup_steps=2", "training.steps=24"]


def test_a_longer_training_goes_on_from_a_shorter_one_and_has_the_bytes_of_one_from_the_start(warm):
    warm(*STABLE, "training.steps=18")
    told = warm(*STABLE)
    assert "goes on from step 12 of " in told and "of 18 steps, with the same rates up to step 14\n" in told
    (further,) = [path for path in (warm.home / "runs").glob("weights-*") if "24" in config_of(path)]
    products, records = further / "manifest.json", further / "witness/log.jsonl"
    products, steps = products.read_bytes(), [json.loads(line)["step"] for line in records.open()]
    warm.begin_anew()
    assert "goes on" not in warm(*STABLE)
    assert products == (warm.artifact("weights") / "manifest.json").read_bytes() and steps == list(range(1, 25))


def config_of(run) -> str:
    return str(json.loads((run / "manifest.json").read_text())["config"]["training"]["steps"])


def test_another_past_is_begun_anew_and_that_is_said(warm):
    cosine = [*STABLE, "training.optimizer.schedule=cosine", "training.optimizer.warmup_steps=1"]
    warm(*cosine, "training.steps=18")
    assert "18 steps, with the same rates up to step 2 (cosine), before its first checkpoint" in warm(*cosine)
    told = warm(*cosine, "training.seed=1")
    assert "begun anew" not in told and "goes on" not in told


def test_what_was_damaged_is_not_gone_on_from(warm):
    warm(*STABLE, "training.steps=18")
    (warm.artifact("weights") / "checkpoints/step-000012/model.safetensors").write_bytes(b"")
    assert "begun anew: " in warm(*STABLE)


# A training goes on only from what its records prove, and ends them whatever ends it ---------------------------------


STEPS_RESUME, EVERY = 6, 2
TINY = [
    *SMALL, "model.layers=1", "model.width=16", "training.batch=2", f"training.steps={STEPS_RESUME}",
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
@pytest.mark.parametrize("lines", range(STEPS_RESUME + 1))
def test_training_goes_on_from_the_last_checkpoint_that_a_log_reaches(trained, inputs, tmp_path, capsys, lines, torn):
    out = tmp_path / "weights.part"
    shutil.copytree(trained, out)
    (out / "model.safetensors").unlink()
    whole = (out / checkpoint.LOG).read_bytes().splitlines(keepends=True)
    half = whole[lines][: len(whole[lines]) // 2] if torn and lines < STEPS_RESUME else b""
    (out / checkpoint.LOG).write_bytes(b"".join(whole[:lines]) + half)
    train(inputs, out)
    reached = lines // EVERY * EVERY
    said = capsys.readouterr().err
    assert (f"going on after step {reached}" in said) == bool(reached)
    assert said.count("passed over a checkpoint") == (STEPS_RESUME - reached) // EVERY
    assert steps_logged(out) == list(range(1, STEPS_RESUME + 1))
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
