"""A release judges files of pairs: as its own evaluation did, and what is no pair in one line."""

import json
import shutil

import pytest
import warm

from train.artifact import file_digest, read_json
from train.data.schema import read_rows

SIDES = ("sentence_good", "sentence_bad")


def judge(release, *arguments, status=0):
    return warm.command("score", release, *arguments, status=status)


def test_its_own_pairs_get_the_scores_that_they_have_in_it(release, tmp_path):
    recorded = read_json(release / "evaluation/minimal_pairs.json")["pairs"]
    rows = read_rows([release / "evaluation/data/pairs.parquet"])
    lines = [{**dict(zip(SIDES, r["choices"], strict=True)), "UID": r["group"]} for r in rows]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,) = json.loads(judge(release, tmp_path / "mine.jsonl", "--json")).values()
    assert found["file"] == file_digest(tmp_path / "mine.jsonl")
    others = read_json(release / "evaluation/minimal_pairs.json")["others"]
    sets = release.parents[1] / "sets"
    assert others["files"] == {path.name: file_digest(path) for path in sets.glob("*.jsonl")}
    assert (others["purl"], others["pairs"]) == ("pkg:generic/others@1", 1)
    for name in ("value", "low", "high", "pairs", "ties", "byte_4gram", "groups"):
        assert found[name] == recorded[name], name
    said = judge(release, tmp_path / "mine.jsonl").splitlines()
    assert said[0].split()[:2] == ["mine", f"{recorded['value']:.4f}"] and len(said) == 2 + len(recorded["groups"])


def test_its_own_questions_too_and_files_of_pairs_have_an_average(release, tmp_path):
    recorded = read_json(release / "evaluation/multiple_choice.json")["others"]
    files = tmp_path / "files"
    shutil.copytree(release.parents[1] / "sets", files)
    (files / "more.jsonl").write_text(json.dumps({"sentence_good": "A cat sits.", "sentence_bad": "A cat sit."}))
    found = json.loads(judge(release, files, "--json"))
    assert found.keys() == {"more", "pairs", "all files of pairs", "questions"}
    for name in ("acc", "acc_norm", "chance", "items"):
        assert found["questions"][name] == recorded[name], name
    whole = found["all files of pairs"]
    assert whole["average"]["value"] == (found["more"]["value"] + found["pairs"]["value"]) / 2
    assert whole["fields"].keys() == {"morphology"} and whole["phenomena"].keys() == {"subject_verb_agreement"}
    said = judge(release, files)
    assert f"questions, acc_norm {recorded['acc_norm']['value']:.4f}" in " ".join(said.split())
    assert "mean of 2 groups" in said and "chance 0.5000" in said


@pytest.mark.parametrize(("content", "says"), [
    ("", "has no items"),
    ("{}\n", "line 1: expected a JSON object"),
    ('\n{"question": "a", "choices": ["b", "c"], "answer": 2}', "line 2: the answer 2 is none of the 2 choices"),
    ('{"text": "alone"}\n', "holds no choices"),
])  # fmt: skip
def test_what_is_no_pair_is_told_in_a_line(release, tmp_path, content, says):
    (tmp_path / "odd.jsonl").write_text(content)
    said = judge(release, tmp_path / "odd.jsonl", status=1)
    assert said.startswith("error: ") and says in said and said.count("\n") == 1


def test_what_is_not_there_is_told_in_a_line(release, tmp_path):
    said = judge(release, tmp_path / "absent.jsonl", status=1)
    assert said.startswith("error: ") and "absent.jsonl: no such file" in said
    said = judge(tmp_path, release.parents[1] / "sets", status=1)
    assert said.startswith("error: ") and "`make release` makes one" in said
