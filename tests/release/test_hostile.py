"""A release that means harm: it never crashes the command, leads it outside, or takes memory and time without bound."""

import json
import os
import socket
import stat
import struct
import sys
from pathlib import Path

import pytest
import warm
from conftest import edit, failure, refusal

from train.release.bundle import manifest_of, write_manifest
from train.release.verify.code import installs
from train.release.verify.integrity import wrong_name
from train.release.verify.run import isolated, verify
from train.release.view import Release


def command(*arguments: object) -> str:
    said = warm.command("verify", *arguments, status=1)
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    return said


STRANGE = ["a b", "caf\u00e9", "ab:c", "a*", "a?", "data/a.", "a./b", "nul", "AUX.txt", "data/Com1.json", "lpt9/a",
           "a\n", "con.tar.gz", "\u0430", "a\u202eb", "~a", "a$", "a\\b", "a//b", "a\x1b[31m"]  # fmt: skip


@pytest.mark.parametrize(("path", "why"), [
    ("/etc/passwd", "leads outside"), ("data/../../x", "leads outside"), ("C:/x", "leads outside"),
    ("a/" * 130 + "b", "more than 240"), *((name, "not every system") for name in STRANGE),
])  # fmt: skip
def test_names_that_no_release_may_have(tmp_path, path, why):
    assert why in wrong_name(path)
    (tmp_path / "README.md").write_text("a card")
    write_manifest(tmp_path)
    edit(tmp_path / "MANIFEST.json", "products", path, to={"sha256": "0" * 64, "bytes": 0})
    assert why in failure(tmp_path, "integrity", "quick")


@pytest.mark.parametrize("path", ["a", ".ci/a", "a-b_c.d..e/F9", "-a", "console.txt", "auxiliary", "com10", "a.nul"])
def test_plain_names(path):
    assert wrong_name(path) == ""


def test_names_that_some_systems_take_for_the_same(copy):
    (copy / "readme.md").write_text("another card")
    write_manifest(copy)
    assert "the same name as" in failure(copy, "integrity", "quick")


def test_empty_and_hidden_folders(copy):
    (copy / "data" / ".cache").mkdir()
    assert "data/.cache: an empty folder" in failure(copy, "integrity", "quick")


def test_colours_and_pipes_and_holes_are_told_in_plain_letters(copy):
    (copy / "\x1b[31mred").write_text("x")
    os.mkfifo(copy / "pipe")
    with (copy / "large").open("wb") as file:
        file.truncate(2**40)
    edit(copy / "MANIFEST.json", "products", "large", to={"sha256": "0" * 64, "bytes": 2**40})
    said = command(copy)
    assert all(text in said for text in ("\ufffd[31mred: has a name", "mostly holes", "pipe"))


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "block device", "a link to a device", "a link to itself"])
def test_what_is_no_file_is_told_and_never_opened(tmp_path, kind):
    strange, numbers = tmp_path / "data" / "strange", os.makedev(1, 5)  # zeros without end, if it were read
    strange.parent.mkdir()
    (tmp_path / "README.md").write_text("a card")
    write_manifest(tmp_path)
    edit(tmp_path / "MANIFEST.json", "products", "data/strange", to={"sha256": "0" * 64, "bytes": 0})
    if kind == "pipe":
        os.mkfifo(strange)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(strange))
    elif kind.startswith("a link"):
        strange.symlink_to("/dev/zero" if kind.endswith("device") else strange)
    else:
        try:
            os.mknod(strange, (stat.S_IFCHR if kind == "device" else stat.S_IFBLK) | 0o600, numbers)
        except PermissionError:
            pytest.skip("only root makes devices")
    assert "data/strange: neither a file nor a folder" in failure(tmp_path, "integrity", "quick")
    found = verify(tmp_path, "full")
    assert not any(result.ok for result in found) and found[-1].detail == "not run: see integrity"


def swollen_table(release: Path) -> None:
    """A small file that holds, packed, a thousand million letters in one column of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path,) = list((release / "data/documents").glob("*.parquet"))[:1]
    table = pq.read_table(path).slice(0, 1)
    same = {name: pa.array([table[name][0].as_py()] * 512) for name in table.schema.names}
    wide = pa.DictionaryArray.from_arrays(pa.array([0] * 512, pa.int32()), pa.array(["a" * 2_000_000]))
    pq.write_table(pa.table({**same, "text": wide}), path, compression="zstd")
    assert path.stat().st_size < 2**20


def wrong_rows(release: Path) -> None:
    """A table whose footer tells of more rows than there are."""
    (path,) = list((release / "data/documents").glob("*.parquet"))[:1]
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack("<I", data[-8:-4])
    for place in range(len(data) - 8 - length, len(data) - 8):
        data[place] = data[place] if data[place] else 0x7F
    path.write_bytes(data)


LIE = b'{"model.norm.weight":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'
STRANGER = {"layers": 2**62, "width": [None], "heads": {"a": -1}}
HOSTILE = [  # some at a time, each with the check that it is for
    {"weights": lambda r: (r / "model.safetensors").write_bytes(struct.pack("<Q", len(LIE)) + LIE),
     "statistics": lambda r: (r / "data/statistics.json").write_text("[" * 200_000 + "]" * 200_000),
     "counts": swollen_table},
    {"weights": lambda r: (r / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}"),
     "counts": wrong_rows},
    {"settings": lambda r: edit(r / "code/config.json", "model", by=lambda model: model | STRANGER)},
]  # fmt: skip


@pytest.mark.parametrize("harm", HOSTILE, ids=" ".join)
def test_harm_is_told_in_a_line_and_nothing_is_written(copy, harm):
    for do in harm.values():
        do(copy)
    write_manifest(copy)
    before = manifest_of(copy)
    said = command(copy, *(f"--only={name}" for name in ("integrity", *harm)))
    assert all(f"\nFAILS  {name} " in said for name in harm) and manifest_of(copy) == before


def test_checks_that_end_their_process_are_told_by_name(tmp_path):
    program = 'print(\'["one", "two", "three"]\\n\' + \'["one", "holds", ""]\', flush=True);'
    killed = isolated([sys.executable, "-c", f"{program} import os; os.kill(os.getpid(), 11)"], 1, lambda result: None)
    assert [(r.name, r.status, r.detail.split(",")[0]) for r in killed] == [
        ("one", "holds", ""), ("two", "not checked", "ended the checks"), ("three", "not checked", "not run"),
    ]  # fmt: skip
    late = isolated([sys.executable, "-c", f"{program} import time; time.sleep(60)"], 0.02, lambda result: None)
    assert late[1].detail == "not done in 0.02 minutes"


def test_a_lock_that_is_none_is_not_given_to_the_installer(tmp_path):
    lock = tmp_path / "code" / "requirements.lock"
    lock.parent.mkdir()
    for line in ("--index-url http://localhost/x", "-e .", "torch @ file:///x", "torch>=2"):
        lock.write_text(f"{line}\n")
        refusal(installs, Release(tmp_path, tmp_path / "scratch"), match="is no pinned package")


def test_json_output_is_json_whatever_the_names(copy):
    (copy / "\x1b[31mred").write_text("x")
    (copy / "code/config.json").write_text("[]")  # which says nothing of a release that it begins with
    found = json.loads(command(copy, "--quick", "--json"))
    assert {result["name"] for result in found} == {"integrity", "completeness"}
