"""Any number of workers, in processes or on a cluster, one after another or killed on the way: the same bytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import warm
from conftest import MACHINE, recorded, refusal, wait_for
from stages import fail

from train.artifact import inventory, write_json
from train.data.documents import DocumentsConfig, extract
from train.errors import UserError
from train.pipeline import SHARED
from train.programs import uninterrupted
from train.workers import work
from train.world import Inputs, World

CONFIG = DocumentsConfig(formats={"txt": "plain"})


def raw(folder: Path, sources: int = 5) -> Inputs:
    """An artifact `raw` of some sources, each of another size."""
    records = []
    for number in range(sources):
        slug = f"generic-source-{number}-1"
        files = {"LICENSE": "Do as you like.\n", **{f"{n}.txt": f"{slug} says {n}\n" * 9 for n in range(number + 1)}}
        for path, text in files.items():
            (folder / slug).mkdir(parents=True, exist_ok=True)
            (folder / slug / path).write_text(text)
        listed = [{"path": path, "sha256": "0" * 64, "bytes": 9} for path in files]
        records.append(recorded(slug, purl=f"pkg:generic/source-{number}@1", files=listed))
    write_json(folder / "sources.json", records)
    return Inputs(raw=folder)


@pytest.mark.parametrize("size", [2, 7])
def test_processes_and_one_after_another_in_reverse_write_the_same_bytes(tmp_path, size):
    inputs = raw(tmp_path / "raw")
    for name, workers in (("one", 1), ("many", size)):
        work(extract, CONFIG, inputs, tmp_path / name, replace(MACHINE, workers=workers))
    for world in [*(World(rank, size, MACHINE) for rank in reversed(range(size))), World(0, 1, MACHINE)]:
        assert not (tmp_path / "reverse/counts.json").exists()
        extract(CONFIG, inputs, tmp_path / "reverse", world)
    one = inventory(tmp_path / "one")
    assert len(one) == 5 + 5 + 5 + 1 + 1  # texts, what was left out, counts, their sum, the licence
    assert inventory(tmp_path / "many") == inventory(tmp_path / "reverse") == one


@pytest.mark.parametrize("workers", [2, *(pytest.param(number, marks=pytest.mark.slow) for number in (3, 7))])
def test_manifests_are_the_same_for_any_number_of_workers(command, workers):
    stages = SHARED
    wanted = {stage: (command.artifact(stage) / "manifest.json").read_bytes() for stage in stages}
    for stage in stages:
        shutil.rmtree(command.artifact(stage))
    command("until=tokens", f"machine.workers={workers}")
    assert {stage: (command.artifact(stage) / "manifest.json").read_bytes() for stage in stages} == wanted


@pytest.mark.parametrize(("how", "error", "line"), [
    ("mendable", UserError, r"^part 1: is empty\Z"),
    ("full", OSError, "No space left"),
    ("killed", UserError, "^out: a worker was killed .* run the same command again$"),
    ("mistaken", KeyError, "in fail"),
])  # fmt: skip
def test_a_failure_of_one_ends_all_and_is_raised_here(tmp_path, how, error, line):
    began = time.monotonic()
    refusal(work, fail, how, {}, tmp_path / "out", replace(MACHINE, workers=2), match=line, error=error)
    assert time.monotonic() - began < 120  # not the 300 s of the first worker
    wait_for(lambda: gone(json.loads((tmp_path / "out" / "0.json").read_text())), 60)


def gone(process: int) -> bool:
    """Whether a process has ended."""
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


PROGRAM = """
import sys
import threading
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from conftest import MACHINE
from stages import wait
from train.terminal import guarded
from train.workers import work
from dataclasses import replace
if __name__ == "__main__":
    guarded(lambda arguments: work(wait, "", {}, Path(arguments[0]), replace(MACHINE, workers=2)), sys.argv[3:])
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_when_the_command_is_stopped_no_worker_outlives_it(tmp_path, number, status):
    (tmp_path / "program.py").write_text(PROGRAM)
    here = Path(__file__).parent
    line = [sys.executable, "program.py", str(here), str(here.parent), "out"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    marks = [tmp_path / "out" / f"{rank}.json" for rank in range(2)]
    wait_for(lambda: all(mark.exists() for mark in marks))
    workers = [json.loads(mark.read_text()) for mark in marks]
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status and wait_for(lambda: all(map(gone, workers)), 60)
    assert said.count("\n") == (2 if number == signal.SIGINT else 0) and "Traceback" not in said


def test_an_interrupt_while_workers_begin_waits_until_all_have_though_another_thread_takes_it():
    begun, end = [], threading.Event()
    threading.Thread(target=end.wait, daemon=True).start()  # which does not block the signal
    with pytest.raises(KeyboardInterrupt), uninterrupted(signal.SIGINT):
        os.kill(os.getpid(), signal.SIGINT)
        begun += [time.sleep(0.01) for _ in range(3)]
    assert len(begun) == 3 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    end.set()


def test_after_a_killed_worker_the_same_command_goes_on(command):
    wanted = (command.artifact("selected") / "manifest.json").read_bytes()
    shutil.rmtree(command.artifact("selected"))
    process = command.begin("until=selected", "machine.workers=3")
    os.kill(wait_for(lambda: children(process))[-1], signal.SIGKILL)
    done = warm.end()
    assert done.returncode == 1 and "a worker was killed" in done.stderr and done.stderr.startswith("error: selected-")
    assert not list((command.home / "runs").glob("selected-????????"))
    command("until=selected", "machine.workers=2")
    assert (command.artifact("selected") / "manifest.json").read_bytes() == wanted
    names = sorted(path.name for path in (command.artifact("selected") / "witness").iterdir())
    assert names == ["commitment.json", "run.json"]


def children(process: int) -> list[int]:
    """The workers of a command (`spawn_main` is on their command lines)."""
    found = []
    for path in Path(f"/proc/{process}/task/{process}").glob("children"):
        for child in path.read_text().split():
            line = Path(f"/proc/{child}/cmdline")
            if line.exists() and b"spawn_main" in line.read_bytes():
                found.append(int(child))
    return found


def test_only_the_first_of_several_workers_shows_how_far_it_is(capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    for rank in range(3):
        assert list(World(rank, 3, replace(MACHINE, progress="plain")).track("ab", "letters")) == ["a", "b"]
    assert capsys.readouterr().err.splitlines()[0] == "  letters by worker 1 of 3: 0 of 2"


def until_another_waits(config: DocumentsConfig, inputs: Inputs, out: Path, world: World) -> None:
    """`extract`, but that a worker first says on which node it is, and the first to come waits until it is killed."""
    import ray

    if world.size == 1:  # at the end, here
        extract(config, inputs, out, world)
        return
    node = ray.get_runtime_context().get_node_id()
    write_json(inputs.raw.parent / "seen" / f"{world.rank}-{time.time_ns()}.json", [node, os.getpid()])
    try:
        (inputs.raw.parent / "waiting").mkdir()
    except FileExistsError:
        extract(config, inputs, out, world)
        return
    write_json(inputs.raw.parent / "waits.json", node)
    time.sleep(300)


def test_on_a_cluster_that_loses_a_node_in_mid_work_the_same_bytes(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    inputs = raw(tmp_path / "raw")
    work(extract, CONFIG, inputs, tmp_path / "one", MACHINE)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # for the nodes: the stage of this test is here
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)

    def kill() -> None:
        wait_for((tmp_path / "waits.json").exists)
        waits = json.loads((tmp_path / "waits.json").read_text())
        (node,) = (node for node in nodes if node.node_id == waits)
        cluster.remove_node(node, allow_graceful=False)

    try:
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        work(until_another_waits, CONFIG, inputs, tmp_path / "ray", replace(MACHINE, workers=4, engine="ray"))
        killer.join(timeout=60)
    finally:
        cluster.shutdown()
    assert inventory(tmp_path / "ray") == inventory(tmp_path / "one")
    seen = [json.loads(path.read_text())[0] for path in (tmp_path / "seen").iterdir()]
    assert len(seen) > 4 and len(set(seen)) == 2  # some part was begun twice, and both nodes have worked


def test_on_a_cluster_a_failure_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UserError, match=r"sources.json: cannot be read as JSON"):
        work(extract, CONFIG, Inputs(raw=tmp_path), tmp_path / "out", replace(MACHINE, workers=2, engine="ray"))


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    refusal(work, extract, CONFIG, {}, tmp_path, replace(MACHINE, engine="ray"), match="install the extra `cluster`")
