"""REUSE.toml, NOTICE and the texts of licences, whatever people and sources are called."""

import tomllib

import pytest
from conftest import recorded, refusal

from train.artifact import read_json, write_bytes, write_json
from train.compose import compose
from train.data import schema
from train.data.counts import SourceCounts
from train.release.cards import templates
from train.release.standards import osaid, reuse
from train.release.standards.reuse import by_file, notice, of_documents, reuse_toml, terms


def test_the_last_glob_that_fits_holds(tmp_path):
    (tmp_path / "REUSE.toml").write_text(
        '[[annotations]]\npath = "a/**"\nSPDX-License-Identifier = "MIT"\n'
        '[[annotations]]\npath = "a/*.md"\nSPDX-License-Identifier = "CC0-1.0"\n'
    )
    found = by_file(tmp_path, ["a/x.py", "a/x.md", "a/b/x.md", "x"])
    assert found == {"a/x.py": "MIT", "a/x.md": "CC0-1.0", "a/b/x.md": "MIT", "x": None}


def test_a_damaged_table_is_one_clear_line(tmp_path):
    (tmp_path / "REUSE.toml").write_text("[[annotations")
    refusal(by_file, tmp_path, ["x"], match=r"REUSE.toml: cannot be read")


def record(name, licence, terms="COPYING", attribution="someone", columns=None):
    """A source as `sources.json` has it."""
    said = {"licence": licence, "licence_files": [terms], "attribution": attribution, "columns": columns}
    return recorded(f"generic-{name}-1", purl=f"pkg:generic/{name}@1", **said)


def say(release, *authors):
    """What the shipped configuration says of a release, by other authors."""
    about = {**compose(["recipe=tiny"])["release"], "authors": list(authors)}
    write_json(release / "code/config.json", {"release": about})


def extracted(text):
    return vars(SourceCounts(*7 * [0], {"COPYING": text}, {}))


def test_an_evaluation_set_by_others_keeps_its_licence(tmp_path):
    source, other = record("a", "MIT"), record("b", "CC-BY-4.0", "TERMS", "another")
    say(tmp_path, "us")
    write_json(tmp_path / "data/sources.json", [source])
    row = {**dict.fromkeys(schema.SELECTED.names, ""), "source": source["purl"], "licence": "MIT"}
    schema.write_rows(tmp_path / "data/documents/part.parquet", [row], schema.SELECTED)
    counts = {"documents": 1, "bytes": 2, "tokens": 3}
    write_json(tmp_path / "data/statistics.json", {"licences": {"MIT": counts}, "sources": {source["purl"]: counts}})
    write_json(tmp_path / "data/extracted.json", {source["purl"]: extracted("11")})
    others = {**other, "name": "b", "licences": {"TERMS": "22"}, "items": 1, "groups": {}}
    write_json(tmp_path / "evaluation/data/sets.json", [{"name": "pairs", "licence": "Apache-2.0"}, others])
    for path, text in (("LICENSE", b"L"), ("data/licences/11.txt", b"M"), ("evaluation/data/licences/22.txt", b"C")):
        write_bytes(tmp_path / path, text)
    assert reuse.texts(tmp_path) == {
        "LICENSES/MIT.txt": b"M", "LICENSES/CC-BY-4.0.txt": b"C", "LICENSES/Apache-2.0.txt": b"L",
    }  # fmt: skip
    write_bytes(tmp_path / "REUSE.toml", reuse_toml(tmp_path))
    names = ["pairs.parquet", "b.parquet", "sets.json", "licences/22.txt"]
    found = by_file(tmp_path, [f"evaluation/data/{name}" for name in names])
    assert list(found.values()) == ["Apache-2.0", "CC-BY-4.0", "Apache-2.0", "CC-BY-4.0"]
    lines = notice(tmp_path).decode().splitlines()
    assert lines[lines.index("pkg:generic/b@1") + 1 :] == [
        "    another", "    licence: CC-BY-4.0", "    an evaluation set, in evaluation/data",
        "    TERMS: evaluation/data/licences/22.txt",
    ]  # fmt: skip


NAMES = [
    'Harald "Bluetooth" G.', "O'Neill", "back\\slash", "C:\\new", '"""', "'''", "# no comment", "[x]", "a = b",
    "tab\there", "日本 Ünïcode 🎓", "\\u0041", "ends with \\", "{brace}",
    "Ann, and Bob",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_tells_every_name_to_the_letter(name, tmp_path):
    say(tmp_path, name, "Ann")
    write_json(tmp_path / "data/statistics.json", {"licences": {"MIT": {}}})
    write_json(tmp_path / "evaluation/data/sets.json", [])
    write_bytes(tmp_path / "REUSE.toml", reuse_toml(tmp_path))
    table, *_ = tomllib.loads((tmp_path / "REUSE.toml").read_text(encoding="utf-8"))["annotations"]
    assert table["SPDX-FileCopyrightText"] == f"{name}, Ann"
    assert by_file(tmp_path, ["README.md"]) == {"README.md": "Apache-2.0"}


# Duties, told -------------------------------------------------------------------------------------------------------


def under(release, licences):
    """Put a release's documents under other licences: its statistics as they would then be."""
    statistics = read_json(release / "data/statistics.json")
    found = {name: dict.fromkeys(("documents", "bytes", "tokens"), number) for name, number in licences.items()}
    write_json(release / "data/statistics.json", {**statistics, "licences": found})


def test_share_alike_is_reported_wherever_licences_are(copy):
    under(copy, {"MIT": 3, "CC-BY-SA-4.0": 2, "CC-BY-4.0": 1})
    found = terms(copy)
    assert {name: entry.osi_approved for name, entry in found.items()} == {
        "CC-BY-4.0": False, "CC-BY-SA-4.0": False, "MIT": True,
    }  # fmt: skip
    assert {name: total["tokens"] for name, total in reuse.by_standing(found).items()} == {
        "OSI-approved": 3, "open, not OSI-listed": 3,
    }  # fmt: skip
    text = notice(copy).decode()
    duty = "open, not OSI-listed; attribution: name the authors"
    assert f"CC-BY-SA-4.0: 2 documents, 2 bytes, 2 tokens\n    {duty}" in text
    assert "the texts, changed or not, stay under CC-BY-SA-4.0; beside Apache-2.0: the texts cannot be put" in text
    assert osaid.openness_json(copy)["documents"]["CC-BY-SA-4.0"]["share_alike"] != "none"
    write_json(copy / "openness.json", osaid.openness_json(copy))
    said = "\n".join(templates.lines("openness.jinja", openness=read_json(copy / "openness.json")))
    assert "CC-BY-SA-4.0: the texts cannot be put under Apache-2.0" in said
    assert "CC-BY-4.0: 1 documents, open, not OSI-listed" in said
    assert of_documents(copy) == "CC-BY-4.0 AND CC-BY-SA-4.0 AND MIT"


def test_a_licence_that_is_not_known_to_be_open_stops_the_release(copy):
    under(copy, {"MIT": 3, "CC-BY-NC-4.0": 2})
    for write in (notice, osaid.openness_json):
        refusal(write, copy, match=r"2 documents are under 'CC-BY-NC-4.0', which is not known to be open")


def test_notice_names_every_source_with_its_licence_text(release):
    text = notice(release).decode()
    for source in read_json(release / "data/sources.json"):
        for wanted in (source["purl"], source["attribution"], source["licence"], *source["licence_files"]):
            assert wanted in text
    for path in (release / "data/licences").iterdir():
        assert f"data/licences/{path.name}" in text


@pytest.fixture
def rows_with_licences(tmp_path):
    """A release of two sources: one under MIT, the other's rows name their licences; a third gave no document."""
    licences = {"a": ["MIT"], "b": ["CC-BY-4.0", "MIT AND CC0-1.0"], "c": []}
    rows = [
        {**dict.fromkeys(schema.SELECTED.names, ""), "source": f"pkg:generic/{source}@1", "licence": licence}
        for source, found in licences.items()
        for licence in found
    ]
    schema.write_rows(tmp_path / "data/documents/part.parquet", rows, schema.SELECTED)
    columns = {"text": "t", "path": None, "licence": "l", "licence_names": {}, "attribution": None}
    sources = [record("a", "MIT"), record("b", "NOASSERTION", columns=columns), record("c", "ISC")]
    write_json(tmp_path / "data/sources.json", sources)
    write_json(tmp_path / "data/extracted.json", {s["purl"]: extracted(f"of-{s['purl'][12]}") for s in sources})
    for name in licences:
        write_bytes(tmp_path / f"data/licences/of-{name}.txt", f"text of {name}".encode())
    (tmp_path / "LICENSE").write_text("ours")
    write_json(tmp_path / "evaluation/data/sets.json", [])
    return tmp_path


def test_the_licences_of_a_source_are_those_of_its_documents(rows_with_licences):
    found = {purl[len("pkg:generic/")]: names for purl, names in reuse.by_source(rows_with_licences).items()}
    assert found == {"a": ["MIT"], "b": ["CC-BY-4.0", "MIT AND CC0-1.0"], "c": ["ISC"]}


def test_a_text_that_did_not_come_is_never_made_up(rows_with_licences):
    found = {path: text.decode() for path, text in reuse.texts(rows_with_licences).items()}
    assert found.keys() == {f"LICENSES/{name}.txt" for name in ("Apache-2.0", "CC-BY-4.0", "CC0-1.0", "ISC", "MIT")}
    assert (found["LICENSES/MIT.txt"], found["LICENSES/ISC.txt"]) == ("text of a", "text of c")
    said = "No text of CC-BY-4.0 came with the sources. It stands at https://"
    assert found["LICENSES/CC-BY-4.0.txt"].startswith(said)
