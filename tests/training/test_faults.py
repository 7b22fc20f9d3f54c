"""What can happen to a run: it ends with the bytes of one to which nothing happened, or in a line that says why not."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import warm as processes
from conftest import BEFORE, EACH, edit, wait_for

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
