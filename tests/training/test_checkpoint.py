import json
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch
from conftest import refusal

from train.training import checkpoint as checkpoints
from train.training.checkpoint import LOG, Checkpoint, ForeignError, load, log_lines, newest, save, settle

OWNER = {"config": {"model": {"width": 8}, "training": {"seed": 0}}, "data": "d1"}


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"w": torch.full((2, 3), float(step))}, {"w.first": torch.arange(6.0).view(2, 3)})


def write_log(run, steps) -> None:
    (run / LOG).parent.mkdir(exist_ok=True)
    (run / LOG).write_text("".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in steps))


@pytest.fixture
def two(tmp_path):
    write_log(tmp_path, range(1, 24))
    for step in (10, 20):
        save(tmp_path / "checkpoints" / f"step-{step:06d}", checkpoint(step), OWNER)
    return sorted(tmp_path.glob("checkpoints/*"))


def test_what_is_saved_is_loaded_the_same_bytes_whatever_the_order_of_names_and_a_copy_no_longer_changed(two, tmp_path):
    found = load(two[1], OWNER)
    assert found.step == 20 and torch.equal(found.weights["w"], torch.full((2, 3), 20.0))
    assert torch.equal(found.optimizer["w.first"], torch.arange(6.0).view(2, 3))
    state = {"a": torch.ones(2), "b": torch.zeros(3, 1)}
    checkpoints.write_tensors(tmp_path / "one", state)
    checkpoints.write_tensors(tmp_path / "two", dict(reversed(state.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    copy = Checkpoint(3, state, state).copy()
    state["a"].add_(1)
    assert copy.weights["a"].tolist() == copy.optimizer["a"].tolist() == [1, 1]


def test_the_newest_is_taken_and_stays(two, tmp_path):
    assert newest(tmp_path, OWNER) == (20, [])
    save(tmp_path / "resume" / "step-000022", checkpoint(22), OWNER)
    assert newest(tmp_path, OWNER) == (22, []) and newest(tmp_path / "nowhere", OWNER) == (0, [])
    checkpoints.thin(two[0].parent, 5)
    assert all(path.is_dir() for path in two)
    checkpoints.thin(two[0].parent, 1)
    assert [path.is_dir() for path in two] == [False, True]


@pytest.mark.parametrize(("steps", "reached", "whole"), [
    (range(1, 21), 20, 20),
    (range(1, 20), 10, 19),
    (range(1, 11), 10, 10),
    (range(1, 10), 0, 9),
    ((), 0, 0),
    (None, 0, 0),
    ((*range(1, 15), *range(16, 30)), 10, 14),  # a gap
    ((*range(1, 13), *range(12, 30)), 10, 12),  # a step twice
    (range(2, 30), 0, 0),
])  # fmt: skip
def test_one_without_the_log_of_all_its_steps_is_passed_over(two, tmp_path, steps, reached, whole):
    (tmp_path / LOG).unlink() if steps is None else write_log(tmp_path, steps)
    found, skipped = newest(tmp_path, OWNER)
    assert found == reached and len(skipped) == (20 - reached) // 10
    assert all(f"log.jsonl is whole up to step {whole} only" in str(error) for error in skipped)


@pytest.mark.parametrize("line", ["{", "", "[]", "3", '{"loss": 1}', '{"step": "15"}', "[" * 100000, "\0" * 4096])
def test_a_log_ends_where_a_line_is_no_record(two, tmp_path, line):
    lines = (tmp_path / LOG).read_text().split("\n")
    (tmp_path / LOG).write_text("\n".join([*lines[:14], line, *lines[15:]]))
    assert len(log_lines(tmp_path / LOG)) == 14 and newest(tmp_path, OWNER)[0] == 10


def test_what_a_killed_process_left_is_cleared_by_the_next_save_of_any_step(tmp_path):
    (tmp_path / ".saving.tmp").mkdir()
    (tmp_path / ".saving.tmp" / "model.safetensors").write_bytes(b"half")
    save(tmp_path / "step-000030", checkpoint(30), OWNER)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000030"]


def test_a_save_that_fails_leaves_nothing_behind_and_the_one_that_was_there(two, monkeypatch):
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("train.training.checkpoint.write_json", full)
    refusal(save, two[1], checkpoint(20), OWNER, match="No space", error=OSError)
    assert sorted(two[1].parent.iterdir()) == two and load(two[1], OWNER).step == 20


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(("damage", "line"), [
    (lambda d: flip(d / "model.safetensors"), "changed since it was saved"),
    (lambda d: (d / "model.safetensors").write_bytes((d / "model.safetensors").read_bytes()[:-9]), "changed since it"),
    (lambda d: flip(d / "optimizer.safetensors"), "changed since it was saved"),
    (lambda d: (d / "optimizer.safetensors").unlink(), "missing"),
    (lambda d: (d / "state.json").unlink(), "cannot be read"),
    (lambda d: (d / "state.json").write_text('{"step": 20'), "cannot be read"),
    (lambda d: (d / "state.json").write_text('{"step": "x"}'), r"step: expected int, got 'x'; belongs_to: missing"),
])  # fmt: skip
def test_a_damaged_one_is_passed_over_by_name(two, tmp_path, damage, line):
    damage(two[1])
    found, skipped = newest(tmp_path, OWNER)
    assert found == 10 and len(skipped) == 1 and line in str(skipped[0]) and "step-000020" in str(skipped[0])


def test_one_of_other_data_is_refused_by_name(two, tmp_path):
    refusal(load, two[0], {**OWNER, "data": "d2"}, match=r"data is 'd1' there and 'd2' here", error=ForeignError)
    other = {**OWNER, "config": {"model": {"width": 8}, "training": {"seed": 1}}}
    refusal(load, two[0], other, match=r"\(config\.training\.seed is 0 there and 1 here\)", error=ForeignError)
    found, skipped = newest(tmp_path, other)
    assert found == 0 and [type(error) for error in skipped] == [ForeignError, ForeignError]


def test_restore_refuses_other_names_and_shapes():
    state = {"w.first": torch.zeros(2, 3)}
    checkpoints.restore(state, {"w.first": torch.ones(2, 3)})
    assert state["w.first"].sum() == 6
    refusal(checkpoints.restore, state, {}, match="differs in", error=ValueError)
    refusal(checkpoints.restore, state, {"w.first": torch.ones(3, 2)}, match="shape", error=ValueError)


def test_a_file_that_is_no_safetensors_is_named(tmp_path):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "lies").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    (tmp_path / "huge").write_bytes((2**60).to_bytes(8, "little"))
    for name in ("lies", "huge", "absent"):
        refusal(checkpoints.read_tensors, tmp_path / name, match=f"{name}: cannot be read as safetensors")


def test_what_fails_in_the_background_is_raised_by_the_next_look():
    def fail() -> None:
        raise OSError("no space")

    waiting: list[Future] = [Future()]
    settle(waiting, wait=False)
    assert len(waiting) == 1
    with ThreadPoolExecutor(1) as pool:
        saving = [pool.submit(lambda: None), pool.submit(fail)]
        refusal(settle, saving, wait=True, match="no space", error=OSError)
    assert saving == []
