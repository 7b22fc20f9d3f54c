"""Training elsewhere: refused in a line where it cannot be, laid in whole, and the same bytes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import emulate
import pytest

from train.commands.selftest import KNOWN
from train.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "emulate.py"


@pytest.mark.parametrize(("place", "said"), [
    ("Haswell", "qemu-x86_64 is not installed; on Debian `apt install qemu-user` brings it"),
    ("aarch64", "qemu-aarch64 is not installed; on Debian `apt install qemu-user` brings it"),
])  # fmt: skip
def test_a_place_without_its_emulator_is_refused_before_anything_is_made(tmp_path, place, said):
    line = [sys.executable, str(SCRIPT), "--on", place, "--cache", str(tmp_path / "cache")]
    done = subprocess.run(line, env={**os.environ, "PATH": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {said}\n")
    assert not (tmp_path / "cache").exists()


def test_processors_are_emulated_with_the_project_s_own_python(monkeypatch, tmp_path):
    monkeypatch.setattr(emulate.shutil, "which", lambda name: f"/bin/{name}" if name.endswith("-static") else None)
    line = ["/bin/qemu-x86_64-static", "-cpu", "EPYC-Rome", sys.executable]
    assert emulate.interpreter("EPYC-Rome", tmp_path) == (line, {})


def test_another_release_of_torch_lies_before_the_project_s(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(emulate, "install", lambda site, wanted: asked.append(wanted))
    for _ in range(2):  # it is laid in once
        line, variables = emulate.interpreter("torch==2.12.1", tmp_path)
        assert (line, variables) == ([sys.executable], {"PYTHONPATH": str(tmp_path / "torch==2.12.1")})
    assert asked == [["torch==2.12.1"]]


def test_what_was_laid_in_by_half_is_laid_in_anew(tmp_path):
    def half(folder):
        (folder / "one").touch()
        raise UserError("no network")

    def whole(folder):
        assert not any(folder.iterdir())
        (folder / "two").touch()

    with pytest.raises(UserError, match="no network"):
        emulate.laid(tmp_path / "root", half)
    assert [path.name for path in emulate.laid(tmp_path / "root", whole).iterdir()] == ["two"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["Haswell", "Skylake-Client", "EPYC-Rome", "aarch64"])
def test_the_same_bytes_are_trained_elsewhere(place, tmp_path):
    """Minutes each, under qemu; for aarch64 0.2 GB are downloaded, once."""
    if not any(map(shutil.which, ("qemu-x86_64", "qemu-x86_64-static"))):
        pytest.skip("without qemu-user")
    line = [sys.executable, str(SCRIPT), "--on", place, "--into", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = [path.read_text() for path in tmp_path.glob("*.txt")]
    assert len(written) == 2 and all(f"{KNOWN}: the same" in text for text in written)
