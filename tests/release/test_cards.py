"""Numbers in cards come from records."""

import pytest

from train.artifact import read_json, write_json
from train.config import UserError
from train.release import cards


def test_a_record_is_found_by_its_pointer(tmp_path):
    write_json(tmp_path / "x.json", {"a/b": [{"c": 3}]})
    assert cards.record(tmp_path, "x.json", "/a~1b/0/c") == 3
    with pytest.raises(UserError, match="nothing stands at /a~1b/1"):
        cards.record(tmp_path, "x.json", "/a~1b/1")


def test_numbers_are_shown_for_readers():
    assert [cards.shown(value) for value in (1234567, 0.5, 1e-7, True, "x")] == [
        "1,234,567",
        "0.5000",
        "1e-07",
        "True",
        "x",
    ]


def test_cells_cannot_break_out_of_a_table():
    assert cards.rows(("a",), [["x|y"]]).split("\n")[-1] == "| x\\|y |"


def test_a_changed_record_changes_the_card(copy):
    before = cards.model_card(copy)
    assert before == (copy / "README.md").read_bytes()
    scores = read_json(copy / "evaluation/scores.json")
    scores["bits_per_byte"]["value"] = 1.2345
    write_json(copy / "evaluation/scores.json", scores)
    assert b"1.2345" in cards.model_card(copy) and b"1.2345" not in before


def test_the_data_card_holds_what_people_wrote_and_what_records_say(release):
    card = (release / "data/README.md").read_text()
    counts, source = read_json(release / "data/counts.json"), read_json(release / "data/sources.json")[0]
    assert "## Motivation" in card
    assert f"{counts['raw']['documents']:,} extracted = {counts['kept']['documents']:,} kept" in card
    assert source["purl"] in card
    assert "| too_short | Fewer characters than the threshold. | 900 |" in card
    assert "| excluded | Somebody asked for the document" in card


def test_the_data_card_shows_what_was_left_out_and_why(copy):
    config = read_json(copy / "code/config.json")
    config["data"]["selected"]["excluded"] = {"pkg:generic/a@1#b.txt": "2026-11-20: asked by its author"}
    write_json(copy / "code/config.json", config)
    assert b'{"pkg:generic/a@1#b.txt": "2026-11-20: asked by its author"}' in cards.data_card(copy)


def test_front_matter_of_a_human_card_is_told_apart():
    assert cards._parted("---\ntitle: A: b\n---\n\ntext\n") == ({"title": "A: b"}, "text")
    assert cards._parted("text\n") == ({}, "text")
