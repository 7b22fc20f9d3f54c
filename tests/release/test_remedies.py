"""A good release that fails by what others did to its folder: the failure says what, and what to do."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import git

from train.artifact import write_json
from train.keys import ROOT
from train.release.bundle import manifest_of, source_tree, write_manifest
from train.release.verify.result import Result
from train.release.verify.run import verify


@pytest.fixture
def folder(tmp_path) -> Path:
    """A little folder whose manifest holds."""
    top = tmp_path / "release"
    (top / "code/train").mkdir(parents=True)
    (top / "code/train/a.py").write_text("a = 1\n")
    (top / "README.md").write_text("a\ncard\n")
    (top / "model.safetensors").write_bytes(b"weights")
    write_manifest(top)
    return top


def integrity(folder: Path) -> Result:
    (result,) = verify(folder, "quick", {"integrity"})
    return result


def add(*names: str):
    def put(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")

    return put


def cloned(folder: Path) -> None:
    """What the hub shows and git clones, with its own folder and empty ones in it."""
    for line in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "Release"]):
        git(*line, at=folder)


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7\n"
CASES = [
    (cloned, ".git is git's own: delete it"), (add(".git"), ".git is git's own: delete it"),
    (add("code/.git/HEAD"), ".git is git's own: delete it"),
    (lambda folder: (folder / "model.safetensors").write_text(POINTER),
    "1 files are pointers of Git LFS, not the files: run git lfs pull"),
    (lambda folder: [path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    for path in (folder / "README.md", folder / "code/train/a.py")], "2 files have other ends of lines: copy it anew"),
    (add("code/train/__pycache__/a.cpython-311.pyc"), "delete every __pycache__"),
    (add("code/train/a.pyc"), "delete every __pycache__"),
    (lambda folder: (folder / "code/__pycache__").mkdir(), "delete every __pycache__"),
    (add("code/.venv/bin/python"), "delete .venv and caches"), (add("code/.pytest_cache/x"), "delete .venv and caches"),
    (add(".DS_Store"), "macOS leaves"), (add("data/.DS_Store", "._README.md"), "macOS leaves"),
    (add("__MACOSX/._README.md"), "macOS leaves"), (add("Thumbs.db"), "Windows leaves"),
    (add("data/desktop.ini"), "Windows leaves"), (add(".nfs0000000001"), "a file system or desktop leaves"),
    (lambda folder: (folder / "lost+found").mkdir(), "a file system or desktop leaves"),
    (add("README.md~"), "an editor or a patch left copies"), (add(".idea/x"), "an editor left its settings"),
    (add("code/pellucid.egg-info/x"), "delete .venv and caches"), (add("README (1).md"), "a second download"),
    (add("code/train/.a.py.swp"), "an editor or a patch left copies"),
    (add("code/train/a.py.orig"), "an editor or a patch left copies"),
    (add(".ipynb_checkpoints/README-checkpoint.md"), "a notebook was run in it"),
    (add("model.safetensors.incomplete"), "a download is not complete"),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "says"), CASES, ids=[says[:30] for _, says in CASES])
def test_it_fails_all_the_same_and_the_cause_comes_first(harm, says, folder):
    assert integrity(folder) == Result("integrity", "holds", "")
    harm(folder)
    result = integrity(folder)
    assert result.status == "fails" and says in result.detail.split("; ")[0]


@pytest.mark.parametrize("name", ["a.txt", ".hidden", "notes/a.md", "cache", "gitattributes", "code/train/b.py"])
def test_what_nobody_is_known_to_leave_fails_without_a_guess(name, folder):
    add(name)(folder)
    assert integrity(folder) == Result("integrity", "fails", f"{name}: not in MANIFEST.json")


def test_a_changed_file_is_no_matter_of_line_ends(folder):
    size = (folder / "README.md").stat().st_size
    (folder / "README.md").write_bytes(b"another\r\ncard\r\n")
    assert integrity(folder) == Result("integrity", "fails", f"README.md: changed: 15 bytes, {size} are listed")
    (folder / "README.md").write_bytes(b"0" * size)
    told = r"README.md: changed: SHA-256 [0-9a-f]{12}, [0-9a-f]{12} is listed"
    assert re.fullmatch(told, integrity(folder).detail)
    (folder / "README.md").unlink()
    assert integrity(folder) == Result("integrity", "fails", "README.md: missing")


@pytest.mark.parametrize("names", [
    [".gitattributes"], [".cache/huggingface/.gitignore", ".cache/huggingface/download/model.safetensors.metadata"],
    [".gitattributes", ".cache/huggingface/CACHEDIR.TAG", ".cache/huggingface/download/x=.0a.incomplete"],
])  # fmt: skip
def test_the_books_of_the_hub_and_its_client_are_told_and_no_failure(names, folder):
    add(*names)(folder)
    told = f"beside {len(names)} files of the hub and its client, which nothing reads"
    assert integrity(folder) == Result("integrity", "holds", told)
    assert set(manifest_of(folder).products) == {"README.md", "code/train/a.py", "model.safetensors"}
    (folder / ".cache/huggingface/empty").mkdir(parents=True)
    assert integrity(folder).ok
    (folder / "README.md").write_text("changed")
    assert integrity(folder).detail.startswith("README.md: changed: SHA-256 ")


def test_a_manifest_that_lists_such_a_file_does_not_hold(folder):
    add(".gitattributes")(folder)
    found = manifest_of(folder)
    found.products[".gitattributes"] = found.products["README.md"]
    write_json(folder / "MANIFEST.json", asdict(found))
    assert ".gitattributes: missing" in integrity(folder).detail


# Byte code ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(ROOT.glob("scripts/*.py")), ids=lambda path: path.name)
def test_a_script_writes_no_byte_code_of_what_it_imports(path):
    text = path.read_text()
    if "__main__" in text:
        loading = re.search(r"\n(from train|import train|from compose|sys\.path\.insert)", text)
        first = re.search(
            r"\nsys\.dont_write_bytecode = True|\n    runpy\.run_path\(.*pellucid\.py", text
        )  # which says so
        assert not loading or (first and first.start() < loading.start())


def test_its_own_verify_leaves_a_release_as_it_was(folder):
    for name in source_tree(ROOT):
        if name.startswith(("scripts/", "train/")):
            (folder / "code" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "code" / name)
    write_manifest(folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for words in (["verify.py"], *(["pellucid.py", verb] for verb in ("archive", "sign", "diff", "assess"))):
        line = [sys.executable, str(folder / "code/scripts" / words[0]), *words[1:], "--help"]
        subprocess.run(line, env=env, check=True, stdout=subprocess.DEVNULL)
    line = [sys.executable, str(folder / "code/scripts/verify.py"), str(folder), "--quick", "--only", "integrity"]
    for _ in range(2):
        assert subprocess.run(line, env=env, check=False, capture_output=True).returncode == 0
    assert not [path for path in folder.rglob("*") if "__pycache__" in path.parts]
