"""What another stack means for a run, by the commands themselves; what `fast` computes in."""

import json
import platform
import resource
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
import warm
from conftest import BEFORE, EACH, MACHINE
from little import MODEL

from train.model import Transformer
from train.training import numerics
from train.training.loop import gradients
from train.training.numerics import NumericsConfig

PINNED = ["until=weights", "training.numerics.contract=pinned"]


@pytest.mark.slow
def test_a_run_that_another_stack_began_is_refused_naming_what_differs(command):
    command(*PINNED, "machine.threads=1", fsync=BEFORE + EACH + 1, status=-signal.SIGKILL)
    said = command(*PINNED, "machine.threads=2", status=1)
    assert "begun on another stack: threads was 1 and is 2" in said
    assert "going on after step 8" in command(*PINNED, "machine.threads=1")
    command(*PINNED, "machine.threads=2")  # what has ended stands in nobody's way


@pytest.mark.slow
def test_where_the_config_lets_it_a_run_changes_stacks_and_tells_them(command):
    free = [*PINNED, "training.numerics.stack=any"]
    command(*free, "machine.threads=1", fsync=BEFORE + EACH + 1, status=-signal.SIGKILL)
    assert "going on after step 8" in command(*free, "machine.threads=2")
    stack = json.loads((command.artifact("weights") / "witness" / "stack.json").read_text())
    assert stack["threads"] == 2 and [each["threads"] for each in stack["earlier"]] == [1]
    assert "stack" not in json.loads((command.artifact("weights") / "manifest.json").read_text())["config"]


def test_fast_trains_and_records_what_it_took(command):
    command("until=weights", "training.numerics.contract=fast", "machine.threads=1")
    witness = command.artifact("weights") / "witness"
    records = [json.loads(line) for line in (witness / "log.jsonl").open()]
    assert records[-1]["loss"] < records[0]["loss"] - 1
    assert {"learning_rate", "matrix_learning_rate", "gradient_norm", "tokens", "seconds"} <= records[0].keys()
    assert "update_to_weight" in records[0] and "update_to_weight" not in records[1]
    (took,) = map(json.loads, (witness / "resources.jsonl").open())
    assert took["to_step"] == len(records) and took["peak_bytes"] > 2**26
    operations = json.loads((witness / "operations.json").read_text())
    assert operations["counted"] == operations["by_formula"]


def test_a_recipe_for_a_gpu_is_refused_before_any_work_where_there_is_none(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    said = warm.command("release", "recipe=gpu", f"machine.runs={tmp_path / 'runs'}", status=1)
    assert said.startswith("error: machine.device: 'cuda' is asked for, but torch finds no GPU; use machine.")
    assert said.count("\n") == 1 and not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("program", "line", "found"), [
    ("/usr/bin/qemu-x86_64", "qemu-x86_64 -cpu Haswell python run.py", "qemu-x86_64 Haswell"),
    ("/usr/libexec/qemu-binfmt/qemu-aarch64-static", "qemu-aarch64-static python", "qemu-aarch64-static"),
    ("/usr/bin/python3.11", "python run.py -cpu Haswell", None),
])  # fmt: skip
def test_the_processor_under_emulation_is_the_emulators(tmp_path, program, line, found):
    (tmp_path / "exe").symlink_to(program)
    (tmp_path / "cmdline").write_bytes(line.replace(" ", "\0").encode() + b"\0")
    assert numerics.emulator(tmp_path) == found and numerics.emulator(tmp_path / "nowhere") is None


def test_fast_computes_products_in_bfloat16_where_there_are_instructions_and_keeps_its_state_in_float32(monkeypatch):
    batch = np.random.default_rng(0).integers(0, 50, (4, 9))
    found = {}
    for contract, there in (("pinned", True), ("fast", False), ("fast", True)):
        monkeypatch.setattr("train.training.numerics.has_bfloat16", lambda device, there=there: there)
        model = NumericsConfig(contract, "same", 256).place(
            Transformer(replace(MODEL, init_std=0.02), 50, seed=3), "cpu"
        )
        loss = gradients(model, batch, 2)
        assert all(p.dtype == p.grad.dtype == torch.float32 for p in model.parameters())
        found[contract, there] = (loss, torch.cat([p.grad.flatten() for p in model.parameters()]))
    exact, same, low = found.values()
    assert same[0] == exact[0] and torch.equal(same[1], exact[1])
    assert low[0] != exact[0] and abs(low[0] - exact[0]) < 0.01 * exact[0]
    assert 0 < (low[1] - exact[1]).norm() < 0.03 * exact[1].norm()


def test_the_stack_holds_the_architecture():
    assert numerics.stack(MACHINE)["architecture"] == platform.machine()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets GNU's C library up")
def test_memory_of_freed_tensors_is_used_again_without_new_pages():
    numerics.prepare(MACHINE)
    faults = []
    for _ in range(5):  # the first ones may fall into gaps between others
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**24)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 100
