import json
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import torch

from train.config import UserError
from train.training.checkpoint import (
    Checkpoint,
    ForeignError,
    load,
    newest,
    read_tensors,
    restore,
    save,
    settle,
    thin,
    write_tensors,
)

OWNER = {"config": {"model": {"width": 8}, "training": {"seed": 0}}, "data": "d1"}


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, {"w": torch.full((2, 3), float(step))}, {"w.first": torch.arange(6.0).view(2, 3)})


@pytest.fixture
def two(tmp_path):
    for step in (10, 20):
        save(tmp_path / f"step-{step:06d}", checkpoint(step), OWNER)
    return sorted(tmp_path.iterdir())


def test_what_is_saved_is_loaded(two):
    found = load(two[1], OWNER)
    assert found.step == 20
    assert torch.equal(found.weights["w"], torch.full((2, 3), 20.0))
    assert torch.equal(found.optimizer["w.first"], torch.arange(6.0).view(2, 3))


def test_the_same_state_is_the_same_bytes_whatever_the_order_of_names(tmp_path):
    a, b = torch.ones(2), torch.zeros(3, 1)
    write_tensors(tmp_path / "one", {"a": a, "b": b})
    write_tensors(tmp_path / "two", {"b": b, "a": a})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_newest_is_taken(two):
    found, skipped = newest(two, OWNER)
    assert found == 20 and skipped == []
    assert newest([], OWNER) == (0, [])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda d: flip(d / "model.safetensors"), "changed since it was saved"),
        (lambda d: flip(d / "optimizer.safetensors"), "changed since it was saved"),
        (lambda d: (d / "optimizer.safetensors").unlink(), "missing"),
        (lambda d: (d / "state.json").unlink(), "cannot be read"),
        (lambda d: (d / "state.json").write_text('{"step": 20'), "cannot be read"),
        (lambda d: (d / "state.json").write_text('{"step": "x"}'), "not the state of a checkpoint"),
    ],
)
def test_a_damaged_one_is_passed_over_by_name(two, damage, line):
    damage(two[1])
    found, skipped = newest(two, OWNER)
    assert found == 10
    assert len(skipped) == 1 and line in str(skipped[0]) and "step-000020" in str(skipped[0])


def test_one_of_other_data_is_refused_by_name(two):
    with pytest.raises(ForeignError, match=r"another training \(data is 'd1' there and 'd2' here\)"):
        load(two[0], {**OWNER, "data": "d2"})
    other = {**OWNER, "config": {"model": {"width": 8}, "training": {"seed": 1}}}
    with pytest.raises(ForeignError, match=r"\(config\.training\.seed is 0 there and 1 here\)"):
        load(two[0], other)
    found, skipped = newest(two, other)
    assert found == 0 and [type(error) for error in skipped] == [ForeignError, ForeignError]


def test_restore_refuses_other_names_and_shapes():
    state = {"w.first": torch.zeros(2, 3)}
    restore(state, {"w.first": torch.ones(2, 3)})
    assert state["w.first"].sum() == 6
    with pytest.raises(ValueError, match="differs in"):
        restore(state, {})
    with pytest.raises(ValueError, match="shape"):
        restore(state, {"w.first": torch.ones(3, 2)})


def test_a_file_that_is_no_safetensors_is_named(tmp_path):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "lies").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    (tmp_path / "huge").write_bytes((2**60).to_bytes(8, "little"))
    for name in ("lies", "huge", "absent"):
        with pytest.raises(UserError, match=f"{name}: cannot be read as safetensors"):
            read_tensors(tmp_path / name)


def test_a_copy_is_no_longer_changed(two):
    weight = torch.ones(2)
    copy = Checkpoint(3, {"w": weight}, {"w.first": weight}).copy()
    weight.add_(1)
    assert copy.weights["w"].tolist() == copy.optimizer["w.first"].tolist() == [1, 1]


def test_of_saves_the_newest_stay(two):
    thin(two[0].parent, 5)
    assert all(path.is_dir() for path in two)
    thin(two[0].parent, 1)
    assert [path.is_dir() for path in two] == [False, True]


def test_what_fails_in_the_background_is_raised_by_the_next_look():
    def fail() -> None:
        raise OSError("no space")

    waiting: list[Future] = [Future()]
    settle(waiting, wait=False)
    assert len(waiting) == 1
    with ThreadPoolExecutor(1) as pool:
        saving = [pool.submit(lambda: None), pool.submit(fail)]
        with pytest.raises(OSError, match="no space"):
            settle(saving, wait=True)
    assert saving == []
