"""The data card: nothing that only people can say may be left out, and every number follows its record."""

import json
import re
from pathlib import Path

import pytest
import yaml
from conftest import edit

from train.artifact import digest, read_json, write_json
from train.data import schema
from train.data.filters.rules import COMPARISONS
from train.errors import UserError
from train.keys import ROOT
from train.release.cards import data_card
from train.release.cards.statistics import statistics

CARDS = sorted((ROOT / "data_cards").glob("*.md"))


def human(release: Path, old: str, new: str) -> None:
    """Change what people wrote."""
    path = release / "code/data_cards/stories.md"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def table(card: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading that follows 'Records'."""
    below = card.partition("\n# Records\n")[2].partition(f"\n## {heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_card_holds_what_people_wrote_and_what_records_say(release):
    card = (release / "data/README.md").read_text()
    counts, source = read_json(release / "data/counts.json"), read_json(release / "data/sources.json")[0]
    assert "## Motivation\n\nA corpus that anybody can make" in card
    assert f"{counts['raw']['documents']:,} extracted = {counts['kept']['documents']:,} kept" in card
    assert source["purl"] in card and "| too_short | Fewer characters than the threshold. | `900` | 33 |" in card
    dropped = {rule: entry["documents"] for rule, entry in counts["dropped"].items()}
    compared = sum(dropped[rule.__name__] for rule in COMPARISONS)
    passed = 500 - sum(dropped.values()) + compared
    assert table(card, "Steps")[4][:4] == ["judged", "`code/train/data/judged.py`", "those of the rules",
                                           "500 documents"]  # fmt: skip
    assert [row[3:] for row in table(card, "Steps")[4:7]] == [
        ["500 documents", f"{passed} documents", f"{500 - passed} documents, by the rules"],
        [f"{passed} documents", "which are nearly the same", "nothing"],
        [f"{passed} documents", f"{counts['kept']['documents']} documents", f"{compared} documents, by comparison"],
    ]
    assert table(card, "Sources")[2][:2] == [source["purl"], "open"]
    assert [row[0] for row in table(card, "Licences")[2:]] == ["Apache-2.0", "all"]


def test_the_order_of_quantiles_is_that_of_lengths(release):
    below = (release / "data/README.md").read_text().partition("| length of a document in |")[2]
    assert below.startswith(" least | 5 % | 25 % | median | 75 % | 95 % | most |")
    numbers = [int(cell.replace(",", "")) for cell in below.splitlines()[2].split("|")[2:-1]]
    assert numbers == sorted(numbers) and len(numbers) == 7


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_people_have_said_all_that_only_they_can_say(copy, path):
    edit(copy / "code/config.json", "data", "name", to=path.stem)
    (copy / "code/data_cards" / path.name).write_bytes(path.read_bytes())
    head, sections, _ = data_card.written(copy)
    assert head.keys() >= set(data_card.HEAD) and sections.keys() >= set(data_card.SECTIONS)


@pytest.mark.parametrize(("old", "new", "said"), [
    ("## Consent and opt-out", "## Something else", "text under '## Consent and opt-out'"),
    ("There are no labels.\n", "", "text under '## Labelling'"),
    ("curator: The Pellucid maintainers\n", "", "'curator:' at its head"),
    ("licence: Apache-2.0", "licence: CC-BY-4.0", "its licence is CC-BY-4.0, the release's is Apache-2.0"),
])  # fmt: skip
def test_a_card_that_lacks_something_is_one_clear_line(copy, old, new, said):
    human(copy, old, new)
    with pytest.raises(UserError, match=r"data_cards/stories\.md") as error:
        data_card.data_card(copy)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_front_matter_of_a_human_card_is_told_apart():
    assert data_card._parted("---\ntitle: A: b\n---\n\ntext\n") == ({"title": "A: b"}, "text")
    assert data_card._parted("text\n") == ({}, "text")


def test_overlap_is_shown_for_each_set_and_for_the_text_held_out(copy):
    words, tokens = ({"ngrams": n, "shared": k, "share": k / n, "items": i} for n, k, i in ((8, 2, 1), (5, 0, 0)))
    part = {"items": 3, "words": words, "tokens": tokens, "found": {}}
    overlap = {"lengths": {"words": 13, "tokens": 12}, "sets": {"quiz": part}, "held_out": {**part, "items": 4}}
    write_json(copy / "data/overlap.json", overlap)
    card = data_card.data_card(copy).decode()
    counted = ["12 tokens", "5", "0", "0", "0"], ["13 words", "8", "2", "0.2500", "1"]
    wanted = [[*part, *cells] for part in (["quiz", "3"], ["the text held out", "4"]) for cells in counted]
    assert table(card, "Overlap with the evaluation")[2:] == wanted


def test_the_front_matter_offers_a_ledger_only_when_it_has_rows(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    counts = read_json(copy / "data/counts.json")
    for action in ("dropped", "redacted"):
        counts[action] = {name: dict.fromkeys(entry, 0) for name, entry in counts[action].items()}
    write_json(copy / "data/counts.json", counts)
    for path in (copy / "data/ledger").iterdir():
        schema.write_rows(path, [], schema.LEDGER)
    (copy / "data/README.md").write_bytes(data_card.data_card(copy))
    front = yaml.safe_load((copy / "data/README.md").read_text().split("---\n")[1])
    assert [config["config_name"] for config in front["configs"]] == ["documents"]
    found = datasets.load_dataset(str(copy / "data"), cache_dir=str(tmp_path))["kept"]
    assert len(found) == counts["kept"]["documents"]


# Statistics ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
    """A release's documents: eight whose tokens hold 2, 3, ... 9 bytes, and one that is held out."""
    texts = {f"{number:02}": "x" * 10 * number for number in range(2, 10)}
    rows = [
        {"id": id, "text": text, "source": "pkg:generic/a@1", "path": f"{id}.txt", "licence": "MIT", "evidence": "",
         "attribution": "", "language": "en", "split": "held_out" if id == "09" else "train"}
        for id, text in texts.items()
    ]  # fmt: skip
    same = {"source": "pkg:generic/a@1", "path": "", "licence": "MIT"}
    ranges = [{"id": id, "start": 0, "end": 10, "bytes": len(text), **same} for id, text in texts.items()]
    schema.write_rows(tmp_path / "data/documents/part.parquet", rows, schema.SELECTED)
    schema.write_rows(tmp_path / "data/ranges/train.parquet", ranges, schema.RANGES)
    return tmp_path


def test_typical_documents_are_near_the_median_and_odd_ones_far(made):
    found = statistics(made)["examples"]
    assert [each["id"] for each in found["typical"]] == ["05", "04", "06", "03", "07"]
    assert [each["id"] for each in found["odd"]] == ["09", "08", "02"]
    assert found["odd"][0] == {"id": "09", "source": "pkg:generic/a@1", "path": "09.txt", "split": "held_out",
                               "bytes_per_token": 9.0}  # fmt: skip


def test_a_split_has_a_digest_over_its_ids_whatever_the_order_of_files(made):
    found = statistics(made)["digests"]
    assert found == {"held_out": digest(["09"]), "train": digest(["02", "03", "04", "05", "06", "07", "08"])}


def test_no_document_is_an_example_of_both_kinds(release):
    found = json.loads((release / "data/statistics.json").read_text())["examples"]
    ids = [each["id"] for some in found.values() for each in some]
    assert len(ids) == len(set(ids)) == 10
