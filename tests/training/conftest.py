"""Short trainings of the real command, cheap enough to be killed many times, and what they must end with."""

import shutil
from pathlib import Path

import pytest
from conftest import Command

SHORT = [
    "training.steps=12", "training.checkpoint_every=3", "training.evaluate_every=12", "training.batch=4",
    "model.layers=2", "model.width=32", "model.context=32", "machine.threads=1", "until=weights",
]  # fmt: skip


class Warm(Command):
    """The command with a short training, which may kill itself when it is about to fsync for the n-th time."""

    def line(self, *overrides: str) -> list[str]:
        return super().line(*SHORT, *overrides)

    @property
    def part(self) -> Path:
        return next((self.home / "runs").glob("weights-*.part"))

    def begin_anew(self) -> None:
        for path in (self.home / "runs").glob("weights-*"):
            shutil.rmtree(path)


@pytest.fixture(scope="session")
def uninterrupted(prepared, once) -> dict[str, dict]:
    """The products of the weights of recipe tiny, made by one rank of one thread."""

    def make(home: Path) -> None:
        shutil.copytree(prepared, home, dirs_exist_ok=True)
        Command(home)("until=weights", "machine.threads=1")

    return Command(once("uninterrupted", make)).products()


@pytest.fixture(scope="session")
def warm_process(prepared, tmp_path_factory):
    home = tmp_path_factory.mktemp("faults") / "home"
    shutil.copytree(prepared, home)
    return Warm(home)


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
