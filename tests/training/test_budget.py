"""The dial: presets follow the rules, numbers follow the model, and what cannot fit is refused with what would."""

import dataclasses
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import warm
import yaml
from conftest import MACHINE, ROOT, refusal

from train.config import build
from train.errors import UserError
from train.model import ModelConfig, Transformer
from train.training import budget
from train.training.loop import FitConfig, TrainingConfig
from train.training.optimizer import Optimizer

MODEL = ModelConfig(3, 24, 4, 2, 10, 52, 16, 10000.0, 1e-6, True, 0.02, True)
MUON = yaml.safe_load((ROOT / "configs/training/muon.yaml").read_text())
FIT = FitConfig(MODEL, build(TrainingConfig, {**MUON, "steps": 7, "batch": 6, "checkpoint_every": 3}))
VOCABULARY = 300


@pytest.mark.parametrize(("name", "layers"), budget.PRESETS.items())
def test_each_size_stands_in_its_file_as_the_rules_give_it(name, layers):
    text = (ROOT / "configs/model" / f"{name}.yaml").read_text()
    found = budget.preset(layers)
    assert yaml.safe_load(text) == found and text.startswith("# @package _global_\n")
    model = build(ModelConfig, found["model"])
    weights = sum(out * into * number for (out, into), number in budget.shapes(model).items())
    seen = found["training"]["steps"] * found["training"]["batch"] * model.context
    assert seen / weights == pytest.approx(20, rel=0.01)  # Hoffmann et al.
    assert f"{weights / 1e6:,.1f} million" in text
    assert float(name[:-1]) * {"m": 1e6, "b": 1e9}[name[-1]] == pytest.approx(weights, rel=0.35)


def test_sizes_grow_and_learning_rates_fall():
    found = [budget.preset(layers) for layers in budget.PRESETS.values()]
    widths = [each["model"]["width"] for each in found]
    rates = [each["training"]["optimizer"]["learning_rate"] for each in found]
    assert widths == sorted(set(widths)) and rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_numbers_are_those_of_the_model_itself(tied, name):
    training = dataclasses.replace(FIT.training, optimizer=dataclasses.replace(FIT.training.optimizer, name=name))
    fit = FitConfig(dataclasses.replace(MODEL, tied_embeddings=tied), training)
    model = Transformer(fit.model, VOCABULARY)
    optimizer = Optimizer(model, training.optimizer, training.numerics)
    found = budget.needs(fit, VOCABULARY, 2)
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert found.tokens == 7 * 6 * 16 and found.flops == found.tokens * model.flops_per_token()
    state = sum(4 * tensor.numel() for tensor in optimizer.state.values())
    assert (found.weights, found.checkpoint, found.checkpoints) == (
        4 * found.parameters, 4 * found.parameters + state, 3,
    )  # fmt: skip
    assert found.disk == found.weights + 3 * found.checkpoint


def test_smaller_slices_take_less_memory_and_float64_more():
    exact = budget.needs(FIT, VOCABULARY, 1).memory
    assert budget.needs(FIT, VOCABULARY, 6).memory < exact
    numerics = dataclasses.replace(FIT.training.numerics, contract="pinned")
    pinned = FitConfig(MODEL, dataclasses.replace(FIT.training, numerics=numerics))
    assert budget.needs(pinned, VOCABULARY, 1).memory < exact


@pytest.mark.slow
def test_memory_is_about_what_a_step_takes():
    """In a process of its own, whose peak is read; large enough for the model to count."""
    script = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np, torch, yaml
from train.config import build
from train.model import ModelConfig, Transformer
from train.training import budget
from train.training.loop import FitConfig, TrainingConfig, gradients
from train.training.optimizer import Optimizer
torch.set_num_threads(1)
found = budget.preset(6)
training = yaml.safe_load(open({str(ROOT / "configs/training/muon.yaml")!r}))
fit = FitConfig(build(ModelConfig, found["model"]), build(TrainingConfig, {{**training, "steps": 2, "batch": 2}}))
model = fit.training.numerics.place(Transformer(fit.model, 512), "cpu", 2)
optimizer = Optimizer(model, fit.training.optimizer, fit.training.numerics)
gradients(model, np.zeros((2, fit.model.context + 1), int), 1)
optimizer.step(0, 2, optimizer.gradient_norm())
print(budget.needs(fit, 512, 1).memory, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    told, peak = map(int, done.stdout.split())
    assert 0.7 < told / peak < 1.4, (told, peak)


def test_what_does_not_fit_into_memory_is_refused_with_what_would(monkeypatch):
    large = FitConfig(build(ModelConfig, budget.preset(12)["model"]), dataclasses.replace(FIT.training, batch=64))
    whole = budget.needs(large, VOCABULARY, 1).memory
    monkeypatch.setattr(budget, "memory_of", lambda machine: whole - 1)
    with pytest.raises(UserError, match=r"takes about .* GiB of memory .* machine.micro_batches=2 would take"):
        budget.refuse(large, VOCABULARY, MACHINE)
    monkeypatch.setattr(budget, "memory_of", lambda machine: 1 << 30)
    refusal(budget.refuse, large, VOCABULARY, MACHINE, match=r"model=10m with machine.micro_batches=128 would take \d+")
    monkeypatch.setattr(budget, "memory_of", lambda machine: 1000)
    refusal(budget.refuse, large, VOCABULARY, MACHINE, match="no size that this pipeline knows would fit")
    endless = dataclasses.replace(large, training=dataclasses.replace(FIT.training, batch=10**15))
    refusal(budget.refuse, endless, VOCABULARY, MACHINE, match="no size that this pipeline knows would fit")
    monkeypatch.setattr(budget, "memory_of", lambda machine: whole)
    budget.refuse(large, VOCABULARY, MACHINE)


def test_what_does_not_fit_on_the_disk_is_refused_with_what_would(monkeypatch):
    found = budget.needs(FIT, VOCABULARY, 1)
    monkeypatch.setattr(budget, "memory_of", lambda machine: 1 << 40)
    monkeypatch.setattr(budget, "free_at", lambda folder: found.disk - 1)
    refusal(budget.refuse, FIT, VOCABULARY, MACHINE, match=r"runs: weights and 3 .*checkpoint_every=4 would keep 2")
    monkeypatch.setattr(budget, "free_at", lambda folder: 5)
    refusal(budget.refuse, FIT, VOCABULARY, MACHINE, match=r"5 B are free; a smaller model= takes less")
    monkeypatch.setattr(budget, "free_at", lambda folder: found.disk)
    budget.refuse(FIT, VOCABULARY, MACHINE)


@pytest.mark.parametrize(("free", "kept", "there", "full"), [
    ({"runs": 1.0, "releases": 1.0}, (True, True), 0, None),
    ({"runs": 0.9, "releases": 9.0}, (True, True), 0, "runs"),
    ({"runs": 9.0, "releases": 0.9}, (True, True), 0, "releases"),
    ({"runs": 1.0, "releases": 0.0}, (True, False), 0, None),  # until=weights
    ({"runs": 0.0, "releases": 0.9}, (False, True), 0, "releases"),  # the weights are made
    ({"runs": 0.5, "releases": 0.0}, (True, False), 0.5, None),  # half of it was made before it was interrupted
    ({"runs": 0.5, "releases": 0.0}, (True, False), 0.4, "runs"),
    ({"runs": 9.0, "releases": 0.9}, (True, True), 0.5, "releases"),  # of which nothing is there
    ({"runs": 0.0, "releases": 0.0}, (False, False), 0, None),  # all is made
])  # fmt: skip
def test_each_file_system_has_to_hold_them(monkeypatch, free, kept, there, full):
    one = budget.needs(FIT, VOCABULARY, 1).disk
    monkeypatch.setattr(budget, "existing", lambda folder: Other(folder.name))
    monkeypatch.setattr(budget, "free_at", lambda folder: math.ceil(free[folder.name] * one))
    wanted = budget.rooms(MACHINE, *kept, math.ceil(there * one))
    if full is None:
        budget.refuse_disk(FIT, VOCABULARY, wanted)
    else:
        refusal(budget.refuse_disk, FIT, VOCABULARY, wanted, match=f"^{full}: weights and 3 checkpoints take ")


def test_of_one_file_system_runs_and_releases_share_what_is_large(tmp_path):
    one = dataclasses.replace(MACHINE, runs=tmp_path / "runs", releases=tmp_path / "releases")
    assert budget.rooms(one) == [budget.Room(tmp_path / "runs")]


class Other(type(Path())):
    """A folder that can be written to, on a file system of its own."""

    def stat(self) -> SimpleNamespace:
        return SimpleNamespace(st_dev=self.name)

    def __fspath__(self) -> str:
        return "."


def test_a_folder_that_cannot_be_written_to_is_refused(monkeypatch, tmp_path):
    shut = tmp_path / "shut"
    shut.mkdir()
    monkeypatch.setattr(budget.os, "access", lambda folder, mode: folder != shut)
    with pytest.raises(UserError, match=r"shut/releases: .*shut cannot be written to; choose another"):
        budget.rooms(dataclasses.replace(MACHINE, runs=Path(os.devnull).parent / "shm", releases=shut / "releases"))


def test_a_gpu_that_is_not_here_is_planned_for_by_its_description(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(budget, "free_at", lambda folder: 1 << 60)
    large = FitConfig(build(ModelConfig, budget.preset(28)["model"]), FIT.training)
    said = budget.plan(large, VOCABULARY, dataclasses.replace(MACHINE, device="cuda"), 0)
    assert any(line.startswith("memory     about ") and line.endswith("; no GPU is here") for line in said)
    time = r"^time       about .* of training on an NVIDIA A100 at 30% of its 1\.95e\+13 FLOP/s"
    assert re.search(time, "\n".join(said), re.M)


def test_a_large_model_is_tried_in_part(monkeypatch):
    tried = []

    class Small(Transformer):
        def __init__(self, config, vocabulary):
            tried.append((config.layers, config.width))
            super().__init__(config, vocabulary)

    monkeypatch.setattr(budget, "Transformer", Small)
    monkeypatch.setattr(budget, "TRIAL", budget.needs(FIT, VOCABULARY, 1).flops / 7 / 6 * 0.7)  # 0.7 of a sequence
    assert budget.seconds_a_step(FIT, VOCABULARY, MACHINE, 0) > 0 and tried == [(2, 24)]


def dry_run(*overrides: str, at: Path, status: int = 0) -> str:
    words = ["--dry-run", "--seconds=0.1", "machine.threads=1", *overrides]
    return warm.command("release", *words, cwd=at, status=status)


def test_a_dry_run_tells_the_plan_and_writes_nothing(tmp_path):
    said = dry_run("recipe=tiny", at=tmp_path)
    assert re.search(r"^raw +to make +runs/raw-[0-9a-f]{8}$", said, re.M)
    for word in ("parameters", "tokens", "FLOPs", "memory", "time", "disk", "release", "passes"):
        assert re.search(rf"^{word} +\S", said, re.M), said
    assert "tokens     204,800 in 200 steps" in said and "not known before `tokens`" in said
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_what_fits_nowhere_is_one_line_and_status_1(tmp_path):
    said = dry_run("recipe=tiny", "model.layers=100000", "model.width=8192", at=tmp_path, status=1)
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "TiB of memory" in line and "model=" in line and "Traceback" not in said


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (ROOT / "configs/recipe").glob("*.yaml")))
def test_the_dial_holds_in_every_recipe_but_for_what_is_typed(recipe):
    from train.compose import compose, leaves

    wanted, found = budget.preset(6), compose([f"recipe={recipe}", "model=10m"])
    there = [*leaves({name: found[name] for name in wanted})]
    assert all(leaf in there for leaf in leaves(wanted))
    typed = compose([f"recipe={recipe}", "training.steps=77", "model=10m", "training.optimizer={warmup_steps:7}"])
    assert typed["training"] == found["training"] | {
        "steps": 77, "optimizer": found["training"]["optimizer"] | {"warmup_steps": 7},
    }  # fmt: skip
