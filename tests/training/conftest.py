"""Short trainings of the real command, cheap enough to be killed many times, and what they must end with."""

import json
import shutil
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest
from conftest import ROOT, Command

SHORT = [
    "training.steps=12", "training.checkpoint_every=3", "training.evaluate_every=12", "training.batch=4",
    "model.layers=2", "model.width=32", "model.context=32", "machine.threads=1", "until=weights",
]  # fmt: skip

# Runs scripts/run.py again and again in children of a process that has everything imported: the same command, without
# the seconds before it. A child kills itself, as by `kill -9`, when it is about to fsync for the n-th time.
WARM = f"""
import json, os, runpy, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "scripts")!r}]
import hydra, train.pipeline
def fsync(handle):
    global left
    left -= 1
    os.kill(os.getpid(), {int(signal.SIGKILL)}) if left == 0 else real(handle)
for line in sys.stdin:
    left, output, sys.argv = json.loads(line)
    child = os.fork()
    if child == 0:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1), os.dup2(file, 2)
        real, os.fsync = os.fsync, fsync
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm(Command):
    """The command with a short training, as a child of the warm process."""

    @cached_property
    def process(self) -> subprocess.Popen:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-c", WARM], cwd=self.home, **pipes)

    def line(self, *overrides: str) -> list[str]:
        return super().line(*SHORT, *overrides)

    def begin(self, *overrides: str, fsync: int = 0) -> int:
        self.process.stdin.write(json.dumps([fsync, str(self.home / "said"), self.line(*overrides)]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self, status: int = 0) -> str:
        found, said = int(self.process.stdout.readline()), (self.home / "said").read_text()
        assert found == status and "Traceback" not in said, said
        return said

    def __call__(self, *overrides: str, status: int = 0, fsync: int = 0) -> str:
        self.begin(*overrides, fsync=fsync)
        return self.end(status)

    @property
    def part(self) -> Path:
        return next((self.home / "runs").glob("weights-*.part"))

    def begin_anew(self) -> None:
        for path in (self.home / "runs").glob("weights-*"):
            shutil.rmtree(path)


@pytest.fixture(scope="session")
def uninterrupted(prepared, tmp_path_factory) -> dict[str, dict]:
    """The products of the weights of recipe tiny, made by one rank of one thread."""
    home = tmp_path_factory.mktemp("uninterrupted") / "home"
    shutil.copytree(prepared, home)
    command = Command(home)
    command("until=weights", "machine.threads=1")
    return command.products()


@pytest.fixture(scope="session")
def warm_process(prepared, tmp_path_factory):
    home = tmp_path_factory.mktemp("faults") / "home"
    shutil.copytree(prepared, home)
    warm = Warm(home)
    yield warm
    warm.process.kill()


@pytest.fixture(scope="session")
def unharmed(warm_process):
    """The products of a short run to which nothing happened."""
    warm_process()
    return warm_process.products()


@pytest.fixture
def warm(warm_process, unharmed):
    """The warm process, with the weights to be made anew."""
    warm_process.begin_anew()
    return warm_process
