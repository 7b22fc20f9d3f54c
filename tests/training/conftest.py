"""One training without interruption, whose bytes every other must reach."""

import shutil

import pytest
from conftest import Command


@pytest.fixture(scope="session")
def uninterrupted(prepared, tmp_path_factory) -> dict[str, dict]:
    """The products of the weights, made by one rank of one thread."""
    home = tmp_path_factory.mktemp("uninterrupted") / "home"
    shutil.copytree(prepared, home)
    command = Command(home)
    command("until=weights", "machine.threads=1")
    return command.products()
