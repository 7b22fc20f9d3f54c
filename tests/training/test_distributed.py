"""Several processes that train together: the real command under torchrun."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import BEFORE, EACH, MACHINE, ROOT, wait_for
from torch.distributed import HashStore

from train.errors import UserError
from train.training import agreement
from train.training.loop import require_shares
from train.world import World

TORCHRUN = ["-m", "torch.distributed.run"]
PINNED = ["training.numerics.contract=pinned", "training.numerics.stack=any"]


def ranks(number: int, *more: str) -> list[str]:
    return [*TORCHRUN, "--standalone", "--nproc-per-node", str(number), *more]


def rank(parent: int, number: int) -> int:
    """The process of a rank below `parent`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, environment = (folder / "status").read_text(), (folder / "environ").read_bytes().split(b"\0")
            if f"\nPPid:\t{parent}\n" in status and f"RANK={number}".encode() in environment:
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no rank {number} below {parent}")


def first_checkpoint(command, process) -> None:
    there = lambda: list((command.home / "runs").glob("weights-*.part/checkpoints/step-*"))  # noqa: E731
    wait_for(lambda: there() or process.poll() is not None)
    assert process.poll() is None


PLAN = {"weights": {"config": {"stack": {"processor": "A"}}, "code": {"train/model.py": "0"}}}


@pytest.mark.parametrize(("own", "reason"), [
    (PLAN, None),
    ({"weights": {**PLAN["weights"], "config": {"stack": {"processor": "B"}}}},
     "rank 1 is unlike rank 0: weights.config.stack.processor is 'A' there and 'B' here. Each would wait"),
    ({"weights": {**PLAN["weights"], "code": {}}},
     "rank 1 is unlike rank 0: weights.code.train/model.py is '0' there and nothing here. Each"),
])  # fmt: skip
def test_ranks_that_would_make_other_things_are_refused_at_once_on_every_rank(monkeypatch, own, reason):
    store, plans = HashStore(), (PLAN, own, PLAN)
    monkeypatch.setattr(agreement, "store_for", lambda world, name: store)
    with ThreadPoolExecutor(3) as pool:
        worlds = [World(rank, 3, replace(MACHINE, patience=30)) for rank in range(3)]
        done = [pool.submit(agreement.require_agreement, *each) for each in zip(plans, worlds, strict=True)]
    told = [str(each.exception() or "") for each in done]
    assert [reason is not None and text.startswith(reason) for text in told] == [bool(reason), bool(reason), False]
    assert not told[2] and (reason or not any(told))


@pytest.mark.slow
def test_a_rank_of_four_that_dies_is_started_again_with_the_others_from_the_last_checkpoint(warm, unharmed):
    process = warm.start(before=ranks(4, "--max-restarts", "1"))
    first_checkpoint(warm, process)
    os.kill(rank(process.pid, 3), signal.SIGKILL)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "going on after step" in err and warm.products() == unharmed


@pytest.mark.slow
def test_two_nodes_that_meet_at_an_address_go_on_from_one_process_with_the_same_bytes(warm, unharmed):
    warm(fsync=BEFORE + EACH + 1, status=-signal.SIGKILL)
    with socket.create_server(("localhost", 0)) as server:
        meeting = f"localhost:{server.getsockname()[1]}"
    node = [*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=test"]
    nodes = [warm.start(before=[*node, f"--rdzv-endpoint={meeting}"]) for _ in range(2)]
    said = ""
    for process in nodes:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        said += err
    assert said.count("going on after step 3") == 1 and warm.products() == unharmed


@pytest.mark.slow
def test_asked_to_stop_two_ranks_save_the_same_step_from_which_one_goes_on(warm, unharmed, killing):
    # Asked from within, at the second save: whoever asks from outside may come after the last of its few steps.
    done = warm.anew(before=ranks(2, str(killing), f"{BEFORE + EACH + 1},{int(signal.SIGTERM)}"))
    assert done.returncode == 1 and "exitcode  : 143" in done.stderr
    reached = max(int(path.name[-6:]) for path in warm.part.glob("*/step-*"))
    assert f"going on after step {reached}" in warm() and warm.products() == unharmed


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], [*PINNED, "machine.sharded=true"]])
def test_a_rank_that_hangs_is_given_up_in_a_clear_line(warm, more):
    process = warm.start("machine.patience=5", "training.steps=2000", *more, before=ranks(2))
    first_checkpoint(warm, process)
    stuck = rank(process.pid, 1)
    os.kill(stuck, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 300
        said = ""
        while "gave no answer for 5 s" not in said and time.monotonic() < deadline:
            said += process.stderr.readline()
    finally:
        os.kill(stuck, signal.SIGKILL)
    process.communicate(timeout=300)
    assert "error: rank 0 of 2: another rank died, or gave no answer for 5 s" in said and process.returncode == 1


def test_a_batch_that_the_ranks_cannot_share_is_refused_in_one_line_before_any_work(warm, tmp_path):
    done = type(warm)(tmp_path).anew("machine.micro_batches=4", before=ranks(2))
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines == ["error: machine.micro_batches: 4 on each of 2 ranks does not divide training.batch (4)"]
    assert not (tmp_path / "runs").exists()


def test_by_the_file_for_slurm_two_ranks_make_the_data_once_and_the_bytes_of_one(warm, unharmed, tmp_path):
    """As on one node of a cluster, whose two programs stand in here."""
    file, new = ROOT / "docs/pellucid.sbatch", type(warm)(tmp_path)
    subprocess.run(["bash", "-n", str(file)], check=True)
    for name, does in (("srun", 'exec "$@"'), ("scontrol", "echo localhost")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    job = {"SLURM_JOB_NODELIST": "n[1-1]", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_ID": "7", "PROCESSES": "2"}
    env = {**os.environ, **job, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PORT": str(port), "PYTHON": sys.executable}
    line = ["bash", str(file), *new.line("machine.micro_batches=2", "machine.threads=2")[1:]]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for stage in ("raw", "documents", "benchmarks", "selected", "tokenizer", "tokens", "weights"):
        assert done.stdout.count(f"{stage:<10} made ") == 1
    assert " kept " not in done.stdout and "waiting" not in done.stdout
    assert new.products("tokens") == warm.products("tokens") and new.products() == unharmed
    assert json.loads((new.artifact("weights") / "witness" / "stack.json").read_text())["ranks"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("begin", [1, 2])
def test_another_number_of_ranks_goes_on_from_what_others_held(warm, unharmed, killing, begin):
    """One rank holds all, four hold shares: each goes on where two that hold shares, or the other, have stopped."""
    sharded = ["machine.sharded=true"]
    # Asked from within: whoever asks from outside may come after the last of its few steps.
    stopping = [str(killing), f"{BEFORE + EACH + 1},{int(signal.SIGTERM)}"]
    assert warm.anew(*sharded[: begin - 1], before=ranks(begin, *stopping)).returncode == 1
    assert "going on after step" in warm(*sharded, before=ranks(4)) and warm.products() == unharmed


def test_ranks_that_hold_a_share_each_make_the_bytes_of_one_that_holds_all(warm, unharmed):
    process = warm.start("machine.sharded=true", before=ranks(2, "--max-restarts", "1"))
    first_checkpoint(warm, process)
    os.kill(rank(process.pid, 1), signal.SIGKILL)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0 and "going on after step" in err, err
    assert warm.products() == unharmed


def test_shares_are_refused_where_there_is_nobody_to_share_with_and_where_their_mean_would_round(warm):
    for contract in ("exact", "pinned"):
        said = warm("machine.sharded=true", f"training.numerics.contract={contract}", status=1)
        assert said == "error: machine.sharded: needs several ranks (see torchrun), under exact 2, 4, 8 or so on\n"
    machine = replace(MACHINE, sharded=True)
    for exact, size, refused in ((True, 1, True), (True, 2, False), (True, 3, True), (False, 3, False)):
        training = SimpleNamespace(numerics=SimpleNamespace(exact=exact), batch=12)
        with pytest.raises(UserError, match="needs several ranks") if refused else nullcontext():
            require_shares(training, World(0, size, machine))
