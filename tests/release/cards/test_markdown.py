"""Numbers in cards come from records, and nothing in a record can break out of its place on a page."""

import pytest

from train.artifact import write_json
from train.errors import UserError
from train.release.cards import markdown


def test_a_record_is_found_by_its_pointer(tmp_path):
    write_json(tmp_path / "x.json", {"a/b": [{"c": 3}]})
    assert markdown.record(tmp_path, "x.json", "/a~1b/0/c") == 3
    with pytest.raises(UserError, match="nothing stands at /a~1b/1"):
        markdown.record(tmp_path, "x.json", "/a~1b/1")


def test_numbers_are_shown_for_readers():
    shown = [markdown.shown(value) for value in (1234567, 0.5, 1e-7, True, "x")]
    assert shown == ["1,234,567", "0.5000", "1e-07", "True", "x"]


def test_cells_cannot_break_out_of_a_table():
    assert markdown.rows(("a",), [["x|y"]]).split("\n")[-1] == "| x\\|y |"
    assert markdown.rows(("a", "b"), [["x\ny", 1]]).split("\n")[2:] == ["| x y | 1 |"]
