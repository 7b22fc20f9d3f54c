import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from train.artifact import inventory
from train.config import ConfigError, UserError, build, plain
from train.data.selected import SelectedConfig, add, kept_documents, nested, select, split
from train.data.tables import DOCUMENT, read_rows, write_rows
from train.world import Machine, World

MACHINE = Machine("cpu", 1, 1, False, Path("cache"), Path("runs"), Path("releases"), "none", "disabled")
CONFIG = SelectedConfig(
    parts=3,
    held_out=0.25,
    licences=("MIT", "Apache-2.0"),
    email_addresses="<email>",
    secrets="<secret>",
    too_short=10,
    too_long=2000,
    mostly_symbols=0.5,
    repeated_lines=0.5,
)


def row(text, path, source="pkg:generic/a@1", licence="MIT"):
    same = {"evidence": "e" * 64, "attribution": "someone", "language": "en"}
    id = hashlib.sha256(text.encode()).hexdigest()
    return {"id": id, "text": text, "source": source, "path": path, "licence": licence, **same}


MANY = [row(f"This is the text of the document number {number}.\n", f"{number:03d}.txt") for number in range(60)]
ROWS = [
    *MANY,
    row(MANY[3]["text"], "000.txt", "pkg:generic/b@1", "MIT OR GPL-2.0-only"),
    row("short", "short.txt"),
    row("1234567890 + 1234567890", "symbols.txt", "pkg:generic/b@1", "MIT OR GPL-2.0-only"),
    row("a line\na line\nb\n", "lines.txt"),
    row("Write to ann@site.org or to bob@site.org.", "mail.txt"),
    row("Write to eve@site.org or to bob@site.org.", "also.txt"),
]


def selected(folder, rows=ROWS, config=CONFIG, size=1, files=2):
    """Select from `rows`, dealt over some files; return the artifact."""
    for number in range(files):
        write_rows(folder / "in" / "documents" / f"{number}.parquet", rows[number::files], DOCUMENT)
    for rank in reversed(range(size)):
        select(config, {"documents": folder / "in"}, folder / "out", World(rank, size, MACHINE))
    return folder / "out"


def ledger(out):
    return list(read_rows(sorted((out / "ledger").glob("*.parquet"))))


def test_what_is_kept_and_why_the_rest_is_not(tmp_path):
    out = selected(tmp_path)
    entries = {(entry["path"], entry["source"][-3:]): entry for entry in ledger(out)}
    reasons = {where: (entry["action"], entry["reason"], entry["detail"]) for where, entry in entries.items()}
    kept = {row["path"]: row for name in ("train", "held_out") for row in kept_documents(out, name)}
    assert reasons == {
        ("000.txt", "b@1"): ("dropped", "exact_duplicates", "same text as 003.txt of pkg:generic/a@1"),
        ("short.txt", "a@1"): ("dropped", "too_short", "5 characters"),
        ("symbols.txt", "b@1"): ("dropped", "mostly_symbols", "0.9130 of characters"),
        ("lines.txt", "a@1"): ("dropped", "repeated_lines", "0.9231 of the text"),
        ("also.txt", "a@1"): ("redacted", "email_addresses", "2 replaced"),
        ("mail.txt", "a@1"): ("dropped", "exact_duplicates", "same text as also.txt of pkg:generic/a@1"),
    }
    also = kept["also.txt"]
    assert also["text"] == "Write to <email> or to <email>."
    assert also["id"] == hashlib.sha256(also["text"].encode()).hexdigest()
    assert entries["also.txt", "a@1"]["became"] == also["id"]
    assert entries["also.txt", "a@1"]["id"] == ROWS[-1]["id"]
    assert entries["short.txt", "a@1"]["became"] == ""
    assert len(kept) == 61
    assert {column: kept["007.txt"][column] for column in DOCUMENT.names} == MANY[7]


def test_counts_close(tmp_path):
    counts = json.loads((selected(tmp_path) / "counts.json").read_text())
    size = sum(len(row["text"]) for row in ROWS)
    assert counts["raw"] == {"documents": 66, "bytes": size}
    assert counts["kept"]["documents"] == 61
    assert {reason: entry["documents"] for reason, entry in counts["dropped"].items()} == {
        "too_short": 1, "too_long": 0, "mostly_symbols": 1, "repeated_lines": 1, "exact_duplicates": 2,
    }  # fmt: skip
    assert counts["redacted"]["email_addresses"] == {"documents": 1, "occurrences": 2, "bytes": 24 - 14}
    assert counts["redacted"]["secrets"] == {"documents": 0, "occurrences": 0, "bytes": 0}
    gone = sum(entry["bytes"] for table in ("dropped", "redacted") for entry in counts[table].values())
    assert size == counts["kept"]["bytes"] + gone
    assert counts["sources"]["pkg:generic/b@1"]["kept"] == {"documents": 0, "bytes": 0}
    assert counts["licences"]["MIT"]["raw"]["documents"] == 64
    assert sum(entry["documents"] for entry in counts["splits"].values()) == 61


@pytest.mark.parametrize("size", [2, 3, 5])
def test_any_number_of_workers_and_any_order_write_the_same_bytes(tmp_path, size):
    one = inventory(selected(tmp_path / "one"))
    shuffled = random.Random(size).sample(ROWS, len(ROWS))
    assert inventory(selected(tmp_path / "many", shuffled, size=size, files=size)) == one
    assert len([name for name in one if name.startswith("documents/")]) == CONFIG.parts


def test_counts_wait_for_the_last_worker(tmp_path):
    write_rows(tmp_path / "in" / "documents" / "0.parquet", ROWS, DOCUMENT)
    select(CONFIG, {"documents": tmp_path / "in"}, tmp_path / "out", World(1, 2, MACHINE))
    assert not (tmp_path / "out" / "counts.json").exists()


def test_the_number_of_parts_changes_files_and_nothing_else(tmp_path):
    splits = {}
    for parts in (1, 7):
        out = selected(tmp_path / str(parts), config=replace(CONFIG, parts=parts))
        splits[parts] = [list(kept_documents(out, name)) for name in ("train", "held_out")]
    assert splits[1] == splits[7]
    assert splits[1][0] == sorted(splits[1][0], key=lambda row: row["id"])


def test_what_an_interrupted_attempt_left_does_no_harm(tmp_path):
    clean = inventory(selected(tmp_path / "clean"))
    left = tmp_path / "again" / "out" / "witness" / "dealt-0"
    left.mkdir(parents=True)
    (left / "part-0000").write_text("torn")
    out = selected(tmp_path / "again")
    assert inventory(out) == clean
    assert not left.exists()


def test_held_out_is_the_share_asked_for_and_independent_of_the_part():
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
    for part in range(3):
        splits = [split(CONFIG, id) for id in ids if int(id[:8], 16) % 3 == part]
        assert splits.count("held_out") / len(splits) == pytest.approx(0.25, abs=0.04)
    few, many = (replace(CONFIG, held_out=share) for share in (0.1, 0.3))
    assert all(split(many, id) == "held_out" for id in ids if split(few, id) == "held_out")


def test_a_licence_outside_the_list_stops_the_build(tmp_path):
    with pytest.raises(UserError) as caught:
        selected(tmp_path, [*ROWS, row("text " * 9, "x", "pkg:generic/c@2", "CC-BY-SA-4.0")])
    assert str(caught.value) == (
        "pkg:generic/c@2: licence 'CC-BY-SA-4.0' is not among Apache-2.0, MIT; "
        "accept it in data.selected.licences, or leave the source out of data.raw"
    )
    assert not (tmp_path / "out" / "documents").exists()


@pytest.mark.parametrize(
    ("rows", "config", "message"),
    [
        ([], CONFIG, "there are no documents"),
        (ROWS, replace(CONFIG, too_short=1000), "none of 66 documents is kept (too_short 66)"),
        (ROWS, replace(CONFIG, held_out=1e-9), "the split held_out is empty"),
        (ROWS, replace(CONFIG, held_out=1 - 1e-9), "the split train is empty"),
    ],
)
def test_nothing_left_is_one_clear_line(tmp_path, rows, config, message):
    with pytest.raises(UserError) as caught:
        selected(tmp_path, rows, config)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("parts", 0, "parts: expected 1 to 512, got 0"),
        ("held_out", 0, "held_out: expected between 0 and 1"),
        ("held_out", 1, "held_out: expected between 0 and 1"),
        ("licences", [], "licences: expected at least one"),
        ("too_long", 9, "too_short: expected 0 to too_long (9), got 10"),
        ("mostly_symbols", 1.1, "mostly_symbols: expected 0 to 1"),
        ("email_addresses", "ann@site.org", "would itself be redacted"),
    ],
)
def test_config_invariants(key, value, message):
    with pytest.raises(ConfigError) as caught:
        build(SelectedConfig, {**plain(CONFIG), key: value})
    assert message in str(caught.value)
    assert build(SelectedConfig, plain(CONFIG)) == CONFIG


def test_nested_counts_add_up():
    assert nested({("a", "b"): 1, ("c",): 2}) == {"a": {"b": 1}, "c": 2}
    assert add({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}, "d": 4}) == {"a": {"b": 3, "c": 3}, "d": 4}
