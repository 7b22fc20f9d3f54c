"""The command: one way of help, of errors and of exit status, for every verb, from a checkout and from a wheel."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import refusal

from train import cli
from train.cli import VERBS
from train.data.sources import places
from train.release.prove import sandbox

ROOT = Path(__file__).resolve().parents[1]
DOORS = {"run": "release", "pairs": "score"} | {
    verb: verb for verb in VERBS if verb not in ("release", "score", "plan", "config", "bench", "selftest")
}
DOOR = '''"""`pellucid {verb}` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("{name}.py") + "pellucid.py", {{"VERB": "{verb}"}}, __name__)
'''


@pytest.mark.parametrize("name", DOORS)
def test_a_script_of_a_verb_is_a_door_and_nothing_else(name):
    assert (ROOT / "scripts" / f"{name}.py").read_text() == DOOR.format(name=name, verb=DOORS[name])


@pytest.mark.parametrize(("before", "name", "says"), [
    *(("", name, r"\w+ is not installed; `make setup` makes .*") for name in ("run", "bench", "picture")),
    ("import sys; sys.version_info = (3, 10, 9);", "run", "Python 3.11.2 or newer is needed; `make setup` .*"),
])  # fmt: skip
def test_a_script_without_what_it_needs_says_so_in_a_line(before, name, says):
    run = f"{before}import runpy; runpy.run_path('scripts/{name}.py', run_name='__main__')"
    line = [sys.executable, "-S", "-c", run]  # without the packages that are installed
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and re.fullmatch(f"error: {says}\n", done.stderr)


def test_there_is_a_command_for_each_verb():
    commands = {path.stem for path in (ROOT / "train/commands").glob("[!_]*.py")}
    assert commands == VERBS.keys()


def test_the_overview_tells_each_verb_in_a_sentence(pellucid):
    status, out, _ = pellucid("--help")
    assert status == 0 and pellucid() == (0, out, "")
    for name, verb in VERBS.items():
        assert re.search(rf"^  {name} +{re.escape(verb.does)}$", out, re.M)


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_has_a_sentence_an_example_that_parses_and_exit_statuses(name, pellucid):
    status, out, _ = pellucid(name, "--help")
    words = " ".join(out.split())
    assert status == 0 and VERBS[name].does[1:] in words and "--json" in words
    assert f"pellucid {name} {VERBS[name].example}" in words
    assert [f" {number} " in words.split("exit status:")[1] for number in (0, 1, 130)] == [True] * 3
    assert (" 2 " in words.split("exit status:")[1]) == bool(VERBS[name].judges)
    line = subprocess.run(["sh", "-c", f"printf '%s\\0' {VERBS[name].example}"], capture_output=True, text=True)
    assert cli.parse(name, line.stdout.split("\0")[:-1]).json is False


def test_a_user_without_a_home_is_told_so_where_one_is_needed_alone(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    refusal(places.obtain, None, None, Path("~/x"), match="^~/x: this user has no home folder; set HOME")
    assert cli.parse("verify", ["~/x"]).release == [Path("~/x")] and sandbox.confined(["x"], [], [])[-1] == "x"


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_takes_a_number_of_threads(name, pellucid, monkeypatch):
    words = [*re.sub(r"[<>'\"].*?[<>'\"]", "x", VERBS[name].example).split(), "machine.threads=3"]
    args = cli.parse(name, words)
    told = [word for value in vars(args).values() if isinstance(value, list) for word in map(str, value)]
    assert (args.threads == "3") is not ("machine.threads=3" in told)
    if args.threads:
        assert cli.parse(name, [*words[:-1], "machine.threads=7", *words[-1:]]).threads == "3"


def test_the_version_is_that_of_the_project(pellucid):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert pellucid("--version") == (0, f"pellucid {version}\n", "")


@pytest.mark.parametrize(("words", "status", "says"), [
    (["verfy"], 2, "verfy: no such verb; did you mean 'verify'?"),
    (["frobnicate"], 2, "frobnicate: no such verb; `pellucid --help` lists all verbs"),
    (["--versoin"], 2, "--versoin: no such option; did you mean '--version'?"),
    (["verify", "x", "--quik"], 2, "unrecognized arguments: --quik; did you mean '--quick'?"),
    (["verify"], 2, "required: release"), (["verify", "machine.threads=1"], 2, "give the folder of a release"),
    (["verify", "x", "--quick", "--deep"], 2, "not allowed with argument --quick"),
    (["verify", "nowhere"], 2, "nowhere: not a release"),
    (["replay", "x", "--segment", "1", "--all"], 2, "not allowed with argument --segment"),
    (["diff", "a"], 2, "required: after"), (["release", "--multirn"], 1, "did you mean '--multirun'?"),
    (["release", "recipe=tin"], 1, "recipe/tin"),
    (["release", "--sumbit"], 1, "unrecognized arguments: --sumbit; --help shows"),
    (["plan", "trainin.steps=1"], 1, "trainin.steps: no such key; did you mean 'training.steps'?"),
    (["release", "hydra.run.dir=x"], 1, "Hydra's own settings mean nothing here"),
    (["explore", "stpe", "1"], 1, "did you mean 'step'?"),
    (["explore", "step"], 1, "explore step: expected the number of a step, got nothing"),
    (["explore", "search", "a", "b"], 1, "expected one text, got 'a' 'b'"),
    (["explore", "affected"], 1, "expected at least one ID or PURL"),
    (["sample", "x", "--serve", "99999"], 1, "expected a port"), (["sign", "x"], 1, "give --key, or --collect"),
    (["config", "trainin"], 1, "trainin: no such group or key; did you mean 'training'?"),
    (["config", "training.steps=many"], 1, "training.steps: expected int"),
    (["archive", "nowhere"], 1, "nowhere: not a release"),
    (["verify", "x", "--minutes", "inf"], 2, "--minutes: invalid duration value: 'inf'"),
    (["plan", "--seconds", "0"], 1, "--seconds: invalid duration value: '0'"),
    (["--json", "verify", "x"], 2, "--json: no such option; a verb comes first; `pellucid --help` lists all verbs"),
])  # fmt: skip
def test_what_is_wrong_is_one_line_with_what_was_meant(words, status, says, pellucid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, out, err = pellucid(*words)
    assert (found, out) == (status, "") and err.startswith("error: ") and says in err
    assert len(err.splitlines()) == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("text", "says"), [
    ("{}", "name: missing"), ("[]", "expected a mapping, as code/config.json"), ('{"name": 1}', "name: expected str"),
    ('{"name": "a", "release": null}', "release: expected mapping"), ("no", "cannot be read as JSON"),
])  # fmt: skip
def test_what_is_no_configuration_is_told_in_lines(text, says, pellucid, tmp_path):
    (tmp_path / "own.json").write_text(text)
    status, out, err = pellucid("release", "--config", str(tmp_path / "own.json"))
    assert (status, out) == (1, "") and says in err and all(line.startswith("error: ") for line in err.splitlines())


def test_a_judge_never_crashes_on_what_it_reads_and_others_show_our_mistakes(pellucid, monkeypatch):
    import train.commands.archive
    import train.commands.diff

    def broken(*_):
        raise KeyError("x")

    monkeypatch.setattr(train.commands.diff, "confine", broken)
    monkeypatch.setattr(train.commands.archive, "require", broken)
    assert pellucid("diff", "a", "b") == (2, "", "error: KeyError: 'x'\n")
    with pytest.raises(KeyError):
        pellucid("archive", "a")


def test_a_config_shows_key_meaning_allowed_values_and_value(pellucid):
    _, out, _ = pellucid("config", "training.optimizer", "training.numerics.contract", "recipe=tiny", "--json")
    rows = {row["key"]: row for row in json.loads(out)}
    assert {key.rpartition(".")[0] for key in rows} == {"training.optimizer", "training.numerics"}
    assert rows["training.optimizer.clip"] == {
        "key": "training.optimizer.clip", "meaning": "largest norm of the whole gradient", "allowed": "number, above 0",
        "value": 1.0,
    }  # fmt: skip
    assert rows["training.optimizer.schedule"]["allowed"] == "cosine | linear | warmup_stable_decay"
    assert rows["training.optimizer.base_width"]["allowed"] == "integer, at least 1 or null"
    shown = pellucid("config", "data.raw", "recipe=tiny")[1]
    assert "data.raw.sources.0.kind = 'stories'\n    stories" in shown and "training" not in shown


# The wheel ----------------------------------------------------------------------------------------------------------


def test_the_wheel_has_every_package_and_every_group_of_configs():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    own = {path.parent.relative_to(ROOT) for path in ROOT.glob("train/**/*") if path.is_file()}
    configs = {path.parent.relative_to(ROOT) for path in ROOT.glob("configs/**/*.yaml")}
    wanted = {path for path in own if "__pycache__" not in path.parts} | {Path("train", path) for path in configs}
    assert set(tool["packages"]) == {".".join(path.parts) for path in wanted}


def test_an_installed_package_says_what_needs_the_source_tree(installed):
    said = installed("release", "recipe=tiny", status=1)
    assert said.startswith("error: release: works in a clone of the repository alone") and "verify, replay" in said
    assert "pellucid " in installed("--version") and "model.layers = 2" in installed("config", "model", "recipe=tiny")


@pytest.mark.parametrize("words", [
    ("verify", "", "--quick"), ("verify", "x", "--public-key", ""), ("assess", ""), ("archive", "x", "--into", ""),
    ("sample", ""), ("explore", "step", "1", "--from", ""), ("score", "x", ""), ("fork", "a_b", "T", ""),
])  # fmt: skip
def test_an_empty_path_is_not_the_folder_one_is_in(pellucid, words):
    status, out, err = pellucid(*words)
    assert (status, out) == (cli.failure(VERBS[words[0]]), "") and err.startswith(
        "error: an empty argument where a path"
    )


@pytest.mark.parametrize("words", [("verify", "LOOP"), ("fork", "our_text", "T", "LOOP"), ("reproduce", "LOOP/x"),
                                   ("archive", "x", "--into", "LOOP"), ("replay", "LOOP")])  # fmt: skip
def test_links_in_a_circle_are_one_line(pellucid, words, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    status, out, err = pellucid(*(word.replace("LOOP", str(tmp_path / "loop")) for word in words))
    assert (status, out) == (cli.failure(VERBS[words[0]]), "") and err.count("\n") <= 1
    assert err.startswith(f"error: {tmp_path}/loop") and "links lead in a circle; name another place" in err


def test_the_home_folder_is_meant_wherever_an_argument_says_so(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/nobody")
    args = cli.parse("archive", ["~/release", "--into=~/out"])
    assert (args.release, args.into) == (Path("/home/of/nobody/release"), Path("/home/of/nobody/out"))
    assert [cli.path(text) for text in ("~x/a", "a/~", "~~")] == [Path("~x/a"), Path("a/~"), Path("~~")]
