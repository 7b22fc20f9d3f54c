import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import refusal

from train import artifact
from train.errors import UserError

BOUND = artifact.Bound("thing", "k", None, {}, {})


def sealed(runs: Path, **files: bytes) -> Path:
    part, final = runs / "thing-1.part", runs / "thing-1"
    for name, data in files.items():
        artifact.write_bytes(part / name.replace("__", "/"), data)
    artifact.seal(part, final, BOUND)
    return final


def test_canonical_json_is_one_spelling():
    assert artifact.canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()
    refusal(artifact.canonical_json, float("nan"), error=ValueError)
    # SHA-256 of the two bytes {}
    assert artifact.digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.mark.parametrize("text", [
    '{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]', '{"a": 1, "\\u0061": 2}', "[NaN]", '{"a": -Infinity}',
    "Infinity", "1e999", "[-1e999]", "{", '{"a": ', "[1] 2", "[" * 100_000, "1" * 5000,
])  # fmt: skip
def test_json_is_read_strictly(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    refusal(artifact.read_json, tmp_path / "a.json", match=r"a\.json: cannot be read as JSON")
    refusal(artifact.read_json, tmp_path, match=r"cannot be read \(Is a directory\)")


def test_a_record_is_found_by_its_pointer(tmp_path):
    artifact.write_json(tmp_path / "x.json", {"a/b": [{"c": 3}]})
    assert artifact.read_json(tmp_path / "x.json", "/a~1b/0/c") == 3
    refusal(artifact.read_json, tmp_path / "x.json", "/a~1b/1", match=r"x\.json: nothing stands at /a~1b/1")


def test_seal_lists_products_and_leaves_witnesses_out_and_what_is_sealed_can_be_moved(tmp_path):
    found = sealed(tmp_path, a=b"1", deep__b=b"22", witness__log=b"now")
    products = artifact.manifest(found).products
    assert {name: entry.bytes for name, entry in products.items()} == {"a": 1, "deep/b": 2}
    assert not (tmp_path / "thing-1.part").exists() and artifact.check(found) == []
    moved = found.rename(tmp_path / "moved")
    assert artifact.check(moved) == []
    assert (artifact.set_aside(moved, "damaged") / "a").read_bytes() == b"1" and not moved.exists()


def test_the_digest_of_products_depends_on_products_only(tmp_path):
    one = sealed(tmp_path / "x", a=b"1", witness__log=b"now")
    two = sealed(tmp_path / "elsewhere", a=b"1", witness__log=b"later")
    three = sealed(tmp_path / "y", a=b"2")
    assert artifact.manifest(one).digest == artifact.manifest(two).digest != artifact.manifest(three).digest
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()


@pytest.mark.parametrize(("damage", "line"), [
    (lambda d: (d / "a").write_bytes(b"2"), "a: expected"),
    (lambda d: (d / "a").unlink(), "a: missing"),
    (lambda d: (d / "c").write_bytes(b""), "c: not in the manifest"),
    (lambda d: (d / "c").symlink_to("a"), "only regular files"),
    (lambda d: (d / "manifest.json").write_text("{"), "cannot be read as JSON"),
    (lambda d: (d / "manifest.json").write_text("[]"), "not the manifest"),
])  # fmt: skip
def test_check_names_what_differs(tmp_path, damage, line):
    found = sealed(tmp_path, a=b"1", b=b"2")
    damage(found)
    (problem,) = artifact.check(found)
    assert line in problem


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    artifact.write_bytes(tmp_path / "a", b"old")
    with pytest.raises(RuntimeError), artifact.whole(tmp_path / "a") as file:
        file.write(b"new, but only half of i")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("make", [artifact.whole, artifact.whole_folder])
def test_what_fails_takes_the_folders_with_it_that_it_made_and_no_other(make, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(RuntimeError), make(tmp_path / "mine/deep/er/a"):
        assert len(list((tmp_path / "mine/deep/er").iterdir())) == 1
        raise RuntimeError
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]
    with pytest.raises(RuntimeError), make(tmp_path / "mine/deep/er/a"):
        (tmp_path / "mine/deep/of another").write_text("")
        raise RuntimeError
    assert {path.name for path in tmp_path.rglob("*")} == {"mine", "deep", "of another"}
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), make(tmp_path / "new" / f"{'x' * 300}/a"):
        pass
    with pytest.raises(OSError), make(tmp_path / "file/a"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_folder_is_made_whole_where_nothing_or_an_empty_one_stands(tmp_path):
    (tmp_path / ".b.tmp").mkdir()
    (tmp_path / ".b.tmp/left").write_text("of a process that was killed")
    (tmp_path / "b").mkdir()
    for name in ("a", "b"):
        with artifact.whole_folder(tmp_path / name) as folder:
            (folder / "x").write_text(name)
            assert not (tmp_path / name / "x").exists()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("a", "a/x", "link"):
        with pytest.raises(UserError, match="is not free"), artifact.whole_folder(tmp_path / name):
            raise AssertionError
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "link", "x", "x"]


def test_a_killed_write_leaves_what_was_there_and_seal_sweeps_its_remains(tmp_path):
    part = tmp_path / "thing-1.part"
    artifact.write_bytes(part / "a", b"old")
    program = (
        "import os, sys; from pathlib import Path; from train.artifact import whole\n"
        "with whole(Path(sys.argv[1])) as file: file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", program, part / "a"], cwd=root, check=False)
    assert done.returncode == -9 and (part / "a").read_bytes() == b"old" and len(list(part.iterdir())) == 2
    artifact.seal(part, tmp_path / "thing-1", BOUND)
    assert sorted(p.name for p in (tmp_path / "thing-1").iterdir()) == ["a", "manifest.json"]
