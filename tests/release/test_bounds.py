"""Whatever a stranger's release holds, commands that read it open only files, and stay within memory and time."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import warm

from train.cli import VERBS, failure
from train.errors import UserError
from train.keys import ROOT
from train.release import bounds
from train.release.bundle import write_manifest

COMMANDS = {
    "explore": ["--from", "RELEASE", "search", "the"], "diff": ["RELEASE", "RELEASE"],
    "replay": ["RELEASE", "--segment", "0"], "sample": ["RELEASE"], "score": ["RELEASE", "FILE"],
    "export": ["RELEASE", "FILE"],
}  # fmt: skip


def ends(name: str, release: Path) -> str:
    """What a command says that refuses a release, in a line."""
    pairs = release.parent / "some.jsonl"
    pairs.write_text('{"sentence_good": "a b", "sentence_bad": "b a"}\n')
    words = {"RELEASE": str(release), "FILE": str(pairs)}
    said = warm.command(name, *(words.get(word, word) for word in COMMANDS[name]), status=failure(VERBS[name]))
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_opens_a_pipe(copy, name):
    (copy / "tokenizer.json").unlink()
    os.mkfifo(copy / "tokenizer.json")
    assert "tokenizer.json: neither a file nor a folder" in ends(name, copy)


def swollen(release: Path) -> None:
    """Some kilobytes that unpack to a text of a hundred million letters."""
    path = min((release / "data/documents").glob("*.parquet"))
    table = pq.read_table(path).slice(0, 1)
    wide = table.set_column(table.schema.get_field_index("text"), "text", pa.array(["a" * 10**8]))
    pq.write_table(wide, path, compression="zstd", compression_level=19)
    assert path.stat().st_size < 2**16
    write_manifest(release)


@pytest.mark.parametrize("name", ["explore", "replay", "score"])  # the others read no text
def test_no_command_unpacks_a_swollen_table(copy, name):
    swollen(copy)
    assert "unpacks to more than" in ends(name, copy)


@pytest.mark.parametrize("kind", ["a link to a pipe", "a link to nothing", "a link to itself", "a device", "a folder"])
def test_what_is_no_file_is_found_and_what_leads_nowhere_passed_over(tmp_path, kind):
    strange, folder = tmp_path / "release" / "data" / "strange", tmp_path / "release"
    strange.parent.mkdir(parents=True)
    if kind == "a folder":
        strange.mkdir()
    elif kind == "a link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        strange.symlink_to(tmp_path / "pipe")
    else:
        strange.symlink_to({"a link to nothing": "nothing", "a link to itself": strange, "a device": "/dev/zero"}[kind])
    assert bounds.irregular(folder) == (strange if kind in ("a link to a pipe", "a device") else None)


@pytest.mark.parametrize("kind", ["link", "folder's link", "pipe"])
def test_what_other_code_leaves_is_no_way_out_of_its_folder(tmp_path, kind):
    (tmp_path / "reached").mkdir()
    (tmp_path / "reached/model.safetensors").write_bytes(b"")
    bounds.require_plain(tmp_path)
    strange = tmp_path / "reached/optimizer.safetensors"
    os.mkfifo(strange) if kind == "pipe" else strange.symlink_to("/" if "folder" in kind else "/etc/hostname")
    with pytest.raises(UserError, match=r"optimizer\.safetensors: neither a file nor a folder, and so not read"):
        bounds.require_plain(tmp_path)


def test_folders_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_ENTRIES", 2)
    for number in range(3):
        (tmp_path / str(number)).touch()
    with pytest.raises(UserError, match="more than 2 files"):
        bounds.confine(tmp_path)


LIMITED = {
    "time": ("confine(Path('.'), minutes=0.001); import time; time.sleep(60)", "UserError: not done in 0.001 minutes"),
    "memory": ("bounds.SPARE = 2**28; confine(Path('empty')); bytearray(2**29)", "MemoryError"),
}


@pytest.mark.parametrize("name", LIMITED)
def test_limits_hold(tmp_path, name):
    (tmp_path / "empty").mkdir()
    program, says = LIMITED[name]
    head = "from pathlib import Path; from train.release import bounds; from train.release.bounds import confine; "
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", head + program], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and says in done.stderr
