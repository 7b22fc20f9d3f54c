"""What is given to make reaches the scripts to the letter, and the release is of the version that the config tells."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from train import cli
from train.cli import VERBS
from train.keys import ROOT

WORDS = [
    'He said "hi" for $5 and `touch ran`', "it's", "$(touch ran)", "$(shell touch ran)", "${HOME}", "$$",
    "a; touch ran", "a && touch ran", "a | tee ran", "a > ran", "back\\slash \\n \\", "two\nlines", "*", "~",
    "#no comment", "100 %",
    "-x", "--serve", "two  blanks", "日本 Ünïcode", "a=b", "!history", "{a,b}", "$(error x)", "$@", "tab\there",
]  # fmt: skip
PLACES = {  # variable -> target, and what stands around it in the script's arguments
    "PROMPT": ("sample", "--prompt={}"), "RELEASE": ("verify", "{}"), "BEFORE": ("diff", "{}"), "TO": ("publish", "{}"),
    "KEY": ("sign", "--key={}"), "FOLDER": ("assess", "{}"), "FILES": ("score", "{}"), "NAME": ("fork", "{}"),
    "TITLE": ("fork", "{}"), "DEST": ("fork", "{}"), "SEGMENT": ("replay", "--segment={}"),
    "RECIPE": ("release", "recipe={}"),
}  # fmt: skip


@pytest.fixture
def make(tmp_path):
    """A function that runs make in a folder with the configs alone; returns the arguments that a script gets."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "echo.py").write_text("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")

    def arguments(target: str, given: dict[str, str], by_environment: bool = False) -> list[str]:
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        line = ["make", "-s", "-o", ".venv/complete", f"RUN={sys.executable} echo.py", target]
        line += [] if by_environment else [f"{name}={value}" for name, value in given.items()]
        env |= given if by_environment else {}
        done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        assert not (tmp_path / "ran").exists()
        return json.loads(done.stdout)

    return arguments


@pytest.mark.parametrize("word", WORDS)
def test_a_prompt_reaches_the_model_to_the_letter(word, make):
    expected = ["scripts/pellucid.py", "sample", "releases/reference-0.1.0", f"--prompt={word}", "--tokens", "1"]
    assert make("sample", {"PROMPT": word, "ARGS": "--tokens 1"}) == expected


@pytest.mark.parametrize("by_environment", [False, True])
@pytest.mark.parametrize("name", PLACES)
def test_every_variable_reaches_its_script_to_the_letter(name, by_environment, make):
    target, place = PLACES[name]
    word = "My \"own\" 'texts' $5 `touch ran` $(touch ran); touch ran"
    assert place.format(word) in make(target, {name: word}, by_environment)


def test_what_is_not_given_is_left_out(make):
    for verb in ("sign", "replay"):
        assert make(verb, {}) == ["scripts/pellucid.py", verb, "releases/reference-0.1.0"]
    assert make("sample", {}) == ["scripts/pellucid.py", "sample", "releases/reference-0.1.0", "--prompt=The"]
    title = make("fork", {"NAME": "a", "TITLE": "-t", "DEST": "b c", "ARGS": "--authors x"})
    assert title == ["scripts/pellucid.py", "fork", "--authors", "x", "--", "a", "-t", "b c"]


COMMANDS = re.findall(r"(?m)^make (?!help|test)(\w+)([^#\n]*)", (ROOT / "docs/commands.md").read_text())


@pytest.mark.parametrize(("target", "rest"), COMMANDS)
def test_each_command_of_the_docs_is_one_that_parses(target, rest, make):
    given = dict(word.partition("=")[::2] for word in shlex.split(rest))
    _, verb, *words = make(target, given)
    assert verb == target and cli.parse(verb, words).json is False


def test_the_docs_show_every_verb():
    assert {target for target, _ in COMMANDS} == VERBS.keys()


@pytest.mark.parametrize(("recipe", "own", "version"), [
    ("tiny", None, "0.1.0"), ("tiny", "version: 1.2.3\n", "1.2.3"), ("tiny", 'version: "1.10"\n', "1.10"),
    ("tiny", "version: '2' # after review\n", "2"),
    ("tiny", "# version: 9\ntitle: x\nversion: 3.0-rc1   # no\n", "3.0-rc1"), ("tiny", "title: x\n", "0.1.0"),
    ("no_such", None, "0.1.0"),
])  # fmt: skip
def test_the_release_is_of_the_version_that_the_config_tells(recipe, own, version, make, tmp_path):
    if own is not None:
        path = tmp_path / "configs/recipe/tiny.yaml"
        path.write_text(path.read_text().replace("\ndefaults:\n", "\ndefaults:\n  - override /release: ours\n", 1))
        (tmp_path / "configs/release/ours.yaml").write_text(own)
        assert "ours" in path.read_text()
    assert make("verify", {"RECIPE": recipe}) == ["scripts/pellucid.py", "verify", f"releases/{recipe}-{version}"]


def test_a_raised_version_is_followed_by_every_recipe_that_takes_it(make, tmp_path):
    path = tmp_path / "configs/release/default.yaml"
    path.write_text(path.read_text().replace("version: 0.1.0", "version: 0.2.0"))
    assert make("verify", {})[-1] == "releases/reference-0.2.0" and make("verify", {"RELEASE": "other"})[-1] == "other"
