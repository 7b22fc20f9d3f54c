"""REUSE.toml stays TOML whatever people are called, and tells each of them to the letter."""

import tomllib

import pytest

from train.artifact import write_bytes, write_json
from train.release.standards.reuse import by_file, reuse_toml

NAMES = [
    'Harald "Bluetooth" G.', "O'Neill", "back\\slash", "C:\\new", '"""', "'''", "# no comment", "[x]", "a = b",
    "tab\there", "del\x7fete", "日本 Ünïcode 🎓", "\\u0041", "line\u2028separator", "ends with \\", "{brace}",
    "\u202eright to left", "Ann, and Bob",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_tells_every_name_to_the_letter(name, tmp_path):
    config = {"release": {"licence": "Apache-2.0", "authors": [name, "Ann"]}}
    write_json(tmp_path / "code/config.json", config)
    write_json(tmp_path / "data/statistics.json", {"licences": {"MIT": {}}})
    write_json(tmp_path / "evaluation/data/sets.json", [])
    write_bytes(tmp_path / "REUSE.toml", reuse_toml(tmp_path))
    table, *_ = tomllib.loads((tmp_path / "REUSE.toml").read_text(encoding="utf-8"))["annotations"]
    assert table["SPDX-FileCopyrightText"] == f"{name}, Ann"
    assert by_file(tmp_path, ["README.md"]) == {"README.md": "Apache-2.0"}
