"""Evaluation sets: our own and files of JSON lines, pinned; what is no item is named by file and line."""

import hashlib
import json
import re

import pytest
import yaml
from conftest import ROOT, WORLD, refusal, source

from train.artifact import digest, inventory, read_json
from train.config import build
from train.data.benchmarks import BenchmarksConfig, gather, item
from train.data.schema import ITEM, read_rows
from train.errors import ConfigError
from train.world import World

PAIR = {"sentence_good": "Nora sees herself.", "sentence_bad": "Nora sees himself.", "pairID": "7"}
FILES = {
    "agreement.jsonl": [PAIR, {**PAIR, "sentence_good": "He runs.", "UID": "verbs", "field": "syntax"}],
    "questions.jsonl": [{"text": "What is the answer, and why?"}],
}


def settings(folder, files=FILES, name="grammar", own=None):
    """The config of one set of `files`, which are written to `folder`."""
    written = {name: "".join(json.dumps(row) + "\n" for row in rows) for name, rows in files.items()}
    written["LICENSE"] = "do as you like"
    (folder / "sets").mkdir()
    for path, text in written.items():
        (folder / "sets" / path).write_text(text)
    named = {"path": "sets", "purl": f"pkg:generic/{name}@1", "licence": "CC-BY-4.0", "include": ["*.jsonl"]}
    sha256 = digest({path: hashlib.sha256(text.encode()).hexdigest() for path, text in written.items()})
    return build(BenchmarksConfig, {"pairs": own, "raw": {"sources": [source(**named, sha256=sha256)]}})


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows(out, name):
    return list(read_rows([out / f"{name}.parquet"]))


def test_our_own_set(tmp_path):
    gather(build(BenchmarksConfig, {"pairs": {"seed": 1, "count": 3}, "raw": None}), {}, tmp_path, WORLD)
    found = rows(tmp_path, "pairs")
    assert list(found[0]) == ITEM.names
    assert [row["id"] for row in found[:4]] == [
        *(f"subject_verb_agreement:{n}" for n in (1, 2, 3)), "agreement_past_a_noun:1",
    ]  # fmt: skip
    assert all(row["set"] == "pairs" and len(set(row["choices"])) == 2 and not row["answer"] for row in found)
    (record,) = read_json(tmp_path / "sets.json")
    assert (record["name"], record["licence"], record["items"]) == ("pairs", "Apache-2.0", len(found))
    assert set(record["groups"].values()) == {3}


def test_files_of_pairs_and_of_texts(tmp_path):
    gather(settings(tmp_path, own={"seed": 1, "count": 1}), {}, tmp_path / "out", WORLD)
    assert [tuple(row.values()) for row in rows(tmp_path / "out", "grammar")] == [
        ("grammar", "agreement", "", "", "agreement.jsonl:1", "", ["Nora sees herself.", "Nora sees himself."], 0),
        ("grammar", "verbs", "syntax", "", "agreement.jsonl:2", "", ["He runs.", "Nora sees himself."], 0),
        ("grammar", "questions", "", "", "questions.jsonl:1", "", ["What is the answer, and why?"], 0),
    ]
    own, record = read_json(tmp_path / "out" / "sets.json")
    assert own["name"] == "pairs"
    assert (record["name"], record["licence"], record["items"]) == ("grammar", "CC-BY-4.0", 3)
    assert record["groups"] == {"agreement": 1, "verbs": 1, "questions": 1}
    text = tmp_path / "out" / "licences" / f"{record['licences']['LICENSE']}.txt"
    assert text.read_text() == "do as you like"


def test_any_number_of_workers_gathers_the_same_bytes(tmp_path):
    config = settings(tmp_path, own={"seed": 1, "count": 2})
    for size in (1, 2, 3):
        for rank in reversed(range(size)):
            gather(config, {}, tmp_path / str(size), World(rank, size, WORLD.machine))
    assert inventory(tmp_path / "1") == inventory(tmp_path / "2") == inventory(tmp_path / "3")


@pytest.mark.parametrize("wrong", [
    {"sentence_good": "alone"}, {"text": 7}, {"text": None}, {"text": "\ud800"}, {"text": "x", "UID": 3}, ["text"],
    5, {},
])  # fmt: skip
def test_a_line_that_is_no_item_is_named(tmp_path, wrong):
    config = settings(tmp_path, {"one.jsonl": [PAIR, wrong]})
    said = refusal(gather, config, {}, tmp_path / "out", WORLD)
    assert said.startswith("pkg:generic/grammar@1: one.jsonl, line 2: expected a JSON object with")


QUESTION = {"question": "It is", "choices": ["red", "not"], "answer": 1}
ENDINGS = {"endings": ["runs.", "[step] sits  down."], "label": "1"}
LETTERS = {"text": ["a cat", "a dog"], "label": ["A", "B"]}


@pytest.mark.parametrize(("line", "context", "answer"), [
    (QUESTION, "It is ", "not"),
    ({**QUESTION, "answer": "red"}, "It is ", "red"),
    ({**QUESTION, "answer": "B"}, "It is ", "not"),
    ({**QUESTION, "answer": "1", "choices": ["1", "2"]}, "It is ", "1"),  # rather the text than the number
    ({**QUESTION, "answer": 1, "choices": ["1", "2"]}, "It is ", "2"),
    ({"context": "", "choices": ["a", "b", "c"], "answer": 2}, " ", "c"),
    ({"ctx": "She", **ENDINGS}, "She ", "[step] sits  down."),
    ({"activity_label": "Sitting", "ctx_a": "Look. [title] How", "ctx_b": "then she", "ctx": "x", **ENDINGS},
     "Sitting: Look.. How Then she ", " sits down."),
    ({"question": "Who?", "choices": LETTERS, "answerKey": "B"}, "Question: Who?\nAnswer: ", "a dog"),
    ({"question": {"stem": "Who?", "choices": [{"text": "a cat", "label": "1"}, {"text": "a dog", "label": "2"}]},
      "answerKey": "1"}, "Question: Who?\nAnswer: ", "a cat"),
    ({"goal": "To sit", "sol1": "Sit.", "sol2": "Go.", "label": 0}, "Question: To sit\nAnswer: ", "Sit."),
])  # fmt: skip
def test_questions_as_people_have_them(line, context, answer):
    found = item("set", "file:1", json.dumps(line).encode(), "file")
    assert (found.context, found.choices[found.answer]) == (context, answer) and found.text == context + answer


@pytest.mark.parametrize(("line", "said"), [
    ({**QUESTION, "answer": 2}, "the answer 2 is none of the 2 choices, counted from 0"),
    ({**QUESTION, "answer": -1}, "the answer -1 is none"), ({**QUESTION, "answer": "C"}, 'the answer "C" is none'),
    ({**QUESTION, "answer": ""}, 'the answer "" is none'), ({**QUESTION, "answer": True}, "the answer true is none"),
    ({**QUESTION, "answer": None}, "the answer null is none"),
    ({**QUESTION, "answer": [0]}, "expected a JSON object with"),
    ({**QUESTION, "choices": ["one"]}, 'expected two or more choices, each a text that is not empty, found ["one"]'),
    ({**QUESTION, "choices": ["one", ""]}, "expected two or more choices"),
    ({**QUESTION, "choices": "ab"}, "expected two or more choices"),
    ({**QUESTION, "choices": ["one", 2]}, "expected two or more choices"),
    ({**QUESTION, "question": 7}, "expected a JSON object with"),
    ({"question": "Who?", "choices": ["a", "b"]}, "expected a JSON object with"),
    ({"question": "Who?", "choices": LETTERS, "answerKey": "C"}, 'the answer "C" is none of the labels ["A", "B"]'),
    ({"question": "Who?", "choices": ["a", "b"], "answerKey": "A"}, "expected a JSON object with"),
    ({"goal": "To sit", "sol1": "Sit.", "sol2": "Go."}, "expected a JSON object with"),
    ({"ctx": "She", **ENDINGS, "label": ""}, 'the answer "" is none'),
])  # fmt: skip
def test_a_question_without_an_answer_is_named_by_file_and_line(tmp_path, line, said):
    config = settings(tmp_path, {"one.jsonl": [QUESTION, line]})
    refusal(gather, config, {}, tmp_path / "out", WORLD, match=re.escape(f"grammar@1: one.jsonl, line 2: {said}"))


def test_a_set_without_items_and_a_set_that_has_changed_are_errors(tmp_path):
    config = settings(tmp_path, {"one.jsonl": []})
    refusal(gather, config, {}, tmp_path / "out", WORLD, match=r"the set 'grammar' has no items")
    (tmp_path / "sets" / "one.jsonl").write_text(json.dumps(PAIR))
    refusal(gather, config, {}, tmp_path / "other", WORLD, match=r"expected sha256")


def test_two_sets_of_one_name_are_refused(tmp_path):
    refusal(settings, tmp_path, name="pairs", match=r"there is more than one set 'pairs'", error=ConfigError)


def test_the_example_in_the_config_builds_as_it_stands_but_for_the_digest():
    text = (ROOT / "configs/benchmarks/pairs.yaml").read_text()
    example = re.search(r"(?m)^#   sources:\n(#     .*\n)+", text)[0].replace("sha256: ...", f"sha256: {'a' * 64}")
    raw = yaml.safe_load(re.sub(r"(?m)^#   ", "", example))
    assert build(BenchmarksConfig, {"pairs": None, "raw": raw}).raw.sources[0].language == "en"
