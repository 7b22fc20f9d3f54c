"""What a run shows and what wandb gets: the same records, and no failure of a tracker that reaches the training."""

import dataclasses
import io
import json
import sys
import time
import types
from pathlib import Path

import pytest
import torch
from conftest import MACHINE
from little import MODEL as TINY

from train.model import Transformer
from train.training import meters
from train.training.log import Log

SHOWN = dataclasses.replace(MACHINE, progress="plain")
RECORDS = [{"step": step, "loss": 9.0 - step, "tokens_per_second": 1234.5, "batch": "ab"} for step in (1, 2, 3)]


def run(path: Path, machine=SHOWN, records=RECORDS, settings=None) -> list[dict]:
    """Keep `records`, the last of which is measured; what the log then holds."""
    log = Log(path, machine, 0, 3, settings or {})
    for record in records:
        log.record({**record, **({"held_out_loss": 6.5} if record["step"] == 3 else {})})
    log.products({"model.safetensors": "0" * 64})
    log.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_plain_lines_tell_step_smoothed_loss_speed_memory_and_time_left(tmp_path, capsys):
    run(tmp_path / "log.jsonl")
    (line,) = capsys.readouterr().err.splitlines()  # the last step; the others came within ten seconds
    # 0.1 x (6 + 0.9 x 7 + 0.81 x 8) / (1 - 0.9^3)
    assert line.startswith("  weights: step 3 of 3: loss 6.930, held out 6.500, 1,234 tokens/s, ")
    assert line.endswith(" GB, 0.0 s left") and "MFU" not in line and "\x1b" not in line


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_with_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "150")
    run(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, progress="auto"))
    last = terminal.getvalue().split("\r")[-1]
    assert "100 %" in last and "3/3 loss 6.930, held out 6.500, 1,234 tokens/s" in last


def test_nothing_is_shown_where_nothing_was_asked_for(tmp_path, capsys):
    run(tmp_path / "log.jsonl", MACHINE)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("peaks", "ranks", "mfu"), [
    ([2469.0], 1, [0.5, 0.5]),
    ([1234.5], 2, [0.5, 0.5]),
    ([600.0, 2469.0], 1, [0.5, 0.5]),  # it was taken on a busy machine, and is again
    ([600.0, 500.0], 1, [None, None]),  # of which nothing is said that cannot be
])  # fmt: skip
def test_mfu_is_a_share_of_the_most_that_was_measured(tmp_path, monkeypatch, capsys, peaks, ranks, mfu):
    model = Transformer(TINY, 31)
    measured = iter(peaks)
    monkeypatch.setattr("train.training.log.peak", lambda of: next(measured) * of.flops_per_token())
    log = Log(tmp_path / "log.jsonl", SHOWN, 0, 2, {})
    log.compare_with_peak(model, ranks)
    for record in RECORDS[:2]:
        log.record(dict(record))
    log.close()
    assert [json.loads(line).get("mfu") for line in (tmp_path / "log.jsonl").read_text().splitlines()] == mfu
    assert "MFU" not in capsys.readouterr().err  # a share of what depends on who else computes here: in the log alone


@pytest.mark.parametrize("low", [False, True])
def test_the_peak_is_the_best_over_the_types_and_shapes_that_the_model_multiplies(monkeypatch, low):
    model, tried = Transformer(TINY, 31).double(), {}
    model.low_precision = low
    monkeypatch.setattr(meters, "speed", lambda shape, like: tried.setdefault((shape, like.dtype), 7.0 + len(tried)))
    assert meters.peak(model) == 6.0 + len(tried)
    assert {kind for _, kind in tried} == ({torch.float64, torch.bfloat16} if low else {torch.float64})
    assert {shape for shape, _ in tried} == {
        (512, 512, 512), (1024, 12, 31), (1024, 12, 12), (1024, 12, 4), (1024, 12, 20), (1024, 20, 12),
    }  # fmt: skip


def test_a_speed_is_of_a_real_product():
    assert meters.speed((64, 64, 64), torch.zeros(1, dtype=torch.float64)) > 1e6


@pytest.mark.parametrize(("rates", "together"), [
    ([100.0], 100), ([100.0, 300.0], 150), ([5.0] * 30 + [200.0] * 20, 200), ([206.0, 3160.0, 206.0], 299),
])  # fmt: skip
@pytest.mark.parametrize("progress", ["plain", "auto"])
def test_speed_is_that_of_the_last_steps_together_on_lines_and_bar(tmp_path, monkeypatch, rates, together, progress):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "150")
    log = Log(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, progress=progress), 0, len(rates), {})
    for step, rate in enumerate(rates, 1):
        log.record({"step": step, "loss": 1.0, "tokens_per_second": rate})
    log.close()
    assert f"loss 1.000, {together} tokens/s, " in terminal.getvalue().replace("\r", "\n").splitlines()[-1]


class Broken:
    """A run of wandb that fails in one of its methods."""

    def __init__(self, where: str) -> None:
        self.where, self.logged, self.finished = where, [], False
        self.summary = self

    def _or_fail(self, where: str) -> None:
        if self.where == where:
            raise RuntimeError("no connection")

    def log(self, record, step):
        self._or_fail("log" if step == 2 else "")
        self.logged.append(record)

    def update(self, told):
        self._or_fail("update")

    def finish(self):
        self._or_fail("finish")


@pytest.mark.parametrize("where", ["init", "log", "update", "finish", None])
def test_a_tracker_that_fails_stops_nothing_and_is_told_once(tmp_path, monkeypatch, capsys, where):
    broken = Broken(where)

    def init(**settings):
        broken._or_fail("init")
        return broken

    fake = types.SimpleNamespace(init=init, Settings=lambda **settings: settings)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    found = run(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, wandb="online"))
    assert [record["step"] for record in found] == [1, 2, 3]
    assert capsys.readouterr().err.count("wandb does not work (no connection); training goes on") == bool(where)
    assert len(broken.logged) == {"init": 0, "log": 1}.get(where, 3)


def test_without_wandb_installed_training_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert len(run(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, wandb="offline"))) == 3
    assert "wandb does not work" in capsys.readouterr().err


def read_back(path: Path):
    """The records in a file of wandb: a log of LevelDB, 7 bytes of heading, then blocks of 32 KiB."""
    from wandb.proto import wandb_internal_pb2

    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if (rest := 32768 - place % 32768) < 7:
            place += rest
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def ended(path: Path) -> list:
    """The records in the file of a run that is over, which wandb's own process may still be writing."""
    from google.protobuf.message import DecodeError

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            records = list(read_back(path))
        except DecodeError:  # it is not whole yet
            records = []
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{path}: the run does not end")


def values(items) -> dict:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_an_offline_run_holds_the_same_records_the_config_and_the_digests(tmp_path):
    settings = {"training": {"steps": 3}, "digests": {"config": "1" * 64, "data": "2" * 64}}
    kept = run(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, wandb="offline"), settings=settings)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    steps, config, summary = [], {}, {}
    for record in ended(file):
        if record.WhichOneof("record_type") == "history":
            found = values(record.history.item)
            steps.append({name: value for name, value in found.items() if not name.startswith("_")})
        elif record.WhichOneof("record_type") == "run":
            config |= values(record.run.config.update)
        elif record.WhichOneof("record_type") == "summary":
            summary |= values(record.summary.update)
    assert steps == kept and {name: config[name] for name in settings} == settings
    assert summary["products"] == {"model.safetensors": "0" * 64}
