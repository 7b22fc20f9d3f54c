"""What a run shows, measures and hands to wandb."""

import dataclasses
import errno
import io
import json
import os
import sys
import types
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from conftest import MACHINE
from little import MODEL, Tracker
from little import MODEL as TINY

from train.model import Transformer
from train.training import meters
from train.training.log import Log

# What a run shows and what wandb gets: the same records, and no failure of a tracker that reaches the training -------


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


@pytest.mark.parametrize("where", ["init", "log", "update", "finish", None])
def test_a_tracker_gets_all_records_and_one_that_fails_stops_nothing_and_is_told_once(
    tmp_path, monkeypatch, capsys, where
):
    settings = {"training": {"steps": 3}, "digests": {"config": "1" * 64, "data": "2" * 64}}
    tracker = Tracker(where)
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=tracker.init, Settings=dict))
    found = run(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, wandb="online"), settings=settings)
    assert [record["step"] for record in found] == [1, 2, 3]
    assert capsys.readouterr().err.count("wandb does not work (no connection); training goes on") == bool(where)
    whole = [settings, *found, {"products": {"model.safetensors": "0" * 64}}, "end"]
    assert tracker.kept == whole[: {"init": 0, "log": 2, "update": 4, "finish": 5}.get(where, 6)]


def test_without_wandb_installed_training_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert len(run(tmp_path / "log.jsonl", dataclasses.replace(MACHINE, wandb="offline"))) == 3
    assert "wandb does not work" in capsys.readouterr().err


# meters --------------------------------------------------------------------------------------------------------------


def test_operations_by_formula_are_those_that_torch_counts():
    model = Transformer(MODEL, 50)
    found = meters.operations(model)
    assert found["counted"] == found["by_formula"] > 6 * 50 * 12
    assert all(p.device == torch.device("cpu") and p.grad is None for p in model.parameters())


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_peak_of_memory_is_in_bytes_on_every_system(monkeypatch, system, unit):
    monkeypatch.setattr(meters.sys, "platform", system)
    monkeypatch.setattr(meters.resource, "getrusage", lambda _: types.SimpleNamespace(ru_maxrss=5000))
    assert meters.peaks()["peak_bytes"] == 5000 * unit


def meter(folder, name, joules, most=1000.0):
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{int(joules * 1e6)}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{int(most * 1e6)}\n")


def test_energy_is_added_up_also_when_a_meter_has_gone_round(tmp_path, monkeypatch):
    read = meters.meters
    monkeypatch.setattr(meters, "meters", lambda: read(tmp_path))
    meter(tmp_path, "intel-rapl:0", 900.0)
    meter(tmp_path, "intel-rapl:0:0", 5.0)  # a part of the first one
    energy = meters.Energy()
    meter(tmp_path, "intel-rapl:0", 950.0)
    assert energy.read() == {"intel-rapl:0": 50.0}
    meter(tmp_path, "intel-rapl:0", 20.0)
    assert energy.read() == {"intel-rapl:0": 120.0}


def test_what_cannot_be_measured_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(meters, "meters", dict)
    assert meters.Energy().read() == meters.UNREADABLE


def test_each_process_that_trained_leaves_a_line_of_what_it_took(tmp_path):
    for start in (0, 2):
        log = Log(tmp_path / "log.jsonl", MACHINE, start, 4, {})
        for step in (start + 1, start + 2):
            log.record({"step": step, "loss": 1.0, "tokens_per_second": 1.0})
        log.close()
    first, second = map(json.loads, (tmp_path / "resources.jsonl").read_text().splitlines())
    assert (first["from_step"], first["to_step"]) == (0, 2) and (second["from_step"], second["to_step"]) == (2, 4)
    assert second["peak_bytes"] > 2**20 and second["seconds"] >= 0 and second["energy_joules"]


def test_a_disk_that_is_full_at_the_end_tears_no_line_and_is_told_by_its_file(tmp_path, monkeypatch):
    run(tmp_path / "log.jsonl")
    log, before = Log(tmp_path / "log.jsonl", MACHINE, 3, 3, {}), (tmp_path / "resources.jsonl").read_bytes()
    for end, name in ((log.sync, "log.jsonl"), (log.close, "resources.jsonl")):
        monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match="No space left") as caught:
            end()
        assert caught.value.filename == str(tmp_path / name)
    assert (tmp_path / "resources.jsonl").read_bytes() == before and log.file.closed
