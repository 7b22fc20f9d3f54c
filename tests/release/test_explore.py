"""The command `explore`, as a person runs it, on a run and on the release made from it."""

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from train.artifact import inventory
from train.data.batches import batch_at, window_count, windows_at
from train.data.schema import LEDGER, RANGES, SELECTED, read_rows, write_rows

STEPS, BATCH, CONTEXT, SEED = 4, 2, 32, 0  # of the release in conftest.py


@pytest.fixture
def explore(home, release, pellucid):
    """Run the command on `place`: "runs", "release" or a folder; returns what it says."""
    places = {"runs": home / "runs", "release": release}

    def run(place, *words, status=0, **how) -> str:
        found, out, err = pellucid("explore", "--from", places.get(place, place), *words, **how)
        assert found == status, out + err
        return out + err

    return run


@pytest.fixture
def asked(explore):
    return lambda *arguments, **options: json.loads(explore(*arguments, "--json", **options))


def rows(release, table):
    return list(read_rows(sorted((release / "data" / table).glob("*.parquet"))))


@pytest.fixture(scope="module")
def tokens(home):
    (path,) = home.glob("runs/tokens-*/train.npy")
    return np.load(path)


@pytest.mark.parametrize("place", ["runs", "release"])
def test_a_step_is_the_batch_that_the_trainer_read(asked, release, tokens, place):
    texts = {row["id"]: row["text"] for row in rows(release, "documents")}
    for number in (1, STEPS):
        told = asked(place, "step", number)
        read = [[token for cut in sequence["documents"] for token in cut["tokens"]] for sequence in told["sequences"]]
        assert read == batch_at(tokens, CONTEXT, BATCH, SEED, number - 1).tolist()
        for sequence in told["sequences"]:
            assert sequence["end"] - sequence["start"] == CONTEXT + 1
            for cut in sequence["documents"]:
                assert cut["text"].replace("<|endoftext|>", "") in texts[cut["id"]]
                assert (cut["source"], cut["licence"]) == ("pkg:generic/pellucid-stories@1", "Apache-2.0")
                assert cut["path"].startswith("story-")


def brute(tokens, start, end):
    count = window_count(len(tokens), CONTEXT)
    return [
        {"step": step + 1, "sequence": sequence + 1, "epoch": (step * BATCH + sequence) // count + 1}
        for step in range(STEPS)
        for sequence, window in enumerate(windows_at(count, BATCH, SEED, step).tolist())
        if start <= window * CONTEXT + CONTEXT and window * CONTEXT < end
    ]


@pytest.mark.parametrize("place", ["runs", "release"])
def test_a_document_tells_its_fate_and_every_step_that_read_it(asked, release, tokens, place):
    ranges = list(read_rows([release / "data" / "ranges" / "train.parquet"]))
    read = [row for row in ranges if brute(tokens, row["start"], row["end"])]
    never = next(row for row in ranges if row not in read)
    for row in (read[0], never):
        told = asked(place, "document", row["id"][:20])
        assert told["readings"] == brute(tokens, row["start"], row["end"])
        assert told["id"] == row["id"] and {**told["kept"], **row} == told["kept"]
        assert told["kept"]["split"] == "train" and told["ledger"] == []
    assert told["read"] == {"steps": 0, "of": STEPS, "first": None, "last": None, "checkpoints": []}


def test_a_dropped_document_tells_the_rule_and_what_it_saw(asked, explore, release):
    entry = next(row for row in rows(release, "ledger") if row["action"] == "dropped")
    told = asked("runs", "document", entry["id"])
    assert told == {"id": entry["id"], "kept": None, "ledger": [entry]}
    text = explore("release", "document", entry["id"][:16])
    assert f"dropped    too_short: {entry['detail']}; {entry['path']}" in text and "never: it was not kept" in text


def test_a_redacted_document_is_found_by_its_id_before_and_after(asked, copy):
    kept = rows(copy, "documents")[0]
    entry = {"id": "e" * 64, "source": kept["source"], "path": kept["path"], "licence": kept["licence"], "bytes": 9,
             "action": "redacted", "reason": "secrets", "detail": "2 replaced", "became": kept["id"]}  # fmt: skip
    write_rows(copy / "data" / "ledger" / "part-0000.parquet", [entry], LEDGER)
    before, after = (asked(copy, "document", id) for id in ("eeee", kept["id"]))
    assert before == after and before["id"] == kept["id"] and before["ledger"] == [entry]


def test_a_held_out_document_was_read_by_no_step(asked, release):
    row = next(row for row in rows(release, "documents") if row["split"] == "held_out")
    told = asked("release", "document", row["id"])
    assert (told["kept"]["split"], told["readings"]) == ("held_out", [])


@pytest.mark.parametrize("name", ["pkg:generic/pellucid-stories@1", "STORIES"])
def test_a_source_counts_what_became_of_its_documents(asked, explore, release, name):
    told = asked("release", "source", name)
    documents, ledger = rows(release, "documents"), rows(release, "ledger")
    for kind, column, found in (("splits", "split", documents), ("dropped", "reason", ledger)):
        counted = {name: size["documents"] for name, size in told[kind].items()}
        assert counted == Counter(row[column] for row in found)
    assert told["licences"]["Apache-2.0"]["bytes"] == sum(len(row["text"].encode()) for row in documents)
    assert told["share"] == 1 and told["record"]["purl"] == told["source"] == "pkg:generic/pellucid-stories@1"
    (evidence,) = told["evidence"]
    assert hashlib.sha256(Path(evidence).read_bytes()).hexdigest() == Path(evidence).stem
    assert told["read"] == {"steps": STEPS, "of": STEPS, "first": 1, "last": STEPS, "checkpoints": [2, 4]}
    assert f"kept       held_out: {told['splits']['held_out']['documents']} document" in explore("runs", "source", name)


def test_run_and_release_give_the_same_answers(explore, release):
    kept = rows(release, "documents")[3]
    for question in (("step", 2), ("document", kept["id"]), ("search", kept["text"][5:30]), ("trace", kept["text"])):
        assert explore("runs", *question) == explore("release", *question)


def test_dropped_counts_what_each_rule_dropped_and_shows_examples(asked, explore, release):
    rows = [row for row in read_rows(sorted((release / "data/ledger").glob("*.parquet"))) if row["action"] == "dropped"]
    told = asked("release", "dropped", "--most", 2)["rules"]
    assert {name: rule["documents"] for name, rule in told.items()} == Counter(row["reason"] for row in rows)
    name = rows[0]["reason"]
    assert told[name]["examples"][0]["detail"] == rows[0]["detail"] and len(told[name]["examples"]) <= 2
    assert rows[0]["path"] in explore("runs", "dropped", name) == explore("release", "dropped", name)
    explore("release", "dropped", "no_such_rule", status=1)


def test_search_finds_every_occurrence_whatever_the_tokens(asked, explore, release):
    texts = {row["id"]: row["text"] for row in rows(release, "documents") if row["split"] == "train"}
    some = next(iter(texts.values()))
    for wanted in (some[7:90], "the", some, "no story says this"):
        told = asked("release", "search", wanted, "--most", 10**6)
        assert told["occurrences"] == len(told["places"]) == sum(len(text.split(wanted)) - 1 for text in texts.values())
        holders = {id for id, text in texts.items() if wanted in text}
        assert {place["id"] for place in told["places"]} == holders and told["documents"] == len(holders)
        assert told["licences"].get("Apache-2.0", 0) == len(holders)
        for place in told["places"][:50]:
            assert place["before"] + wanted + place["after"] in texts[place["id"]]
    shown = explore("release", "search", "the", "--most", "2")
    assert shown.count("[the]") == 2 and "more; --most shows them" in shown


def test_trace_shows_what_a_text_took_from_which_documents(asked, explore, release, tmp_path):
    texts = [row["text"] for row in rows(release, "documents") if row["split"] == "train"]
    text = f"Zounds#{texts[1][100:180]}#{texts[2][:60]}#"
    (tmp_path / "text").write_text(text)
    told = asked("release", "trace", text, "--least", 30)
    assert told == asked("release", "trace", "--file", tmp_path / "text", "--least", 30)
    assert told == asked("release", "trace", "--least", 30, stdin=text.encode())
    assert [(span["start"], span["end"]) for span in told["spans"]] == [(7, 87), (88, 148)]
    assert (told["covered"], told["characters"]) == (140, 149)
    for span in told["spans"]:
        assert span["text"] == text[span["start"] : span["end"]]
        there = (other.startswith(span["text"], at) for other in texts for at in range(len(other)))
        assert span["occurrences"] == sum(there)
    shown = explore("release", "trace", text, "--least", 30, "--most", 1)
    assert "characters 7 to 87, 1 occurrence" in shown and "and 1 spans more" in shown


def test_affected_names_steps_and_checkpoints_in_each_folder(asked, explore, release, home, copy, tokens):
    ranges = list(read_rows([release / "data" / "ranges" / "train.parquet"]))
    late = next(row for row in ranges if [r["step"] for r in brute(tokens, row["start"], row["end"])][:1] == [3])
    dropped = next(row for row in rows(release, "ledger") if row["action"] == "dropped")
    (one, two, three, _) = asked("runs", "affected", late["id"][:16], dropped["id"], "--from", release)
    assert (one["read"], one["train"], one["documents"]) == (two["read"], 1, [late["id"]])
    assert (one["read"]["first"], one["read"]["checkpoints"]) == (3, [4])
    assert three["dropped"] == {f"too_short: {dropped['detail']}": 1} and three["read"]["steps"] == 0
    (named,) = asked("runs", "affected", f"{late['source']}#{late['path']}")
    assert named == {**one, "item": named["item"]}
    assert [Path(answer["from"]).parent.name for answer in (one, two)] == ["runs", "releases"]
    shown = explore("release", "affected", late["id"], "stories")
    for words in ("first 3, last", "training     1 document; the tokenizer was", "the checkpoints of steps 2, 4"):
        assert words in shown


def test_a_release_without_a_document_says_that_it_does_not_hold_it(asked, release, copy):
    ranges = list(read_rows([release / "data" / "ranges" / "train.parquet"]))
    documents = {path: list(read_rows([path])) for path in (copy / "data" / "documents").glob("*.parquet")}

    for path, kept in documents.items():
        write_rows(path, [row for row in kept if row["id"] != ranges[-1]["id"]], SELECTED)
    write_rows(copy / "data" / "ranges" / "train.parquet", ranges[:-1], RANGES)
    has, lacks = asked("release", "affected", ranges[-1]["id"], "--from", copy)
    assert "read" in has and lacks == {"item": ranges[-1]["id"], "from": str(copy), "unknown": True}


def test_nothing_is_written_into_a_release(explore, release):
    before = inventory(release)
    explore("release", "search", "once")
    assert inventory(release) == before


def test_what_a_terminal_would_obey_is_made_harmless(explore, asked, copy):
    entry = {**dict.fromkeys(LEDGER.names, "x"), "id": "e" * 64, "path": "\x1b[2Jtitle\x9b", "bytes": 1, "became": ""}
    write_rows(copy / "data" / "ledger" / "part-0000.parquet", [entry], LEDGER)
    for options in ((), ("--json",)):
        shown = explore(copy, "document", "eeee", *options)
        assert "title" in shown and not {"\x1b", "\x9b"} & set(shown)
    write_rows(copy / "data" / "ledger" / "part-0000.parquet", [{**entry, "source": "\x1b[2Jname"}], LEDGER)
    assert "\ufffd[2Jname" in explore(copy, "source", "unknown", status=1)


WRONG = [
    (("step", 0), "step 0: expected 1 to 4"), (("step", 5), "step 5: expected 1 to 4"),
    (("step", "x"), "invalid int value: 'x'"), (("document", "f" * 64), "is called so; give the beginning"),
    (("document", "../x"), "is called so; give the beginning"), (("document", ""), "is called so; give the beginning"),
    (("document", "0"), "are called so"), (("source", "storeis"), "there is none of that name"),
    (("source", ""), "there is none of that name"), (("step", -1), "step -1: expected 1 to 4"),
    (("search", ""), "expected at least one character"), (("search", b"\xff"), "expected UTF-8"),
    (("trace", ""), "expected at least one character"), (("trace",), "expected at least one character"),
    (("trace", "--file", "no/such/file"), "No such file"), (("affected", "nothing"), "no document and no source"),
    (("search", "x", "--most", 0), "--most: expected at least 1"),
    (("trace", "x", "--least", 0), "--least: expected at least 1"),
    (("search", "x", "--from", "."), "works on one folder"), (("tell",), "invalid choice: 'tell'"),
    ((), "required: COMMAND"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=lambda value: str(value)[:30])
def test_bad_input_is_one_clear_line(explore, arguments, says):
    arguments = [os.fsdecode(a) if isinstance(a, bytes) else a for a in arguments]
    err = explore("release", *arguments, status=1)
    assert err.startswith("error: ") and says in err and len(err.strip().splitlines()) == 1


def another_table(copy):
    path = copy / "data" / "ranges" / "train.parquet"
    path.write_bytes((copy / "data" / "ledger" / "part-0000.parquet").read_bytes())


def other_documents(copy):
    for path in (copy / "data" / "documents").glob("*.parquet"):
        write_rows(path, [{**row, "text": row["text"] + "!"} for row in read_rows([path])], SELECTED)


@pytest.mark.parametrize(("harm", "question", "says"), [
    (another_table, ("step", 1), "no column"), (other_documents, ("step", 1), "does not give the tokens"),
    (other_documents, ("search", "x"), "make them again"), (shutil.rmtree, ("step", 1), "neither a release"),
    (lambda copy: (copy / "MANIFEST.json").unlink(), ("step", 1), "neither a release"),
])  # fmt: skip
def test_a_folder_that_cannot_be_explored_is_one_clear_line(explore, copy, harm, question, says):
    harm(copy)
    assert says in explore(copy, *question, status=1)
    assert "expected UTF-8" in explore("release", "trace", stdin=b"\xff\xfe", status=1)


@pytest.mark.parametrize(("path", "question"), [
    ("provenance/weights.json", ("step", 1)), ("data/ranges/train.parquet", ("step", 1)),
    ("tokenizer.json", ("step", 1)), ("data/sources.json", ("source", "stories")),
    ("data/ledger/part-0000.parquet", ("document", "0")),
])  # fmt: skip
def test_a_release_with_a_damaged_record_names_it(explore, copy, path, question):
    for damage in ("[1]", "", '{"config": {}}'):
        (copy / path).write_text(damage)
        err = explore(copy, *question, status=1)
        assert err.startswith("error: ") and str(copy) in err and len(err.strip().splitlines()) == 1
    (copy / path).unlink()
    if "ledger" not in path:  # one part of several
        assert "error: " in explore(copy, *question, status=1)


def test_options_stand_before_or_after_the_command_and_a_text_may_look_like_one(asked, explore, release):
    assert json.loads(explore("release", "--json", "search", "--", "--most"))["text"] == "--most"
    one = json.loads(explore("release", "--json", "--most", 1, "search", "the"))
    assert one == asked("release", "search", "the", "--most", 1)
