"""What another stack means for a run, by the commands themselves."""

import json
import platform
import signal
import subprocess
import sys

import pytest
import torch
from conftest import MACHINE, ROOT

from train.training import numerics

PINNED = ["until=weights", "training.numerics.contract=pinned"]


@pytest.mark.slow
def test_a_run_that_another_stack_began_is_refused_naming_what_differs(command, killing):
    command(*PINNED, "machine.threads=1", before=[str(killing), "15"], status=-signal.SIGKILL)
    said = command(*PINNED, "machine.threads=2", status=1)
    assert "begun on another stack: threads was 1 and is 2" in said
    assert "going on after step 8" in command(*PINNED, "machine.threads=1")
    command(*PINNED, "machine.threads=2")  # what has ended stands in nobody's way


@pytest.mark.slow
def test_where_the_config_lets_it_a_run_changes_stacks_and_tells_them(command, killing):
    free = [*PINNED, "training.numerics.stack=any"]
    command(*free, "machine.threads=1", before=[str(killing), "15"], status=-signal.SIGKILL)
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
    line = [sys.executable, str(ROOT / "scripts" / "run.py"), "recipe=gpu", f"machine.runs={tmp_path / 'runs'}"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not (tmp_path / "runs").exists()
    assert done.stderr.startswith("error: machine.device: 'cuda' is asked for, but torch finds no GPU; use machine.")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("program", "line", "found"), [
    ("/usr/bin/qemu-x86_64", "qemu-x86_64 -cpu Haswell python run.py", "qemu-x86_64 Haswell"),
    ("/usr/libexec/qemu-binfmt/qemu-aarch64-static", "qemu-aarch64-static python", "qemu-aarch64-static"),
    ("/usr/bin/python3.11", "python run.py -cpu Haswell", None),
])  # fmt: skip
def test_the_processor_under_emulation_is_the_emulators(tmp_path, program, line, found):
    (tmp_path / "exe").symlink_to(program)
    (tmp_path / "cmdline").write_bytes(line.replace(" ", "\0").encode() + b"\0")
    assert numerics.emulator(tmp_path) == found and numerics.emulator(tmp_path / "nowhere") is None


def test_the_stack_holds_the_architecture():
    assert numerics.stack(MACHINE)["architecture"] == platform.machine()
