"""Several processes that train together: the real command under torchrun."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

TORCHRUN = ["-m", "torch.distributed.run"]


def ranks(number: int, *more: str) -> list[str]:
    return [*TORCHRUN, "--standalone", "--nproc-per-node", str(number), *more]


def rank(parent: int, number: int) -> int:
    """The process of a rank below `parent`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"\nPPid:\t{parent}\n" in (folder / "status").read_text() and (
                f"RANK={number}".encode() in (folder / "environ").read_bytes().split(b"\0")
            ):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no rank {number} below {parent}")


def first_checkpoint(command, process) -> None:
    deadline = time.monotonic() + 240
    while not list((command.home / "runs").glob("weights-*.part/checkpoints/step-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "micro_batches", "threads"), [(2, 4, 2), (4, 1, 1)])
def test_any_number_of_ranks_writes_the_same_bytes(command, uninterrupted, number, micro_batches, threads):
    how = (f"machine.micro_batches={micro_batches}", f"machine.threads={threads}")
    command("until=weights", *how, before=ranks(number))
    assert command.products() == uninterrupted
    assert json.loads((command.artifact("weights") / "witness" / "stack.json").read_text())["ranks"] == number


def test_two_ranks_make_the_data_once(tmp_path, command):
    new = type(command)(tmp_path)
    said = new("until=weights", "training.steps=2", before=ranks(2))
    for stage in ("raw", "documents", "benchmarks", "selected", "tokenizer", "tokens", "weights"):
        assert said.count(f"{stage:<10} made ") == 1
    assert " kept " not in said and "waiting" not in said
    assert new.products("tokens") == command.products("tokens")


@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 1)])
def test_killed_with_some_ranks_it_goes_on_with_others(command, uninterrupted, before, after):
    process = command.start("until=weights", before=ranks(before))
    first_checkpoint(command, process)
    for number in range(before):
        os.kill(rank(process.pid, number), signal.SIGKILL)
    process.communicate(timeout=240)
    said = command("until=weights", before=ranks(after))
    assert "going on after step" in said
    assert command.products() == uninterrupted


def test_a_rank_that_dies_is_started_again_with_the_others_from_the_last_checkpoint(command, uninterrupted):
    process = command.start("until=weights", before=ranks(4, "--max-restarts", "1"))
    first_checkpoint(command, process)
    os.kill(rank(process.pid, 3), signal.SIGKILL)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "going on after step" in err
    assert command.products() == uninterrupted


def test_two_nodes_that_meet_at_an_address_write_the_same_bytes(command, uninterrupted):
    with socket.create_server(("localhost", 0)) as server:
        meeting = f"localhost:{server.getsockname()[1]}"
    node = [*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=test"]
    nodes = [command.start("until=weights", before=[*node, f"--rdzv-endpoint={meeting}"]) for _ in range(2)]
    for process in nodes:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    assert command.products() == uninterrupted


def test_asked_to_stop_the_ranks_save_the_same_step(command, uninterrupted):
    process = command.start("until=weights", before=ranks(2))
    first_checkpoint(command, process)
    os.kill(rank(process.pid, 1), signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1 and "exitcode  : 143" in err
    assert len(list((command.home / "runs").glob("weights-*.part/*/step-*"))) >= 2
    command("until=weights", before=ranks(2))
    assert command.products() == uninterrupted


def test_a_rank_that_hangs_is_given_up_in_a_clear_line(command):
    process = command.start("until=weights", "machine.patience=5", before=ranks(2))
    first_checkpoint(command, process)
    stuck = rank(process.pid, 1)
    os.kill(stuck, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 120
        said = ""
        while "gave no answer for 5 s" not in said and time.monotonic() < deadline:
            said += process.stderr.readline()
    finally:
        os.kill(stuck, signal.SIGKILL)
    process.communicate(timeout=120)
    assert "error: rank 0 of 2: another rank died, or gave no answer for 5 s" in said
    assert process.returncode == 1


def test_a_batch_that_the_ranks_cannot_share_is_refused_in_one_line_before_any_work(tmp_path, command):
    new = type(command)(tmp_path)
    process = new.start("until=weights", "machine.micro_batches=2", before=ranks(3))
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert lines == ["error: machine.micro_batches: 2 on each of 3 ranks does not divide training.batch (16)"]
    assert not (tmp_path / "runs").exists()
