"""One file, the same bytes whenever it is packed, that is checked like the folder; and archives that mean harm."""

import errno
import io
import os
import re
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import zstandard
from conftest import refusal
from warm import command

from train.artifact import file_digest
from train.data.sources.archive import Bounded
from train.errors import UserError
from train.layout import regular_files
from train.release import archive, gguf
from train.release.archive import pack, unpack, unpacked


def test_the_same_bytes_whatever_the_files_look_like_on_disk(release, copy, tmp_path):
    said = command("archive", release, "--into", tmp_path)
    made = tmp_path / f"{release.name}.tar.zst"
    assert file_digest(made) in said
    (copy / "LICENSE").chmod(0o700)
    again = tmp_path / "again" / release.name
    again.parent.mkdir()
    copy.rename(again)
    assert [file_digest(path) for path in pack(again, tmp_path / "again", False)] == [file_digest(made)]
    assert "2 of 2 checks hold" in command("verify", made, "--quick")


def test_by_role_all_parts_together_are_the_release_and_one_alone_is_not(release, tmp_path):
    command("archive", release, "--into", tmp_path, "--by-role")
    parts = sorted(tmp_path.glob("*.tar.zst"))
    assert [p.name.removeprefix(release.name).split(".")[1] for p in parts] == [
        "checkpoints", "code", "data", "weights",
    ]  # fmt: skip
    with unpacked(parts) as whole:
        assert regular_files(whole) == regular_files(release)
    assert "2 of 2 checks hold" in command("verify", *parts, "--quick")
    assert "FAILS  integrity" in command("verify", parts[-1], "--quick", status=1)


def test_only_what_is_whole_is_packed(copy):
    (copy / "NOTICE").write_text("changed")
    assert "integrity" in command("archive", copy, status=1) and list(copy.parent.glob("*.tar.zst")) == []


@pytest.mark.parametrize("name", ["x.tar (1).zst", "x.zst", "x", "x.zip"])
def test_an_archive_is_told_by_its_first_bytes_whatever_it_is_called(name, tmp_path):
    made = hostile(tmp_path / name, ("x/a", tarfile.REGTYPE, b"A"))
    with unpacked([made]) as folder:
        assert (folder / "a").read_bytes() == b"A"


@pytest.mark.parametrize(("name", "data", "says"), [
    ("x.zip", b"PK\x03\x04 and more", "not a release: it holds a zip archive; give a .tar.zst"),
    ("x.tar.zst", b"PK\x03\x04 and more", "not a release: it holds a zip archive"),
    ("x.tar.zst", b"\x1f\x8b and more", "not a release: it holds gzip"),
    ("x.tar", 257 * b"x" + b"ustar", "not a release: it holds a tar archive"),
    ("x.tar.zst", b"\xfd7zXZ\x00", "not a release: it holds xz"),
    ("x.7z", b"7z\xbc\xaf\x27\x1c", "not a release: it holds a 7z archive"),
    ("x.tar.zst", b"<!DOCTYPE html>", "not a release: it holds HTML"),
    ("x.tar.zst", b"version https://git-lfs.github.com/spec/v1", "not a release: it holds a Git LFS pointer"),
    ("MANIFEST.json", b"{}", "not a release: its first bytes are those of no archive"),
    ("x.tar.zst", b"", "not a release: its first bytes are those of no archive"),
])  # fmt: skip
def test_what_is_no_archive_of_a_release_is_told_by_its_first_bytes(name, data, says, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=re.escape(says)) as caught, unpacked([tmp_path / name]):
        pass
    assert "\n" not in str(caught.value)


def hostile(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """An archive with members (name, type, content), whatever these are."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind, content in members:
            head = tarfile.TarInfo(name)
            head.type, head.size, head.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(head, io.BytesIO(content))
    path.write_bytes(zstandard.compress(made.getvalue()))
    return path


FILE = tarfile.REGTYPE


@pytest.mark.parametrize("members, problem", [
    ([("../out", FILE, b"x")], "leads out"), ([("/out", FILE, b"x")], "leads out"),
    ([("a/..\\out", FILE, b"x")], "Windows"), ([("a/\x1b[2J", FILE, b"x")], "unprintable"),
    ([("a/link", tarfile.SYMTYPE, b"")], "not a regular file"),
    ([("a/link", tarfile.LNKTYPE, b"")], "not a regular file"),
    ([("a/device", tarfile.CHRTYPE, b"")], "not a regular file"),
    ([("a/empty", tarfile.DIRTYPE, b"")], "not a regular file"),
    ([("a/twice", FILE, b"x"), ("a/twice", FILE, b"y")], "cannot be unpacked"),
    ([("a/b", FILE, b"x"), ("a/b/c", FILE, b"y")], "cannot be unpacked"), ([("top", FILE, b"x")], "in no folder"),
    ([("a/zeros", FILE, bytes(2**22))], "unpacks to more than"),
])  # fmt: skip
def test_members_that_are_not_plain_new_files_are_refused(tmp_path, members, problem):
    made = hostile(tmp_path / "bad.tar.zst", *members)
    refusal(unpack, made, tmp_path / "into", match=problem)
    assert not (tmp_path / "out").exists() and command("verify", made, status=2).startswith("error: bad.tar.zst: ")


def test_damage_and_roots_of_two_releases_are_one_line(tmp_path, monkeypatch):
    good = hostile(tmp_path / "good.tar.zst", ("a/b", FILE, bytes(range(256)) * 40), ("a/c", FILE, b"y"))
    unpack(good, tmp_path / "into")
    assert (tmp_path / "into/a/c").read_bytes() == b"y"
    for data in (b"", b"nonsense", good.read_bytes()[:-200], good.read_bytes()[:90]):
        (tmp_path / "torn.tar.zst").write_bytes(data)
        refusal(unpack, tmp_path / "torn.tar.zst", tmp_path / "torn", match="torn")
    other = hostile(tmp_path / "other.tar.zst", ("z/b", FILE, b"x"))
    with pytest.raises(UserError, match="2 folders"), unpacked([good, other]):
        pass
    monkeypatch.setattr(archive, "MEMBERS", 1)
    refusal(unpack, good, tmp_path / "many", match="more than 1 members")
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(Bounded, "read", full)
    refusal(unpack, good, tmp_path / "full", match=r"cannot be unpacked \(no space left on a disk; free some")
    monkeypatch.undo()
    monkeypatch.setattr(tarfile.ExFileObject, "read", full)
    refusal(
        unpack, good, tmp_path / "full", match=r"\(\S*/full/a/b: no space left on the disk \(\d+ bytes free\); free"
    )


def test_of_an_export_that_a_full_disk_ends_the_file_is_told(release, tmp_path, monkeypatch):
    cut_short = OSError("12288 requested and 8872 written")  # as numpy tells it
    monkeypatch.setitem(sys.modules, "gguf", SimpleNamespace(GGUFWriter=Mock(side_effect=cut_short)))
    with pytest.raises(OSError, match="requested") as caught:
        gguf.write(release, tmp_path / "model.gguf")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, f"{tmp_path}/model.gguf")


def test_zeros_may_fill_an_archive_up_and_nothing_else_may_follow(tmp_path):
    good = zstandard.decompress(hostile(tmp_path / "good.tar.zst", ("a/b", FILE, b"x")).read_bytes())
    for size in (0, 1, 512, 10240):
        (tmp_path / "filled.tar.zst").write_bytes(zstandard.compress(good + bytes(size)))
        unpack(tmp_path / "filled.tar.zst", tmp_path / f"into{size}")
    for more in (b"x", bytes(10240) + b"x"):
        (tmp_path / "more.tar.zst").write_bytes(zstandard.compress(good + more))
        refusal(unpack, tmp_path / "more.tar.zst", tmp_path / f"more{len(more)}", match="something follows the end")
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(good + os.urandom(2**21))
    (tmp_path / "more.tar.zst").write_bytes(packed[:-1] + bytes([packed[-1] ^ 1]))  # damage goes before what it seems
    refusal(unpack, tmp_path / "more.tar.zst", tmp_path / "damaged", match="cannot be unpacked")


def zeros(declared: int, window: int) -> bytes:
    """A frame of 256 MiB of zeros after the head of a member that has as many; it tells its size if `declared`."""
    head = tarfile.TarInfo("a/zeros")
    head.size = 2**28
    parameters = zstandard.ZstdCompressionParameters(window_log=window, write_content_size=bool(declared))
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=declared or -1)
    parts = [packer.compress(head.tobuf()), *(packer.compress(bytes(2**20)) for _ in range(2**8))]
    return b"".join([*parts, packer.compress(bytes(1024)), packer.flush()])


def lying() -> bytes:
    """A frame whose head promises a terabyte and which has one block of a few bytes: RFC 8878, 3.1.1."""
    return b"\x28\xb5\x2f\xfd\xc0\x50" + (2**40).to_bytes(8, "little") + b"\x29\x00\x00hello"


@pytest.mark.parametrize("data, problem", [
    (zeros(0, 20), "unpacks to more than"), (zeros(512 + 2**28 + 1024, 20), "unpacks to more than"),
    (zeros(0, 30), "cannot be unpacked"), (lying(), "cannot be unpacked"),
], ids=["size not told", "size told", "a window of a gigabyte", "a size that is a lie"])  # fmt: skip
def test_bombs_are_refused_before_they_fill_anything(tmp_path, data, problem):
    (tmp_path / "bomb.tar.zst").write_bytes(data)
    refusal(unpack, tmp_path / "bomb.tar.zst", tmp_path / "into", match=problem)
    assert sum(path.stat().st_size for path in tmp_path.rglob("into/**/*") if path.is_file()) < 2**24


def test_heads_that_swell_and_folders_without_end_are_refused(tmp_path):
    swollen = hostile(tmp_path / "swollen.tar.zst", ("a/b", tarfile.XHDTYPE, bytes(2**24)), ("a/b", FILE, b"x"))
    refusal(unpack, swollen, tmp_path / "into", match="unpacks to more than")
    deep = hostile(tmp_path / "deep.tar.zst", (f"{'a/' * 9000}b", FILE, b"x"))
    refusal(unpack, deep, tmp_path / "into", match=r"deep\.tar\.zst: member 'a/a/")
    nested = hostile(tmp_path / "nested.tar.zst", ("a/inner.tar.zst", FILE, swollen.read_bytes()))
    unpack(nested, tmp_path / "nested")
    assert (tmp_path / "nested/a/inner.tar.zst").read_bytes() == swollen.read_bytes(), "what is in it stays packed"
