"""Releases that hold less on purpose: what is there is checked, what is not is said, and nothing more is claimed."""

import shutil
from pathlib import Path

import pytest
from warm import command

from train.artifact import read_json, write_json
from train.release import partial
from train.release.assess import assess
from train.release.bundle import manifest_of
from train.release.standards.osaid import regular_files
from train.release.verify.run import verify

LEVELS = ("weights", "tooling")
WORDS = "It is not Open Source AI, and nothing here shows that it can be made again"


@pytest.fixture(scope="session", params=LEVELS)
def made(request, home, small) -> tuple[Path, str]:
    """A release of a level, from the artifacts that the full one was made of, and what the command said."""
    said = command("run.py", *small, f"release.level={request.param}")
    assert said.count(" kept ") == 8 and "verify     holds (every check of what is there)" in said
    return home / "releases" / f"tiny-0.1.0-{request.param}", said


@pytest.fixture
def less(made, tmp_path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(made[0], tmp_path / "less"))


def reseal(release: Path) -> None:
    write_json(release / "MANIFEST.json", manifest_of(release))


def test_it_is_a_part_of_the_full_release_and_lies_beside_it(made, release):
    paths = set(regular_files(made[0]))
    own = {"MANIFEST.json", "README.md", "REUSE.toml", "openness.json", "code/config.json", "code/overrides.json"}
    assert own < paths and paths < set(regular_files(release))
    same = [p for p in paths - own if not p.startswith("logs/")]
    assert all((made[0] / path).read_bytes() == (release / path).read_bytes() for path in same)
    code = [path for path in paths if path.startswith("code/") and path not in own]
    assert bool(code) == made[0].name.endswith("tooling")
    assert not any(path.startswith(("data/", "checkpoints/", "evaluation/data/")) for path in paths)


def test_terminal_card_and_table_say_what_it_is_not(made):
    release, said = made
    card, found = (release / "README.md").read_text(), read_json(release / "openness.json")
    assert WORDS in said and WORDS in card and WORDS in found["verdict"]["partial"]
    assert "OSAID 1.0: INCOMPLETE" in said and found["verdict"]["osaid_1_0"] is False
    lacks = [row for row in found["rows"] if row["class"] == "must" and row["status"].startswith("absent")]
    assert found["verdict"]["absent"] == [row["id"] for row in lacks]
    assert {"1", "2", "3", "6", "7", "description", "completeness"} < set(found["verdict"]["absent"])
    assert all(f"\n* {row['requirement']}\n" in card for row in lacks)
    assert found["verdict"]["reproducibility"] == {"level": "none", "ran": [], "not_run": []}
    assert found["verdict"]["mof_class"]["class"] == "none"
    assert not found["verdict"]["all_training_data_included_and_free"]
    assert "open-source-ai" not in card and "can be checked by a program" not in card


def test_verify_checks_what_is_there_and_says_so(made):
    said = command("verify.py", made[0])
    (last,) = (line for line in said.splitlines() if "checks hold" in line)
    assert f": a partial release, made on purpose (release.level={made[0].name[11:]})" in last and "fail" not in last
    assert WORDS in command("verify.py", made[0], "--quick")
    assert "'tokens' is no check of this level" in command("verify.py", made[0], "--only", "tokens", status=2)


def test_assess_agrees(made):
    report, found = assess(made[0], None), read_json(made[0] / "openness.json")
    theirs = {item["id"]: item["status"] for item in report["items"]}
    for row in found["rows"]:
        if row["class"] != "beyond" and row["status"].startswith("evidenced"):
            assert theirs[row["id"]] == "shown"
    absent = set(found["verdict"]["absent"])
    # Code without the record of what it did, and licences without those of the data: shown, and not enough for us.
    assert {item for item in absent if theirs[item] == "shown"} <= {"5", "11", "18"}
    kind = "open weights and code" if made[0].name.endswith("tooling") else "open weights"
    assert report["verdict"].startswith(f"{kind}: ") and "; not Open Source AI because" in report["verdict"]


def test_what_takes_all_of_a_release_is_refused_in_a_line(made, tmp_path):
    for script in ("replay.py", "reproduce.py"):
        assert command(script, made[0], status=2).startswith(f"error: {made[0]}: a partial release, made on purpose")
    (tmp_path / "key.pem").write_text("")
    assert "a partial release" in command("sign.py", made[0], "--key", tmp_path / "key.pem", status=1)


@pytest.mark.parametrize(
    "alter, check, detail",
    [
        (lambda r: (r / "tokenizer.json").unlink(), "completeness", "tokenizer.json: missing"),
        (lambda r: (r / "more.txt").write_text("x"), "completeness", "more.txt: is not of level"),
        (lambda r: (r / "README.md").write_text("# Open Source AI\n"), "cards", "README.md: not what its records give"),
        (lambda r: (r / "openness.json").write_text("{}"), "osaid", "openness.json: not what its records give"),
        (lambda r: (r / "config.json").write_text("{}"), "weights", "config.json: not what its records give"),
        (lambda r: (r / "LICENSE").write_text("Mine.\n"), "parameter_terms", "LICENSE: not the text of Apache-2.0"),
    ],
)
def test_what_is_there_must_hold(less, alter, check, detail):
    alter(less)
    reseal(less)
    (result,) = verify(less, "full", {check})
    assert not result.ok and detail in result.detail


def test_a_partial_release_cannot_pass_for_a_full_one(less):
    config = read_json(less / "code/config.json")
    write_json(less / "code/config.json", {**config, "release": {**config["release"], "level": "full"}})
    reseal(less)
    found = {result.name: result.ok for result in verify(less, "full", {"integrity", "completeness", "osaid", "cards"})}
    assert found == {"integrity": True, "completeness": False, "osaid": False, "cards": False}


@pytest.mark.parametrize("config", [b"", b"[]", b'{"release": 3}', b'{"release": {"level": ["weights"]}}', b"[" * 9**5])
def test_a_config_that_is_none_says_nothing_less_than_full(tmp_path, config):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/config.json").write_bytes(config)
    assert partial.level(tmp_path) == "full"
