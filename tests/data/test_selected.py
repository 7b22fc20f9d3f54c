import hashlib
import json
import random
import re
import resource
import unicodedata
from dataclasses import fields, replace

import pytest
from conftest import MACHINE, WORLD, refusal

from train.artifact import clear_unfinished, inventory
from train.config import build, plain
from train.data import summaries
from train.data.duplicates import compare
from train.data.filters.rules import COMPARISONS, PREDICATES, Thresholds
from train.data.judged import canonical_id, judge, split
from train.data.ledger import SPLITS, add, nested
from train.data.schema import DOCUMENT, ITEM, Document, Item, LedgerRow, read_records, read_rows, write_rows
from train.data.selected import SelectedConfig, kept_documents, select
from train.errors import ConfigError, UserError
from train.release.verify.data import against
from train.world import Inputs, World

OFF = dict.fromkeys(field.name for field in fields(Thresholds))
CONFIG = SelectedConfig(
    **{**OFF, "email_addresses": "<email>", "ip_addresses": "<ip>", "phone_numbers": "<phone>", "secrets": "<secret>",
    "too_short": 10, "too_long": 2000, "mostly_symbols": 0.5, "duplicate_lines": 0.25}, parts=3, held_out=0.25,
    licences=("MIT", "Apache-2.0"), near_duplicates=0.9, contaminated=0.2, excluded={},
)  # fmt: skip


def row(text, path, source="pkg:generic/a@1", licence="MIT"):
    id = hashlib.sha256(text.encode()).hexdigest()
    return Document(id, text, source, path, licence, evidence="e" * 64, attribution="someone", language="en")


MANY = [row(f"This is the text of the document number {number}.\n", f"{number:03d}.txt") for number in range(60)]
ROWS = [
    *MANY, row(MANY[3].text, "000.txt", "pkg:generic/b@1", "MIT OR GPL-2.0-only"), row("short", "short.txt"),
    row("1234567890 + 1234567890", "symbols.txt", "pkg:generic/b@1", "MIT OR GPL-2.0-only"),
    row("a line\na line\nb\n", "lines.txt"), row("Write to ann@site.org or to bob@site.org.", "mail.txt"),
    row("Write to eve@site.org or to bob@site.org.", "also.txt"),
]  # fmt: skip


def selected(folder, rows=ROWS, config=CONFIG, size=1, files=2):
    """Select from `rows`, dealt over some files; return the artifact."""
    for number in range(files):
        write_rows(folder / "in" / "documents" / f"{number}.parquet", rows[number::files], DOCUMENT)
    return made(folder, config, size)


def made(folder, config=CONFIG, size=1):
    """Select by so many workers, from the last to the first, and then alone; return the artifact."""
    inputs = {"documents": folder / "in", "benchmarks": folder / "benchmarks"}
    for name, make in {"judged": judge, "duplicates": compare, "out": select}.items():
        for world in [*(World(rank, size, MACHINE) for rank in reversed(range(size))), WORLD]:
            make(config, Inputs(**inputs), folder / name, world)
        inputs[name] = folder / name
    return folder / "out"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What is selected from ROWS."""
    return selected(tmp_path_factory.mktemp("whole"))


def ledger(out):
    return list(read_records(LedgerRow, sorted((out / "ledger").glob("*.parquet"))))


def kept_in(out):
    """Path -> document, of both splits."""
    return {document.path: document for name in SPLITS for document in kept_documents(out, name)}


def test_what_is_kept_and_why_the_rest_is_not(whole):
    entries = {(entry.path, entry.source[-3:]): entry for entry in ledger(whole)}
    reasons = {where: (entry.action, entry.reason, entry.detail) for where, entry in entries.items()}
    kept = kept_in(whole)
    assert reasons == {
        ("000.txt", "b@1"): ("dropped", "exact_duplicates", "same text as 003.txt of pkg:generic/a@1"),
        ("short.txt", "a@1"): ("dropped", "too_short", "5 characters"),
        ("symbols.txt", "b@1"): ("dropped", "mostly_symbols", "0.9130 of characters"),
        ("lines.txt", "a@1"): ("dropped", "duplicate_lines", "0.3333 of lines"),
        ("also.txt", "a@1"): ("redacted", "email_addresses", "2 replaced"),
        ("mail.txt", "a@1"): ("dropped", "exact_duplicates", "same text as also.txt of pkg:generic/a@1"),
    }
    also = kept["also.txt"]
    assert also.text == "Write to <email> or to <email>." and also.id == hashlib.sha256(also.text.encode()).hexdigest()
    assert entries["also.txt", "a@1"].became == also.id and entries["also.txt", "a@1"].id == ROWS[-1].id
    assert entries["short.txt", "a@1"].became == "" and len(kept) == 61
    assert {field: getattr(kept["007.txt"], field) for field in DOCUMENT.names} == vars(MANY[7])


def test_a_text_that_a_source_holds_twice_at_one_path_is_kept_once(tmp_path):
    out = selected(tmp_path, [*MANY, MANY[7]])
    assert [each.id for split in SPLITS for each in kept_documents(out, split)].count(MANY[7].id) == 1
    assert [(row.id, row.detail) for row in ledger(out)] == [(MANY[7].id, "same text as 007.txt of pkg:generic/a@1")]


FORMS = {
    "Vietnamese": "ngày xửa xưa có một người nông dân già số {} sống trong ngôi làng nhỏ",
    "French": "l'été où la forêt numéro {} brûla près du château",
    "Korean": "옛날 옛적 작은 마을 {} 번 집에 늙은 농부가 살았습니다",
    "Hindi": "\u092a\u095d\u093e\u0908 के लिए गाँव {} का बड़ा \u0958िला",
    "Japanese": "がぎぐげご{}番の村にパンを買いに行きました",
    "Greek": "ένας γέρος αγρότης ζούσε στο χωριό {} με λίγη γη",
    "Hebrew": "\ufb2a\u05b8\u05dc \u05db\u05e4\u05e8 {} \u05e7\u05d8\u05df",
    "signs of old": "\u212b and \u2126 in village {} of old",
}


@pytest.mark.parametrize("language", FORMS)
def test_one_text_in_two_normal_forms_is_one_text(tmp_path, language):
    texts = [FORMS[language].format(number) for number in range(12)]
    spelt = [sorted({text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))}) for text in texts]
    forms = [row(form, f"{n}.{place}") for n, each in enumerate(spelt) for place, form in enumerate(each)]
    assert all(len(each) > 1 for each in spelt)
    config = replace(CONFIG, parts=7, held_out=0.5, near_duplicates=1.0, contaminated=1.0)
    out = selected(tmp_path, forms, config)
    kept = [each for name in SPLITS for each in kept_documents(out, name)]
    assert sorted(each.path for each in kept) == sorted(f"{number}.0" for number in range(12))
    reasons = {(entry.reason, entry.detail) for entry in ledger(out)}
    assert reasons == {("exact_duplicates", f"same text as {number}.0 of pkg:generic/a@1") for number in range(12)}
    for each in kept:  # as it was written, and judged by what it is
        assert each.id == hashlib.sha256(each.text.encode()).hexdigest()
        assert each.split == split(config, canonical_id(each.text))


def test_counts_close(whole):
    counts = json.loads((whole / "counts.json").read_text())
    size = sum(len(row.text) for row in ROWS)
    assert counts["raw"] == {"documents": 66, "bytes": size} and counts["kept"]["documents"] == 61
    reasons = {reason: entry["documents"] for reason, entry in counts["dropped"].items()}
    every = ("excluded", "no_licence", *(rule.__name__ for rule in (*PREDICATES, *COMPARISONS)))
    assert reasons == dict.fromkeys(every, 0) | {
        "too_short": 1, "mostly_symbols": 1, "duplicate_lines": 1, "exact_duplicates": 2,
    }  # fmt: skip
    assert counts["redacted"]["email_addresses"] == {"documents": 1, "occurrences": 2, "bytes": 24 - 14}
    assert counts["redacted"]["secrets"] == {"documents": 0, "occurrences": 0, "bytes": 0}
    gone = sum(entry["bytes"] for table in ("dropped", "redacted") for entry in counts[table].values())
    assert size == counts["kept"]["bytes"] + gone
    assert counts["sources"]["pkg:generic/b@1"]["kept"] == {"documents": 0, "bytes": 0}
    assert counts["licences"]["MIT"]["raw"]["documents"] == 64
    assert sum(entry["documents"] for entry in counts["splits"].values()) == 61


def test_what_is_kept_and_what_dropped_most_is_told_in_a_line(whole, tmp_path):
    size = sum(len(row.text) for row in ROWS)
    told = summaries.selected(whole, {}, CONFIG, WORLD)
    assert re.fullmatch(
        rf"61 of 66 documents, [\d,]+ of {size:,} bytes; dropped most by exact_duplicates 2, duplicate_lines 1, "
        r"mostly_symbols 1, \.\.\.; examples: \.venv/bin/python -m train explore --from \S+ dropped",
        told,
    )
    few = selected(tmp_path / "few", [*MANY, *(row(f"short {n}", f"{n}") for n in range(70))])
    assert summaries.selected(few, {}, CONFIG, WORLD).startswith("less than half: 60 of 130 documents, ")


@pytest.mark.parametrize(("tag", "kept"), [("en", 2), ("zh", 3)])
def test_what_cannot_be_judged_in_a_language_is_kept_and_told(tmp_path, tag, kept):
    config = replace(CONFIG, few_words=50, held_out=0.5, near_duplicates=1.0)
    texts = [f"{'x' * n} " * 60 for n in (9, 11)] + ["农民在山上看日出。" * 20]
    rows = [replace(row(text, f"{number}"), language=tag) for number, text in enumerate(texts)]
    selected(tmp_path, rows, config)
    told = summaries.judged(tmp_path / "judged", Inputs(documents=tmp_path / "in"), config, WORLD)
    assert told.startswith(f"{kept} of 3 documents") and ("; switched off: few_words" in told) is (tag == "zh")


@pytest.mark.parametrize("size", [2, 3, 5])
def test_any_number_of_workers_and_any_order_write_the_same_bytes(whole, tmp_path, size):
    one = inventory(whole)
    shuffled = random.Random(size).sample(ROWS, len(ROWS))
    assert inventory(selected(tmp_path / "many", shuffled, size=size, files=size)) == one
    assert len([name for name in one if name.startswith("documents/")]) == CONFIG.parts


def test_more_files_are_read_than_may_be_open(whole, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    try:
        assert inventory(selected(tmp_path, files=len(ROWS))) == inventory(whole)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_number_of_parts_changes_files_and_nothing_else(tmp_path):
    splits = {}
    for parts in (1, 7):
        out = selected(tmp_path / str(parts), config=replace(CONFIG, parts=parts))
        splits[parts] = [list(kept_documents(out, name)) for name in SPLITS]
    assert splits[1] == splits[7] and splits[1][0] == sorted(splits[1][0], key=lambda row: row.id)


def test_parts_that_are_there_are_kept_and_what_an_interrupted_attempt_left_does_no_harm(whole, tmp_path):
    clean = inventory(whole)
    again = selected(tmp_path / "again", size=3)
    marks = [tmp_path / "again/judged/bands/0.rows", again / "documents/part-0001.parquet"]
    gone = ("documents/part-0000.parquet", "counts/part-0000.json", "counts.json")
    pair = tmp_path / "again/duplicates/pairs/band-03.u64"
    for part in (tmp_path / "again/judged/bands/1.rows", pair, *(again / name for name in gone)):
        part.unlink()
        part.with_name(f".{part.name}.1234.tmp").write_text("torn")
    before = [path.stat().st_mtime_ns for path in marks]
    made(tmp_path / "again", size=2)
    assert [path.stat().st_mtime_ns for path in marks] == before
    clear_unfinished(tmp_path / "again")
    assert inventory(again) == clean


WORDY = [" ".join(random.Random(n).choices([f"word{i}" for i in range(500)], k=60)) for n in range(40)]


def longer(text):
    """The text with a sentence after it, so that four fifths of their 5-grams are the same."""
    return f"{text} And here it ends, as we said it would."


@pytest.mark.parametrize("size", [1, 2, 3])
def test_of_near_duplicates_in_any_split_the_longest_is_kept(tmp_path, size):
    rows = [row(text, f"{n:02d}.txt") for n, text in enumerate(WORDY)]
    rows += [row(longer(text), f"{n:02d}.longer") for n, text in enumerate(WORDY)]
    out = selected(tmp_path, rows, replace(CONFIG, near_duplicates=0.7), size, files=3)
    dropped = {entry.path: entry for entry in ledger(out) if entry.reason == "near_duplicates"}
    kept = kept_in(out)
    splits = [[split(CONFIG, rows[n + at].id) for n in range(40)] for at in (0, 40)]
    assert splits[0] != splits[1]  # some are near duplicates across the splits
    assert set(dropped) == {f"{n:02d}.txt" for n in range(40)} and set(kept) == {f"{n:02d}.longer" for n in range(40)}
    for path, entry in dropped.items():
        twin = kept[path.replace("txt", "longer")]
        assert entry.detail[4:] == f" like {twin.path} of {twin.source} ({twin.id})"
        assert 0.7 <= float(entry.detail[:4]) < 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_gives_away_an_item_or_a_held_out_text_is_dropped(tmp_path, size):
    item = Item("pairs", "g", "", "", "g:1", "The quick, brown ", ["fox jumps!", "dog jumps!"], 0)
    write_rows(tmp_path / "benchmarks" / "pairs.parquet", [item], ITEM)
    rows = [row(text, f"{n:02d}.txt") for n, text in enumerate(WORDY)]
    held_out = next(each for each in rows if split(CONFIG, each.id) == "held_out")
    planted = [
        row(f"{text} {' '.join(f'other{number}x{n}' for n in range(40))}", f"{text[:5]}-{number}")
        for text in (item.text, held_out.text)
        for number in range(10)
    ]
    out = selected(tmp_path, [*rows, *planted], size=size, files=2)
    found = {entry.path: entry.detail for entry in ledger(out) if entry.reason == "contaminated"}
    training = [each for each in planted if split(CONFIG, each.id) == "train"]
    assert found.keys() == {each.path for each in training} and 0 < len(training) < len(planted)
    for path, detail in found.items():
        if path.startswith("The q"):
            assert detail == "pairs g:1: the quick, brown fox jumps"
        else:
            assert detail.startswith("1.00 of held_out ") and held_out.text[:20] in detail
    counts = json.loads((out / "counts.json").read_text())["dropped"]["contaminated"]
    assert counts == {"documents": len(training), "bytes": sum(len(each.text) for each in training)}


def test_held_out_is_the_share_asked_for_and_independent_of_the_part():
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
    for part in range(3):
        splits = [split(CONFIG, id) for id in ids if int(id[:8], 16) % 3 == part]
        assert splits.count("held_out") / len(splits) == pytest.approx(0.25, abs=0.04)
    few, many = (replace(CONFIG, held_out=share) for share in (0.1, 0.3))
    assert all(split(many, id) == "held_out" for id in ids if split(few, id) == "held_out")


def test_the_ledger_has_the_first_reason_in_the_order_of_the_rules(tmp_path):
    config = replace(CONFIG, few_words=9, excluded={MANY[1].id: "2026-11-20: asked by its author"})
    rows = [*ROWS, row("short", "none.txt", "pkg:generic/c@1", "NOASSERTION")]
    out = selected(tmp_path, rows, config)
    reasons = {entry.path: (entry.reason, entry.detail) for entry in ledger(out)}
    assert reasons["001.txt"] == ("excluded", "2026-11-20: asked by its author")
    assert reasons["none.txt"] == ("no_licence", "licence NOASSERTION")
    assert reasons["short.txt"] == ("too_short", "5 characters") and reasons["lines.txt"] == ("few_words", "5 words")
    assert not {"001.txt", "none.txt"} & kept_in(out).keys()
    counts = json.loads((out / "counts.json").read_text())
    assert counts["dropped"]["excluded"] == {"documents": 1, "bytes": len(MANY[1].text)}
    assert counts["licences"]["NOASSERTION"]["kept"] == {"documents": 0, "bytes": 0}


@pytest.mark.parametrize(("name", "gone"), [
    (MANY[3].id, 2),  # the same text stands in another source, and goes there too
    ("pkg:generic/a@1#003.txt", 1),
    ("pkg:generic/b@1", 2),
])  # fmt: skip
def test_what_somebody_asked_to_leave_out_is_left_out_and_its_text_is_nowhere(tmp_path, name, gone):
    rows = [replace(row, text=row.text.replace("text", "secrecy")) if row.path == "003.txt" else row for row in ROWS]
    out = selected(tmp_path, rows, replace(CONFIG, excluded={name: "2026-11-20: asked"}))
    entries = [entry for entry in ledger(out) if entry.reason == "excluded"]
    assert [entry.detail for entry in entries] == ["2026-11-20: asked"] * gone
    columns = {name for path in out.rglob("*.parquet") for row in read_rows([path]) for name in row.values()}
    assert not any("secrecy" in str(value) for value in columns) or name.endswith("b@1")
    assert not list(out.rglob("dealt-*"))


def test_an_exclusion_that_matches_nothing_stops_the_build(tmp_path):
    excluded = {MANY[1].id: "2026-11-20: asked", "pkg:generic/a@1#gone.txt": "why", "f" * 64: "why"}
    with pytest.raises(UserError) as caught:
        selected(tmp_path, config=replace(CONFIG, excluded=excluded))
    first, second = str(caught.value).split("\n")
    assert first.startswith("data.selected.excluded: pkg:generic/a@1#gone.txt matches no document as extracted; give ")
    assert second.startswith(f"data.selected.excluded: {'f' * 64} matches no")
    assert not (tmp_path / "out" / "documents").exists()


FOREIGN = [*ROWS, row("text " * 9, "x", "pkg:generic/c@2", "CC-BY-SA-4.0")]


@pytest.mark.parametrize(("rows", "changes", "left"), [
    (ROWS, dict.fromkeys(("too_short", "mostly_symbols", "duplicate_lines", "email_addresses")), {"exact_duplicates"}),
    (FOREIGN, {"excluded": {"pkg:generic/c@2": "2026-11-20: share-alike"}, "too_short": None, "email_addresses": None},
     {"excluded", "exact_duplicates", "mostly_symbols", "duplicate_lines"}),  # it needs no licence that is allowed
])  # fmt: skip
def test_a_rule_that_is_switched_off_and_a_source_that_is_left_out_find_nothing(tmp_path, rows, changes, left):
    entries = ledger(selected(tmp_path, rows, replace(CONFIG, **changes)))
    assert {entry.reason for entry in entries} == left
    assert [entry.path for entry in entries if entry.reason == "excluded"] == ["x"] * ("excluded" in changes)


@pytest.mark.parametrize(("rows", "changes", "message"), [
    ([], {}, "there are no documents"), (ROWS, {"too_short": 1000}, "none of 66 documents is kept (too_short 66)"),
    (ROWS, {"held_out": 1e-9}, "the split held_out is empty"),
    (ROWS, {"held_out": 1 - 1e-9}, "the split train is empty"),
    (FOREIGN, {}, "pkg:generic/c@2: licence 'CC-BY-SA-4.0' is not among Apache-2.0, MIT; accept it in data.selected."
     "licences, leave the source out of data.raw, or give NOASSERTION where no licence is known: such documents are"),
])  # fmt: skip
def test_what_cannot_be_selected_from_is_one_clear_line(tmp_path, rows, changes, message):
    refusal(selected, tmp_path, rows, replace(CONFIG, **changes), match=re.escape(message))
    assert not (tmp_path / "out" / "counts.json").exists()


LINED = {
    "menu\nThis is the text that stays here.\nPlease enable JavaScript to go on.\n": (
        "This is the text that stays here.\n",
        {"few_word_lines": "1 lines taken out", "boilerplate_lines": "1 lines taken out"}),
    "A line with ann@site.org as its word.\nmail: bob@site.org\n": (
        "A line with <email> as its word.\n", {"email_addresses": "2 replaced", "few_word_lines": "1 lines taken out"}),
    "menu\nabout\n": (None, {"few_word_lines": "no line is left"}),
    "Call +44 20 7946 0958 or +44 20 7946 0959, or see 93.184.216.34 for more.\n": (
        "Call <phone> or <phone>, or see <ip> for more.\n",
        {"ip_addresses": "1 replaced", "phone_numbers": "2 replaced"}),
}  # fmt: skip


@pytest.mark.parametrize("text", LINED)
def test_lines_are_taken_out_and_the_rest_is_kept_with_the_chain_of_ids(tmp_path, text):
    left, found = LINED[text]
    off = {"too_short": None, "duplicate_lines": None, "few_word_lines": 3, "boilerplate_lines": ("javascript",)}
    config = replace(CONFIG, **off)
    out = selected(tmp_path, [*MANY, row(text, "page.txt")], config)
    entries = [entry for entry in ledger(out) if entry.path == "page.txt"]
    assert {entry.reason: entry.detail for entry in entries} == found
    counts = json.loads((out / "counts.json").read_text())
    gone = sum(entry["bytes"] for table in ("dropped", "redacted", "edited") for entry in counts[table].values())
    assert counts["raw"]["bytes"] == counts["kept"]["bytes"] + gone
    if left is None:
        assert [entry.action for entry in entries] == ["dropped"] and "page.txt" not in kept_in(out)
        return
    kept = kept_in(out)["page.txt"]
    assert kept.text == left and {entry.became for entry in entries} == {kept.id}
    assert {entry.id for entry in entries} == {hashlib.sha256(text.encode()).hexdigest()}
    for table in ("redacted", "edited"):
        count = {rule: int(detail[0]) for rule, detail in found.items() if ("lines" in rule) == (table == "edited")}
        assert {rule: each["occurrences"] for rule, each in counts[table].items() if rule in count} == count
    assert list(against(config, kept, None)) == []
    told = list(against(config, replace(kept, text=f"{left}menu\n"), None))
    assert told == ["few_word_lines finds something in it"]


@pytest.mark.parametrize(("key", "value", "message"), [
    ("parts", 0, "parts: expected 1 to 512, got 0"), ("held_out", 0, "held_out: expected between 0 and 1"),
    ("held_out", 1, "held_out: expected between 0 and 1"), ("excluded", {"f" * 64: " "}, "expected when and why"),
    ("licences", [], "licences: expected a length of at least 1, got ()"),
    ("licences", ["Apache 2"], "one by one: expected an SPDX expression, got 'Apache 2'"),
    ("licences", ["MIT OR Apache-2.0"], "licences: expected SPDX identifiers one by one"),
    ("too_long", 9, "too_short: expected at most too_long (9), got 10"),
    ("too_short", -1, "too_short: expected null or at least 0, got -1"),
    ("few_alphabetic_words", 1.5, "few_alphabetic_words: expected null or 0 to 1"),
    ("top_ngrams", [0.1, 2.0], "top_ngrams[1]: expected 0 to 1, got 2.0"),
    ("top_ngrams", [0.1, 0.1, 0.1, 0.1], "top_ngrams: expected null or a length of at most 3, got (0.1"),
    ("language", {"en": 101}, "language.en: expected 1 to 100, got 101"),
    ("phone_numbers", "93.184.216.34", "would itself be redacted"),
    ("boilerplate_lines", ["JavaScript"], "boilerplate_lines: expected phrases in small letters, got 'JavaScript'"),
    ("boilerplate_lines", [], "boilerplate_lines: expected null or a length of at least 1"),
    ("mostly_symbols", 1.1, "mostly_symbols: expected null or 0 to 1"),
    ("email_addresses", "ann@site.org", "would itself be redacted"),
])  # fmt: skip
def test_config_invariants(key, value, message):
    said = refusal(build, SelectedConfig, {**plain(CONFIG), key: value}, error=ConfigError)
    assert message in said and build(SelectedConfig, plain(CONFIG)) == CONFIG


def test_nested_counts_add_up():
    assert nested({("a", "b"): 1, ("c",): 2}) == {"a": {"b": 1}, "c": 2}
    assert add({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}, "d": 4}) == {"a": {"b": 3, "c": 3}, "d": 4}
