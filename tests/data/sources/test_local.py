"""Files of one's own and archives are read by their globs, and hostile ones are refused."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import refusal

from train.data.sources.archive import Limits, matches, members
from train.data.sources.local import listing
from train.data.sources.spec import FilesSource
from train.errors import UserError

# Of a folder of one's own, nothing is passed over without a count: links, dots, other suffixes, what no glob takes


def source(include: list[str] | None = None, exclude: tuple[str, ...] = (), licence: str = "LICENSE") -> FilesSource:
    return FilesSource(
        kind="files", purl="pkg:generic/mine@1", path=Path("mine"), sha256=None, columns=None, mirrors=(),
        licence="MIT", licence_files=(licence,), attribution="Somebody", language="en",
        include=tuple(include or ["**/*.txt", "**/*.md"]), exclude=exclude,
    )  # fmt: skip


def folder(tmp_path: Path, *names: str) -> Path:
    """A folder with these files; `a -> b` is a link, `a/` an empty folder, `a|` a pipe."""
    root = tmp_path / "mine"
    root.mkdir()
    for name in ("LICENSE", *names):
        name, arrow, target = name.partition(" -> ")
        path = root / name.rstrip("|")
        path.parent.mkdir(parents=True, exist_ok=True)
        if arrow:
            path.symlink_to(target)
        elif name.endswith("|"):
            os.mkfifo(path)
        elif name.endswith("/"):
            path.mkdir()
        else:
            path.write_text(name)
    return root


TAKEN = {
    "as named": (["a.txt", "b/c.md"], ["a.txt", "b/c.md"]),
    "suffixes written large": (["A.TXT", "b/c.Md"], ["A.TXT", "b/c.Md"]),
    "wide and narrow blanks": (["a\u00a0b.txt", "c\u3000d.txt", "at 9\u202fAM.txt"], None),
    "brackets and braces": (["a[1].txt", "b{2}.txt", "c~.txt"], None),
    "letters of any script": (["日本.txt", "e\u0301.txt", "नमस्ते.md"], None),
    "no dot but one within": (["v1.2-notes.txt", "a.b.c.md"], None),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_a_glob_takes_is_taken(case, tmp_path):
    names, taken = TAKEN[case]
    here = listing(source(), folder(tmp_path, *names))
    assert sorted(here.taken) == sorted([*(taken or names), "LICENSE"]) and here.passed_over() == ""


PASSED_OVER = {
    "a linked folder": (["more -> ../elsewhere"], "links are not followed: 1 (more -> ../elsewhere)"),
    "a linked folder within": (["b/x.txt", "more -> b"], "links are not followed: 1 (more -> b)"),
    "a linked file that leads out": (["p.txt -> /etc/passwd"], "links are not followed: 1 (p.txt -> /etc/passwd)"),
    "a linked file within": (["b.txt -> a.txt"], "links are not followed: 1 (b.txt -> a.txt)"),
    "a dangling link": (["x.txt -> nowhere"], "links are not followed: 1 (x.txt -> nowhere)"),
    "a link to itself": (["x.txt -> x.txt"], "links are not followed: 1 (x.txt -> x.txt)"),
    "a link to the folder": (["loop -> ."], "links are not followed: 1 (loop -> .)"),
    "many links": ([f"{n} -> x" for n in "bcde"], "links are not followed: 4 (b -> x, c -> x, d -> x, ...)"),
    "a dot file": ([".hidden.txt"], "names with a dot: 1 (.hidden.txt)"),
    "a notebook's copies": ([".ipynb_checkpoints/a.txt"], "names with a dot: 1 (.ipynb_checkpoints/)"),
    "a dot folder below": (["b/.git/x.txt", "b/.git/y.txt"], "names with a dot: 1 (b/.git/)"),
    "other suffixes": (["a.html", "b.HTML", "c.pdf", "noext", "d.text", "e.markdown"], "no `include` matches 6 "
                       "(2 .html, 1 .pdf, 1 .text, ...); convert .pdf to text, for example by pdftotext -enc UTF-8"),
    "a suffix of one's own": (["a.json"], "no `include` matches 1 (1 .json)"),
    "a pipe": (["p|"], "no regular files: 1 (p)"),
    "the program's own": (["runs/a.txt", "releases/b.txt"], "written by this program: 2 (releases/, runs/)"),
    "what is packed": (["a.zip", "b.txt.bz2"],
                       "no `include` matches 2 (1 .zip, 1 .bz2); unpack .bz2 files; unpack .zip files"),
    "all at once": (["x.html", ".y", "z -> a.txt"], "no `include` matches 1 (1 .html); "
                    "links are not followed: 1 (z -> a.txt); names with a dot: 1 (.y)"),
}  # fmt: skip


@pytest.mark.parametrize("case", PASSED_OVER)
def test_what_is_passed_over_is_counted_and_named(case, tmp_path):
    names, told = PASSED_OVER[case]
    root = folder(tmp_path, "a.txt", *names)
    here = listing(source(), root, (root / "runs", root / "releases"))
    assert set(here.taken) - {"b/x.txt"} == {"LICENSE", "a.txt"} and here.passed_over() == told


def test_a_glob_that_leaves_nothing_out_is_told(tmp_path):
    here = listing(source(exclude=("mine/b.txt", "*.md")), folder(tmp_path, "a.txt", "b.txt", "c.md"))
    assert here.passed_over() == "`exclude` fits no file: 1 (mine/b.txt)"


def test_what_exclude_leaves_out_was_asked_for(tmp_path):
    here = listing(source(exclude=("b/**", "**/*.html")), folder(tmp_path, "a.txt", "b/c.txt", "d.html"))
    assert sorted(here.taken) == ["LICENSE", "a.txt"] and here.passed_over() == ""


@pytest.mark.parametrize("include", [["**/.notes/*.txt"], [".notes/**"], ["**/.*/**"]])
def test_a_glob_that_says_the_dot_takes_what_begins_with_one(include, tmp_path):
    here = listing(source(include), folder(tmp_path, ".notes/a.txt", ".other"))
    assert sorted(here.taken) == [".notes/a.txt", "LICENSE"] and here.hidden == [".other"]


@pytest.mark.parametrize(("include", "exclude"), [
    ("*.{txt,md}", ""), ("[ab].txt", ""), ("~/*.txt", ""), ("**/*.[tT][xX][tT]", ""), ("**", "{a,b}.txt"),
])  # fmt: skip
def test_signs_that_mean_nothing_in_a_glob_are_told(include, exclude, tmp_path):
    with pytest.raises(UserError, match=r"the glob .* matches no file: ~, {} and \[\] mean only themselves"):
        listing(source([include], (exclude,) if exclude else ()), folder(tmp_path, "a.txt"))


@pytest.mark.parametrize("name", ["a\x07.txt", "a\u202eb.txt", "a\nb.txt", "a\tb.txt", "a\\b.txt", "a\u200eb.txt"])
def test_a_name_that_no_source_can_hold_is_told(name, tmp_path):
    refusal(listing, source(), folder(tmp_path, name), match="rename or exclude it")


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("names", "licence", "says"), [
    (["COPYING -> LICENSE"], "COPYING", "'COPYING' is a link, and links are not followed"),
    (["b/COPYING", "terms -> b"], "terms/COPYING", "'terms/COPYING' is a link, and links are not followed"),
    (["COPYING|"], "COPYING", "'COPYING' is no regular file"),
    (["COPYING/"], "COPYING", "'COPYING' is no regular file"),
])  # fmt: skip
def test_a_licence_that_is_no_file_of_the_source_is_no_evidence(names, licence, says, single, tmp_path):
    root = folder(tmp_path, "a.txt", *names)
    refusal(listing, source(licence=licence), root / "a.txt" if single else root, match=f"the licence file {says}")


@pytest.mark.parametrize("licence", ["/etc/hostname", "../LICENSE", "./LICENSE", "a//LICENSE", "", "a\n"])
def test_a_licence_that_lies_outside_is_refused_by_its_name(licence):
    refusal(source, licence=licence, match="licence_files: ", error=ValueError)


def test_a_pipe_is_no_source(tmp_path):
    refusal(listing, source(), folder(tmp_path, "p|") / "p", match="p is neither a file nor a folder")


def test_a_file_that_no_glob_takes_is_no_folder_of_texts(tmp_path):
    place = folder(tmp_path, "a.odd") / "a.odd"
    refusal(listing, source(), place, match=r"a\.odd is a file that \[.*\] do not match; name the folder that holds")


# Archives are read member by member, and hostile ones are refused as a whole -----------------------------------------


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


LINK = zipfile.ZipInfo("p/x")
LINK.external_attr = 0o120777 << 16
ROOMY = Limits(members=9, member_bytes=2**30, total_bytes=2**30, ratio=10, name_bytes=60)
KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
REFUSED = [
    *((make, SMALL, [(name, b"x")], problem) for make in (tar_of, zip_of) for name, problem in HOSTILE.items()),
    *((tar_of, SMALL, [("p/x", kind.decode())], "not a regular file") for kind in KINDS),
    (zip_of, SMALL, [(LINK, b"/etc/passwd")], "not a regular file"),
    (tar_of, SMALL, [("p/x", b"1"), ("p/x", b"2")], "twice"),
    (tar_of, SMALL, [("x", b"1")], "one folder"),
    (tar_of, SMALL, [("p/x", b"1"), ("q/x", b"2")], "one folder"),
    (tar_of, SMALL, [(f"p/{number}", b"") for number in range(4)], "more than 3 members"),
    (zip_of, SMALL, [("p/x", b"x" * 1001)], "has 1001 bytes, allowed are 1000"),
    (tar_of, SMALL, [("p/1", b"x" * 1000), ("p/2", b"x" * 1000)], "unpacks to more than 1500 bytes"),
    *((make, ROOMY, [("p/x", bytes(10**6))], "unpacks to more than") for make in (tar_of, zip_of)),  # by its ratio
]


@pytest.mark.parametrize(("make", "limits", "entries", "problem"), REFUSED, ids=range(len(REFUSED)))
def test_hostile_archives_are_refused(tmp_path, make, limits, entries, problem):
    archive = make(tmp_path / ("a.zip" if make is zip_of else "a.tar.gz"), *entries)
    refusal(read, archive, limits, match=problem)


def test_a_bomb_in_a_header_is_refused(tmp_path):
    header = tarfile.TarInfo("p/x")
    header.type, header.size = tarfile.XHDTYPE, 10**8  # a header that claims to be 100 MB long
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(header.tobuf() + bytes(10**8))
    refusal(read, tmp_path / "a.tar.gz", match="unpacks to more than")


def test_other_formats_and_truncated_archives_are_refused(tmp_path):
    refusal(read, tmp_path / "a.rar", match=r"expected a \.tar\.gz or \.zip")
    for make, name in ((tar_of, "a.tar.gz"), (zip_of, "a.zip")):
        archive = make(tmp_path / name, ("p/x", bytes(range(256)) * 3))
        archive.write_bytes(archive.read_bytes()[:-200])
        refusal(read, archive, match="cannot be read as an archive")


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
