"""A release is placed under its name whole, beside nothing and over nothing; large files are stored once."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from conftest import ROOT, artifact, failure, refusal

from train.artifact import read_json, write_json
from train.layout import ARTIFACTS
from train.release import delivery, sharing
from train.release.bundle import require_lock, write_manifest
from train.release.lock import pins
from train.release.verify.run import require, verify


@pytest.fixture
def packed(tmp_path) -> Path:
    """A folder like a packed release, without most of it."""
    folder = tmp_path / "runs/release-1/release"
    (folder / "code").mkdir(parents=True)
    write_json(folder / "code/config.json", {"training": {"steps": 4}, "name": "tiny"})
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("a card")
    write_manifest(folder)
    return folder


def another(packed: Path, place: Path) -> None:
    shutil.copytree(packed, place)
    (place / "README.md").write_text("another card")
    write_manifest(place)
    (place / "NOTES.txt").write_text("mine")


STANDING = {
    "another release": another,
    "a folder with notes": lambda packed, place: (place.mkdir(), (place / "notes").write_text("x")),
    "a folder with an empty one": lambda packed, place: (place / "x").mkdir(parents=True),
    "a hidden file": lambda packed, place: (place.mkdir(), (place / ".keep").write_text("")),
    "a file": lambda packed, place: place.write_text("x"),
    "a link to nowhere": lambda packed, place: place.symlink_to("nowhere"),
    "a link to a file": lambda packed, place: ((place.parent / "f").write_text("x"), place.symlink_to("f")),
    "a link to an empty folder": lambda packed, place: ((place.parent / "e").mkdir(), place.symlink_to("e")),
    "a torn manifest": lambda packed, place: (place.mkdir(), (place / "MANIFEST.json").write_text('{"identity": ')),
    "a manifest of another form": lambda packed, place: (place.mkdir(), (place / "MANIFEST.json").write_text("[]")),
    "a manifest that is a folder": lambda packed, place: (place / "MANIFEST.json/x").mkdir(parents=True),
    "a pipe": lambda packed, place: os.mkfifo(place),
}  # fmt: skip


def contents(folder: Path) -> dict[str, object]:
    """Every path below a folder with what it is, links and bytes."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else
        path.read_bytes() if path.is_file() else stat.S_IFMT(path.lstat().st_mode)
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


@pytest.mark.parametrize("what", STANDING)
def test_nothing_that_stands_under_the_name_is_touched(what, packed, tmp_path):
    place = tmp_path / "releases/tiny-0.1.0"
    place.parent.mkdir()
    STANDING[what](packed, place)
    before = contents(tmp_path)
    for attempt in (
        lambda: delivery.refuse_early(place, {"training": {"steps": 5}, "name": "tiny"}),
        lambda: delivery.place(packed, place),
    ):
        said = refusal(attempt, match=r"raise release\.version")
        assert str(place) in said and contents(tmp_path) == before
    if what == "another release":
        identities = {read_json(each / "MANIFEST.json")["identity"] for each in (packed, place)}
        assert identities <= set(said.replace(",", "").split()) and str(packed) in said
    refusal(sharing.place_directory, packed, place, match="see what stands there")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("standing", ["nothing", "an empty folder", "itself"])
def test_it_is_placed_where_nothing_or_itself_stands(standing, packed, tmp_path):
    place = tmp_path / "releases/tiny-0.1.0"
    if standing == "an empty folder":
        place.mkdir(parents=True)
    if standing == "itself":
        shutil.copytree(packed, place)
        (place / "signature").write_text("of somebody")
    before = contents(place)
    delivery.refuse_early(place, read_json(packed / "code/config.json"))
    delivery.place(packed, place)
    assert contents(place) == {**contents(packed), **before}
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_another_config_or_other_code_is_refused_before_anything_is_made(packed):
    resolved, another = read_json(packed / "code/config.json"), "and this would be another one: "
    reason = another + "config.name: tiny is recorded, other is asked for"
    refusal(delivery.refuse_early, packed, {**resolved, "name": "other"}, match=reason)
    (packed / "code/train").mkdir()
    (packed / "code/Makefile").write_text("x")
    reason = another + r"code/\S+ is another \(and [1-9]\d* more files\)"
    refusal(delivery.refuse_early, packed, resolved, match=reason)


@pytest.mark.parametrize("name", ["model.safetensors", "documents/a.parquet", "train.npy", "README.md", "x.json"])
@pytest.mark.parametrize("links", [True, False])
def test_large_files_are_stored_once_where_the_disk_allows(name, links, tmp_path, monkeypatch):
    source = tmp_path / "source" / name
    source.parent.mkdir(parents=True)
    source.write_bytes(b"data")
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(18, "Invalid cross-device link")))
    sharing.place_directory(tmp_path / "source", tmp_path / "placed")
    placed = tmp_path / "placed" / name
    shared = links and source.suffix in sharing.LARGE
    assert placed.read_bytes() == b"data" and os.path.samefile(source, placed) == shared
    assert (placed.stat().st_mode & 0o222 == 0) == shared  # what is one file under two names is not to be written to


def test_a_placing_that_is_killed_leaves_nothing_under_the_name_and_is_begun_again(packed, tmp_path):
    place = tmp_path / "releases/tiny-0.1.0"
    program = (
        "import os, sys; from pathlib import Path; from train.release import sharing\n"
        "Path.rename = lambda *_: os.kill(os.getpid(), 9)\n"
        "sharing.place_directory(*map(Path, sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", program, packed, place], cwd=ROOT, check=False)
    assert done.returncode == -9 and not place.exists() and list(place.parent.iterdir())
    delivery.place(packed, place)
    assert contents(place) == contents(packed) and [path.name for path in place.parent.iterdir()] == [place.name]


# By the command itself -----------------------------------------------------------------------------------------------


def test_a_finished_release_shares_its_weights_with_the_runs(home, release):
    weights, packed = artifact(home, "weights"), artifact(home, "release")
    for name in ("model.safetensors", "checkpoints/step-000002/optimizer.safetensors"):
        assert all(os.path.samefile(folder / name, release / name) for folder in (weights, packed / "release"))
    assert not os.path.samefile(packed / "release/README.md", release / "README.md")
    assert not os.path.samefile(ROOT / "LICENSE", release / "LICENSE")
    require(release, "quick")


def test_the_command_refuses_another_setting_under_the_name_and_keeps_what_is_beside(small, home, release, tmp_path):
    (tmp_path / "releases").mkdir()
    shutil.copytree(release, tmp_path / "releases/tiny-0.1.0")
    (tmp_path / "releases/tiny-0.1.0/logs/statements").mkdir()
    (tmp_path / "releases/tiny-0.1.0/logs/statements/mine.json").write_text("{}")
    before = contents(tmp_path / "releases")
    folders = [f"machine.{name}={tmp_path / name}" for name in ("runs", "releases", "cache")]
    said = warm.command("release", *small, *folders, "training.steps=2", status=1)
    assert said.startswith(f"error: {tmp_path / 'releases/tiny-0.1.0'}: holds release ")
    assert "config.training.steps: 4 is recorded, 2 is asked for" in said and "release.version" in said
    assert contents(tmp_path / "releases") == before and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("stage", ["raw", "tokenizer", "weights", "evaluation"])
def test_packing_refuses_what_another_version_made(stage, home, tmp_path):
    recorded = {name: read_json(artifact(home, name) / "witness/run.json")["packages"] for name in ARTIFACTS}
    require_lock(recorded)
    (torch,) = (pin.version for pin in pins((ROOT / "requirements.lock").read_text()) if pin.name == "torch")
    said = refusal(require_lock, {**recorded, stage: {**recorded[stage], "torch": "2.12.0", "six": "0"}})
    assert said.startswith(f"{stage}: torch 2.12.0 was installed, requirements.lock pins {torch}; install")


@pytest.mark.parametrize(("file", "before", "after", "says"), [
    ("logs/tokens/run.json", '"numpy": "', '"numpy": "0.', "logs/tokens: numpy 0."),
    ("logs/raw/run.json", '"pyarrow": "', '"pyarrow": "1', "logs/raw: pyarrow 1"),
    ("logs/weights/run.json", '"torch": "', '"torch": "1', "logs/weights: torch 1"),
    ("code/requirements.lock", "\ntokenizers==", "\ntokenizers==9", "requirements.lock pins 9"),
    ("code/requirements.lock", "\ntqdm==", "\ntqdm==9", "requirements.lock pins 9"),
    ("code/requirements.lock", " --hash=sha256:", " --hash=md5:", "is no pinned package"),
    ("code/pyproject.toml", "dependencies = [", "requirements = [", "tells no dependencies"),
])  # fmt: skip
def test_verify_tells_when_a_stage_ran_with_other_versions_than_the_lock(file, before, after, says, copy):
    (holds,) = verify(copy, "full", {"environment"})
    text = (copy / file).read_text()
    assert holds.ok and before in text
    (copy / file).write_text(text.replace(before, after, 1))
    assert says in failure(copy, "environment")
