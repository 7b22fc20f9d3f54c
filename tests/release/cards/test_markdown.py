"""Numbers in cards come from records."""

import pytest

from train.artifact import write_json
from train.errors import UserError
from train.release.cards import markdown


def test_a_record_is_found_by_its_pointer(tmp_path):
    write_json(tmp_path / "x.json", {"a/b": [{"c": 3}]})
    assert markdown.record(tmp_path, "x.json", "/a~1b/0/c") == 3
    with pytest.raises(UserError, match="nothing stands at /a~1b/1"):
        markdown.record(tmp_path, "x.json", "/a~1b/1")
