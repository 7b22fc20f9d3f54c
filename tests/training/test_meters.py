import json
import types

import pytest
import torch
from conftest import MACHINE
from little import MODEL

from train.model import Transformer
from train.training import meters
from train.training.log import Log


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
