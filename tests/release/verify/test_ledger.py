"""A row of the ledger says what a rule of the config says, of a document and a source that there are."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from conftest import recorded

from train.compose import compose
from train.config import build
from train.data.counts import SourceCounts
from train.data.documents import DocumentsConfig
from train.data.filters.language import language
from train.data.filters.rules import PREDICATES
from train.data.schema import LedgerRow, SelectedDocument
from train.data.selected import SelectedConfig
from train.data.sources.spec import SourceRecord
from train.data.text.readers import REASONS
from train.release.verify.data import LEAST, MOST, ledger_apart, says
from train.release.verify.sources import extraction_problems, origin_problem, row_problem

SOURCE, ID = "pkg:generic/a@1", "0" * 64
TEXT = "The cat sat. The cat sat.\n\n* The {cat} ate...\nThe cat sat.\n\n* The {cat} ate...\n" * 9
TEXT += "# lorem ipsum 1 2 3\n"
KEPT = [SelectedDocument(digit * 64, TEXT, SOURCE, f"{digit}.txt", "MIT", "", "", "en", split)
        for digit, split in (("1", "train"), ("2", "held_out"))]  # fmt: skip
ROW = LedgerRow(ID, SOURCE, "0.txt", "MIT", "dropped", "too_short", "3 characters", 3, "")
EXCLUDED = {f"{SOURCE}#0.txt": "2026-01-01 by its author"}


@pytest.fixture(scope="module")
def config() -> SelectedConfig:
    words = ["recipe=tiny", "data.selected.unended_lines=4", "data.selected.language={en: 60}"]
    return build(SelectedConfig, compose(words)["data"]["selected"])


@pytest.mark.parametrize("rule", [rule for rule in PREDICATES if rule is not language], ids=lambda rule: rule.__name__)
def test_what_a_rule_says_can_be_said_on_one_side_of_its_setting_alone(rule):
    several = "ngrams" in rule.__name__
    at = lambda limit: (MOST, limit) if several else limit  # noqa: E731
    below = rule(TEXT, at(MOST))
    detail = below or rule(TEXT, at(0))
    number, _, unit = detail.partition(" ")
    inside, outside = (MOST, LEAST) if below else (LEAST, MOST)
    assert says(rule, at(inside), detail) and not says(rule, at(outside), detail)
    assert not says(rule, at(float(number)), detail) or "." in number
    for other in (f"{number}1 {unit}", f"-{number} {unit}", f"{number} {unit}s", number, "", f"1e{number} {unit}"):
        assert not says(rule, at(inside), other) or ("." not in number and other == f"{number}1 {unit}")


@pytest.mark.parametrize(("reason", "detail", "right"), [
    ("too_short", "3 characters", True), ("too_short", "3 words", False), ("short_lines", "0.1000 of lines", False),
    ("duplicate_lines", "0.9500 of lines", True), ("duplicate_lines", "1.9500 of lines", False),
    ("top_ngrams", "0.2100 of the text is one 2-gram", True), ("top_ngrams", "0.2100 of the text is one 7-gram", False),
    ("language", "de 90 %, en 9 %", True), ("language", "German", False), ("unended_lines", "no line is left", True),
    ("unended_lines", "all", False), ("nothing", "3 characters", False),
    ("exact_duplicates", f"same text as 1.txt of {SOURCE}", True), ("exact_duplicates", "same text as 3", False),
    ("near_duplicates", f"0.92 like 1.txt of {SOURCE} ({'1' * 64})", True),
    ("near_duplicates", f"1.92 like 1.txt of {SOURCE} ({'1' * 64})", False),
    ("near_duplicates", f"0.92 like 1.txt of {SOURCE} ({'2' * 64})", False),
    ("contaminated", f"0.92 of held_out 2.txt of {SOURCE} ({'2' * 64}): the cat sat", True),
    ("contaminated", f"0.12 of held_out 2.txt of {SOURCE} ({'2' * 64}): the cat sat", False),
    ("contaminated", f"0.92 of held_out 1.txt of {SOURCE} ({'1' * 64}): the cat sat", False),
    ("contaminated", "pairs 7: the cat sat", True), ("contaminated", "pairs 8: the cat sat", False),
    ("excluded", "2026-01-01 by its author", False), ("no_licence", "licence NOASSERTION", False),
])  # fmt: skip
def test_a_reason_is_one_that_the_config_leads_to(config, reason, detail, right):
    row = replace(ROW, reason=reason, detail=detail)
    assert (list(ledger_apart(config, [row], KEPT, ["pairs 7"])) == []) == right
    assert list(ledger_apart(config, [replace(row, became="1" * 64)], KEPT, ["pairs 7"]))
    excluding = replace(config, excluded=EXCLUDED)
    assert reason != "excluded" or list(ledger_apart(excluding, [row], KEPT, ["pairs 7"])) == []


@pytest.mark.parametrize(("columns", "change", "says"), [
    (None, {}, None), (None, {"source": "pkg:generic/b@1"}, "source pkg:generic/b@1 is not listed"),
    (None, {"licence": "CC0-1.0"}, "licence CC0-1.0 is not its source's"), ("licence", {"licence": "CC0-1.0"}, None),
    ("licence", {"licence": "NOASSERTION"}, None), ("licence", {"licence": "mine"}, "licence mine is not its source's"),
])  # fmt: skip
def test_a_row_leads_to_a_source_and_its_licence(columns, change, says):
    columns = columns and {**COLUMNS, "licence": columns, "licence_names": {}, "attribution": None}
    row, says = replace(ROW, **change), says and f"data/ledger: 0.txt: {says}"
    assert row_problem(row, record(columns) if row.source == SOURCE else None) == says


@pytest.mark.parametrize(("seen", "files", "says"), [
    ({"0.txt": 1, "1.txt": 1}, 3, ""), ({"0.txt": 1}, 3, "1.txt: "), ({"0.txt": 2, "1.txt": 1}, 3, "0.txt: 2"),
    ({"0.txt": 1, "1.txt": 1, "3.txt": 1}, 3, "3.txt"), ({"0.txt": 1, "row 7": 9}, 4, ""),
])  # fmt: skip
def test_each_file_of_one_text_is_a_document_dropped_or_left_out_once(seen, files, says):
    """The second of three files was left out; the fourth holds rows."""
    release = SimpleNamespace(
        config=SimpleNamespace(data=SimpleNamespace(documents=DocumentsConfig({"txt": "plain", "jsonl": "rows"}))),
        json=lambda path: [{"path": "2.txt", "reason": "empty"}],
    )
    names = ("0.txt", "1.txt", "2.txt", "rows.jsonl")[:files]
    counted = {"files": files, "documents": 2, "bytes": 9, **dict.fromkeys(REASONS, 0), "empty": 1, "unlicensed": {}}
    counts = SourceCounts(**counted, licences={"LICENSE": ID})
    problems = list(extraction_problems(release, record(None, names), counts, Counter(seen)))
    assert (says in problems[0] and len(problems) == 1) if says else problems == []


def record(columns, names=()) -> SourceRecord:
    files = [{"path": name, "sha256": ID, "bytes": 1} for name in ("LICENSE", *names)]
    return SourceRecord.from_json(recorded("generic-a-1", files=files, columns=columns))


NAMES = {"Apache 2": "Apache-2.0"}
COLUMNS = {"text": "text", "path": None, "licence": "terms", "licence_names": NAMES, "attribution": "by"}
OTHER = "licence, attribution or language"


@pytest.mark.parametrize(("change", "columns", "text", "problem"), [
    ({}, None, "The text of MIT", None), ({}, COLUMNS, "The text of MIT", None),  # a whole file among files of rows
    ({"licence": "ISC"}, None, "The text of MIT", OTHER), ({"licence": "ISC"}, COLUMNS, "The text of MIT", OTHER),
    ({"attribution": "Ann"}, None, "The text of MIT", OTHER),
    ({"attribution": "Ann"}, COLUMNS, "The text of MIT", None),
    ({"language": "de"}, COLUMNS, "The text of MIT", OTHER),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "Apache 2", None),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "apache-2.0", None),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "ISC", "not what its row said, 'ISC'"),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "Undisclosed", "not what its row said"),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, None, "no such licence text"),
    ({"evidence": "row", "licence": "MIT"}, None, "MIT", "no such licence text"),
])  # fmt: skip
def test_a_document_follows_from_its_source_or_its_row(change, columns, text, problem):
    row = replace(KEPT[0], **{"attribution": "Somebody", "evidence": "text", **change})
    found = origin_problem(row, record(columns), {"text"}, text)
    assert found is None if problem is None else problem in found
