"""A project of one's own: baked, filled in, released and verified; and forked again."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import warm
import yaml
from conftest import LEAST, git, refusal

from train.artifact import read_json
from train.data.generated.stories import story
from train.keys import ROOT

SMALL = [word for word in LEAST if not word.startswith(("recipe=", "data."))]
SMALL += ["machine.threads=1", "machine.workers=1", "machine.cache=cache"]

tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", "pyproject.toml"], capture_output=True, text=True)
pytestmark = pytest.mark.skipif(not tracked.stdout, reason="only a git checkout can be forked")


def command(*line: str, at: Path, status: int = 0) -> str:
    done = subprocess.run([sys.executable, *line], cwd=at, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def fork(name: str, title: str, destination: Path, *more: str, root: Path = ROOT, status: int = 0) -> str:
    line = ["fork", name, title, str(destination), *more]
    if root == ROOT:
        return warm.command(*line, status=status)
    return command("scripts/pellucid.py", *line, at=root, status=status)


def put_texts(project: Path, name: str, count: int) -> None:
    """Texts and their licence, as step 1 of the project's README asks."""
    (project / name).mkdir()
    for number in range(count):
        (project / name / f"{number}.txt").write_text(story(7, number))
    (project / name / "LICENSE").write_text((ROOT / "LICENSE").read_text())


def fill_in(project: Path, name: str) -> None:
    """Steps 2 and 4: the data config and the card, and nothing else."""
    config, card = project / f"configs/data/{name}.yaml", project / f"data_cards/{name}.md"
    said = card.read_text().replace("TODO: the day, such as ", "")
    card.write_text(said.replace("TODO: ", "We say: ").replace("TODO", "so"))
    told = config.read_text().replace("TODO: who wrote the texts", "Ada and Ruth")
    told = told.replace("LicenseRef-TODO", "Apache-2.0").replace("language: TODO", "language: en")
    config.write_text(told.replace("TODO", "what"))
    said = command("scripts/run.py", f"recipe={name}", *SMALL, at=project, status=1)
    (found,) = re.findall(r"[0-9a-f]{64}", said)
    config.write_text(config.read_text().replace("sha256: null", f"sha256: {found}"))


def run_tests(project: Path, name: str) -> None:
    """The project's own tests of itself and of what was baked; all of them take as long as ours."""
    quick = ["tests/test_repo.py", "tests/test_config.py", "-k", f"test_repo or card or {name}"]
    command("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *quick, at=project)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project as it is baked."""
    destination = tmp_path_factory.mktemp("forked") / "deep" / "our_text"
    said = fork("our_text", 'Our "own" text', destination, "--authors", "Ada and Ruth")
    assert str(destination) in said
    return destination


def test_what_is_baked_is_named_and_says_what_it_is_made_from(project):
    citation = yaml.safe_load((project / "CITATION.cff").read_text())
    assert citation["authors"] == [{"name": "Ada and Ruth"}] and citation["title"].startswith('Our "own" text')
    assert citation["references"][0]["title"].startswith(yaml.safe_load((ROOT / "CITATION.cff").read_text())["title"])
    assert (project / "README.md").read_text().startswith('# Our "own" text\n')
    assert "Copyright " in (project / "NOTICE").read_text() and "The Pellucid" in (project / "NOTICE").read_text()
    assert 'name = "our_text"' in (project / "pyproject.toml").read_text()
    assert set(yaml.safe_load((project / ".github/workflows/check.yml").read_text())["jobs"]) == {"check"}
    assert re.search(r"commit ([0-9a-f]{40}|none)", (project / "UPGRADE.md").read_text())
    same = [name for name in git("ls-files", "train", "scripts", "tests", at=ROOT).split() if (ROOT / name).is_file()]
    assert same and all((project / name).read_bytes() == (ROOT / name).read_bytes() for name in same)
    assert os.access(project / ".ci/run", os.X_OK)
    assert set(git("ls-files", at=ROOT).split()) <= set(git("ls-files", at=project).split())


@pytest.mark.slow
def test_a_project_gets_to_a_verified_release_by_its_data_config_and_card_alone(tmp_path):
    project = tmp_path / "our_text"
    fork("our_text", "Our text", project)
    put_texts(project, "our_text", 150)
    card = (project / "data_cards/our_text.md").read_text()
    fill_in(project, "our_text")
    filled = (project / "data_cards/our_text.md").read_text()
    (project / "data_cards/our_text.md").write_text(card)
    said = command("scripts/run.py", "recipe=our_text", *SMALL, at=project, status=1)
    assert "data_cards/our_text.md:3: 'TODO'" in said and not list((project / "runs").glob("selected-*"))
    (project / "data_cards/our_text.md").write_text(filled)
    said = command("scripts/run.py", "recipe=our_text", *SMALL, at=project)
    assert "verify     holds (every check)" in said and "OSAID 1.0: complete" in said
    release = project / "releases/our_text-0.1.0"
    about = read_json(release / "code/config.json")["release"]
    assert about["title"] == "Our text" and about["authors"] == ["The Our text maintainers"]
    assert {statement["name"] for statement in about["statements"]} == {"The Our text maintainers"}
    assert (release / "README.md").read_text().count("Our text 0.1.0") and (release / "code/NOTICE").is_file()
    changed = git("diff", "--name-only", at=project).split()  # since it was baked
    assert changed == ["configs/data/our_text.yaml", "data_cards/our_text.md"]
    run_tests(project, "our_text")


@pytest.mark.slow
def test_a_fork_of_a_fork_is_a_project_too(project, tmp_path):
    second = tmp_path / "second"
    fork("second", "Second", second, root=project)
    assert (second / "configs/data/our_text.yaml").is_file()  # what it was made from comes along
    assert 'Made from Our "own" text 0.1.0, commit none' in (second / "CHANGELOG.md").read_text()
    notice = (second / "NOTICE").read_text()
    assert notice.index("Second") < notice.index('Our "own" text') < notice.index("Pellucid")
    put_texts(second, "second", 40)
    fill_in(second, "second")
    assert "documents  made" in command("scripts/run.py", "recipe=second", "until=documents", *SMALL, at=second)
    run_tests(second, "second")


@pytest.mark.slow
def test_later_changes_are_taken_over_as_the_note_says(project, tmp_path):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(theirs), at=tmp_path)
    for name in git("ls-files", at=ROOT).split():  # with what is not committed here
        if (ROOT / name).is_file():
            (theirs / name).parent.mkdir(parents=True, exist_ok=True)
            (theirs / name).write_bytes((ROOT / name).read_bytes())
    git("add", "--all", at=theirs)
    git("commit", "--quiet", "--allow-empty", "-m", "as it was forked", at=theirs)
    fork("ours", "Ours", ours, root=theirs)
    note = (ours / "UPGRADE.md").read_text()
    (commit,) = re.findall(r"commit ([0-9a-f]{40})\.", note)
    for name in ("train/model.py", "README.md", "docs/tour.md"):
        (theirs / name).write_text((theirs / name).read_text() + "\n# later\n")
    git("commit", "--quiet", "--all", "-m", "later", at=theirs)
    (ours / "train/model.py").write_text("# ours\n" + (ours / "train/model.py").read_text())
    git("add", "--all", at=ours)
    diff, apply = re.findall(r"^    (git .*)$", note, re.M)
    line = diff.replace("THEIRS", str(theirs)).replace("COMMIT", commit)
    subprocess.run(f"{line} && {apply}", shell=True, cwd=ours, check=True, capture_output=True)
    merged = (ours / "train/model.py").read_text()
    assert merged.startswith("# ours\n") and merged.endswith("# later\n")
    readme = (ours / "README.md").read_text()
    assert readme.startswith("# Ours\n") and readme.endswith("# later\n")
    assert (ours / "docs/tour.md").read_text().endswith("# later\n")


@pytest.mark.parametrize(("name", "title", "says"), [
    ("Our-Text", "Our text", "NAME: expected 2 to 40 small letters"), ("", "Our text", "NAME: expected"),
    ("../x", "Our text", "NAME: expected"), ("abc_", "Our text", "NAME: expected"),
    ("1e3", "Our text", "NAME: expected"), ("0x1f", "Our text", "NAME: expected"),
    *((name, "Our text", f"NAME: '{name}' is not text") for name in ("null", "no", "on", "off", "yes", "nan")),
    ("tiny", "Our text", "NAME: 'tiny' is taken by configs/recipe/tiny.yaml"),
    ("my_text", "Our text", "taken by configs/data/my_text.yaml"), ("our_text", " ", "TITLE: expected a line"),
    ("our_text", "two\nlines", "TITLE: expected a line"), ("our_text", "${oc.env:HOME}", "TITLE: expected a line"),
    ("our_text", "TODO", "TITLE: expected a line"),
])  # fmt: skip
def test_names_that_cannot_be_are_refused(name, title, says, tmp_path):
    said = fork(name, title, tmp_path / "new", status=1)
    assert said.startswith("error: ") and says in said and said.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_every_other_name_is_text_to_yaml_and_to_hydra(monkeypatch):
    import yaml
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf._utils import get_yaml_loader

    from train.commands.fork import NO_TEXT

    parser = OverridesParser.create()
    others = ["none", "y_1", "e3", "b1", "x1f", "o17", "infinity", "not_a", "ok", "undefined", "nil"]
    for name in (*NO_TEXT, *others):
        read = [yaml.load(name, get_yaml_loader()), yaml.safe_load(name), parser.parse_override(f"a={name}").value()]
        assert (name in NO_TEXT) == any(value != name for value in read), name


def test_a_folder_that_is_not_free_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    assert "is there and not empty" in fork("our_text", "Our text", tmp_path / "full", status=1)
    assert "beside this checkout" in fork("our_text", "Our text", ROOT / "inside", status=1)
    assert "beside this checkout" in fork("our_text", "Our text", ROOT, status=1)
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == '["full"]'


def test_what_git_tracks_comes_along_links_and_files_of_submodules_too_or_is_named(tmp_path, monkeypatch):
    from train.commands import fork as script

    for name, file in (("part", "a.py"), ("whole", "pyproject.toml")):
        git("init", "--quiet", str(tmp_path / name), at=tmp_path)
        (tmp_path / name / file).write_text(name)
    whole, new = tmp_path / "whole", tmp_path / "new"
    (whole / "link").symlink_to("nowhere")
    (whole / "dir").symlink_to("..")
    git("add", "--all", at=tmp_path / "part")
    git("commit", "--quiet", "-m", "first", at=tmp_path / "part")
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "part"), "odd part", at=whole)
    git("add", "--all", at=whole)
    monkeypatch.setattr(script, "ROOT", whole)
    monkeypatch.setattr(script, "written", lambda *_: {})
    script.bake("x", "X", "Y", new)
    assert git("ls-files", at=new).split("\n") == ["dir", "link", "odd part/a.py", "pyproject.toml"]
    assert (new / "odd part/a.py").read_text() == "part" and (new / "link").readlink() == Path("nowhere")
    (whole / "pyproject.toml").unlink()
    refusal(script.bake, "x", "X", "Y", new, match=r"toml: .*; `git checkout -- pyproject\.toml` brings")
    git("submodule", "--quiet", "deinit", "--all", "--force", at=whole)
    refusal(script.bake, "x", "X", "Y", new, match=r"odd part: .*; `git submodule update --init -- 'odd part'` brings")


def test_a_project_is_not_said_to_be_made_where_git_failed(tmp_path, monkeypatch):
    from train.commands import fork as script

    real = script.repository.git
    monkeypatch.setattr(script, "written", lambda *_: {})
    monkeypatch.setattr(script.repository, "git", lambda at, *words: None if words[0] == "add" else real(at, *words))
    refusal(script.bake, "x", "X", "Y", tmp_path / "deep/new", match="new: `git add --all` failed there")
    assert list(tmp_path.iterdir()) == []


def test_a_checkout_of_somebody_else_says_how_git_is_told_to_read_it(tmp_path, monkeypatch):
    from train.commands import fork as script

    monkeypatch.setattr(script.repository, "git", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(script.UserError, match=r"another user owns it; `git config --global --add safe\.directory /"):
        script.bake("x", "X", "Y", tmp_path / "new")


def test_without_git_there_is_nothing_to_fork_from(tmp_path):
    modules = ("__init__", "__main__", "artifact", "cli", "commands/__init__", "commands/fork", "errors", "unicode",
               "programs", "terminal", "release/__init__", "release/repository")  # fmt: skip
    scripts = ("scripts/pellucid.py", "pyproject.toml", "CITATION.cff")
    for name in (*scripts, "train/verbs.toml", *(f"train/{module}.py" for module in modules)):
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_bytes((ROOT / name).read_bytes())
    said = fork("our_text", "Our text", tmp_path / "new", root=tmp_path / "code", status=1)
    assert "not a git checkout" in said and not (tmp_path / "new").exists()
