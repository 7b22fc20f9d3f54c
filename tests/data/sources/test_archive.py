"""Archives are read member by member, and hostile ones are refused as a whole."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import refusal

from train.data.sources.archive import Limits, matches, members
from train.errors import UserError

SMALL = Limits(members=3, member_bytes=1000, total_bytes=1500, ratio=100, name_bytes=60)


def tar_of(path: Path, *entries: tuple[str, bytes | str]) -> Path:
    """A .tar.gz of (name, content); a string is a tar type flag, as in tarfile.SYMTYPE."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = content.encode(), "/etc/passwd"
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def zip_of(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def read(path: Path, limits: Limits = SMALL) -> dict[str, bytes]:
    return dict(members(path, path.name, wanted=lambda _: True, limits=limits))


@pytest.mark.parametrize("make", [(tar_of, "a.tar.gz"), (zip_of, "a.zip")], ids=["tar", "zip"])
def test_members_are_yielded_below_their_one_folder(tmp_path, make):
    build, name = make
    archive = build(tmp_path / name, ("p-1/a.txt", b"one"), ("p-1/docs/b.txt", b"two"))
    assert read(archive) == {"a.txt": b"one", "docs/b.txt": b"two"}
    only = members(archive, name, wanted=lambda path: path.startswith("docs/"))
    assert list(only) == [("docs/b.txt", b"two")]


def test_folders_are_passed_over(tmp_path):
    assert read(tar_of(tmp_path / "a.tar.gz", ("p", "5"), ("p/a", b"x"))) == {"a": b"x"}
    assert read(zip_of(tmp_path / "a.zip", ("p/", b""), ("p/a", b"x"))) == {"a": b"x"}


HOSTILE = {
    "/etc/cron": "absolute or leads out", "p/../../x": "absolute or leads out", "p//x": "absolute or leads out",
    "./p/x": "absolute or leads out", "p/..\\x": "Windows", "C:/x": "Windows", "p/\x07x": "unprintable",
    "p/\u202ex": "unprintable", "p/" + "x" * 70: "more than 60 bytes",
}  # fmt: skip


@pytest.mark.parametrize(("name", "problem"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_hostile_names_are_refused(tmp_path, name, problem):
    refusal(read, tar_of(tmp_path / "a.tar.gz", (name, b"x")), match=problem)
    refusal(read, zip_of(tmp_path / "a.zip", (name, b"x")), match=problem)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_only_regular_files_are_allowed(tmp_path, kind):
    refusal(read, tar_of(tmp_path / "a.tar.gz", ("p/x", kind.decode())), match="not a regular file")


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("p/x")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refusal(read, tmp_path / "a.zip", match="not a regular file")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    refusal(read, tar_of(tmp_path / "a.tar.gz", ("p/x", b"1"), ("p/x", b"2")), match="twice")


def test_members_outside_the_one_folder_are_refused(tmp_path):
    refusal(read, tar_of(tmp_path / "a.tar.gz", ("p/x", b"1"), ("q/x", b"2")), match="one folder")
    refusal(read, tar_of(tmp_path / "b.tar.gz", ("x", b"1")), match="one folder")


def test_sizes_are_bounded(tmp_path):
    refusal(read, tar_of(tmp_path / "a.tar.gz", *((f"p/{i}", b"") for i in range(4))), match="more than 3 members")
    refusal(read, zip_of(tmp_path / "a.zip", ("p/x", b"x" * 1001)), match="has 1001 bytes, allowed are 1000")
    with pytest.raises(UserError, match="unpacks to more than 1500 bytes"):
        read(tar_of(tmp_path / "b.tar.gz", ("p/1", b"x" * 1000), ("p/2", b"x" * 1000)))


def test_a_bomb_is_refused_by_its_ratio(tmp_path):
    roomy = Limits(members=9, member_bytes=2**30, total_bytes=2**30, ratio=10, name_bytes=60)
    for archive in (
        tar_of(tmp_path / "a.tar.gz", ("p/x", bytes(10**6))),
        zip_of(tmp_path / "a.zip", ("p/x", bytes(10**6))),
    ):
        refusal(read, archive, roomy, match="unpacks to more than")


def test_a_bomb_in_a_header_is_refused(tmp_path):
    header = tarfile.TarInfo("p/x")
    header.type, header.size = tarfile.XHDTYPE, 10**8  # a header that claims to be 100 MB long
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header.tobuf() + bytes(10**8))
    refusal(read, tmp_path / "a.tar.gz", match="unpacks to more than")


@pytest.mark.parametrize("make", [(tar_of, "a.tar.gz"), (zip_of, "a.zip")], ids=["tar", "zip"])
def test_a_truncated_archive_is_one_clear_error(tmp_path, make):
    build, name = make
    archive = build(tmp_path / name, ("p/x", bytes(range(256)) * 3))
    archive.write_bytes(archive.read_bytes()[:-200])
    refusal(read, archive, match="cannot be read as an archive")


def test_other_formats_are_refused(tmp_path):
    refusal(read, tmp_path / "a.rar", match=r"expected a \.tar\.gz or \.zip")


@pytest.mark.parametrize(("path", "include", "exclude", "expected"), [
    ("docs/a.rst", ["docs/*.rst"], [], True), ("docs/b/a.rst", ["docs/*.rst"], [], False),
    ("docs/b/a.rst", ["docs/**/*.rst"], [], True), ("docs/a.rst", ["docs/**/*.rst"], [], True),
    ("docs/a.rst", ["**"], ["docs/**"], False), ("a.rst", ["?.rst"], [], True), ("axrst", ["a.rst"], [], False),
    ("docs/A.rst", ["docs/a.rst"], [], False), ("docs/a.RST", ["docs/a.rst"], [], True),
    ("a.jsonl.GZ", ["**/*.gz"], [], True), ("a.JSONL.GZ", ["**/*.jsonl.gz"], [], True),
    ("a.txt", ["*.TXT"], [], True), ("DOCS/a.txt", ["docs/*.txt"], [], False), ("README", ["readme"], [], False),
    ("a.MD", ["**"], ["**/*.md"], False), (".A", [".a"], [], False), (".a.TXT", [".a.txt"], [], True),
])  # fmt: skip
def test_globs(path, include, exclude, expected):
    assert matches(path, include, exclude) is expected


def test_stars_do_not_multiply():
    assert not matches("a" * 400, ["*a" * 30 + "**/a**b"], [])  # which takes ages when every way is tried
    assert matches("a" * 400, ["**a" * 30 + "*a"], [])
