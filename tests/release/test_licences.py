"""What licences allow, by name and by text."""

import pytest

from train.artifact import write_bytes, write_json
from train.config import UserError
from train.release.cards import notice
from train.release.licences import by_file, identifiers, restriction, reuse_toml, standing, texts


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", "OSI-approved"),
        ("Apache-2.0 OR BSD-3-Clause", "OSI-approved"),
        ("CC0-1.0", "open, not OSI-listed"),
        ("MIT AND CC-BY-4.0", "open, not OSI-listed"),
        ("MIT OR CC-BY-NC-4.0", "OSI-approved"),
        ("MIT AND CC-BY-NC-4.0", "not known to be open"),
        ("Python-2.0", "OSI-approved"),
        ("do what you like", "not known to be open"),
    ],
)
def test_standing(expression, expected):
    assert standing(expression) == expected


def test_identifiers_of_an_expression():
    assert identifiers("(MIT OR Apache-2.0) AND MIT") == ["Apache-2.0", "MIT"]


@pytest.mark.parametrize(
    "name", ["CC-BY-NC-4.0", "CC-BY-ND-4.0", "OpenRAIL-M", "BigScience-OpenRAIL-M", "X-NonCommercial"]
)
def test_names_that_reserve_uses(name):
    assert restriction(name, name=True)


@pytest.mark.parametrize("name", ["MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-SA-4.0", "NCSA", "LGPL-2.1-or-later"])
def test_names_that_do_not(name):
    assert restriction(name, name=True) is None


def test_texts_that_reserve_uses():
    assert restriction("for non-commercial use only", name=False)
    assert restriction("Use-based restrictions as referenced in paragraph 5", name=False)
    assert restriction("for any purpose, commercial or not", name=False) is None


def test_the_last_glob_that_fits_holds(tmp_path):
    (tmp_path / "REUSE.toml").write_text(
        '[[annotations]]\npath = "a/**"\nSPDX-License-Identifier = "MIT"\n'
        '[[annotations]]\npath = "a/*.md"\nSPDX-License-Identifier = "CC0-1.0"\n'
    )
    found = by_file(tmp_path, ["a/x.py", "a/x.md", "a/b/x.md", "x"])
    assert found == {"a/x.py": "MIT", "a/x.md": "CC0-1.0", "a/b/x.md": "MIT", "x": None}


def test_a_damaged_table_is_one_clear_line(tmp_path):
    (tmp_path / "REUSE.toml").write_text("[[annotations")
    with pytest.raises(UserError, match=r"REUSE.toml: cannot be read"):
        by_file(tmp_path, ["x"])


def test_an_evaluation_set_by_others_keeps_its_licence(tmp_path):
    source = {"purl": "pkg:generic/a@1", "licence": "MIT", "licence_files": ["COPYING"], "attribution": "someone"}
    theirs = {"purl": "pkg:generic/b@1", "licence": "CC-BY-4.0", "licence_files": ["TERMS"], "attribution": "another"}
    about = {"licence": "Apache-2.0", "authors": ["us"], "title": "T", "version": "1"}
    write_json(tmp_path / "code/config.json", {"release": about})
    write_json(tmp_path / "data/sources.json", [source])
    write_json(tmp_path / "data/extracted.json", {source["purl"]: {"licences": {"COPYING": "11"}}})
    sets = [{"name": "pairs", "licence": "Apache-2.0"}, {**theirs, "name": "b", "licences": {"TERMS": "22"}}]
    write_json(tmp_path / "evaluation/data/sets.json", sets)
    for path, text in (("LICENSE", b"L"), ("data/licences/11.txt", b"M"), ("evaluation/data/licences/22.txt", b"C")):
        write_bytes(tmp_path / path, text)
    assert texts(tmp_path) == {
        "LICENSES/MIT.txt": b"M", "LICENSES/CC-BY-4.0.txt": b"C", "LICENSES/Apache-2.0.txt": b"L",
    }  # fmt: skip
    write_bytes(tmp_path / "REUSE.toml", reuse_toml(tmp_path))
    names = ["pairs.parquet", "b.parquet", "sets.json", "licences/22.txt"]
    found = by_file(tmp_path, [f"evaluation/data/{name}" for name in names])
    assert list(found.values()) == ["Apache-2.0", "CC-BY-4.0", "Apache-2.0", "CC-BY-4.0"]
    lines = notice(tmp_path).decode().splitlines()
    assert lines[lines.index("pkg:generic/b@1") + 1 :] == [
        "    another", "    licence: CC-BY-4.0", "    standing: open, not OSI-listed",
        "    TERMS: evaluation/data/licences/22.txt",
    ]  # fmt: skip
