"""The data as other programs and regulators read it. mlcroissant passes wrong digests, so these are tested here."""

import hashlib
import re

import pytest

from train.artifact import as_json, read_json, write_json
from train.data import schema
from train.release.standards.croissant import croissant
from train.release.standards.eu_summary import eu_summary


@pytest.fixture(scope="module")
def described(release):
    return read_json(release / "data/croissant.json")


def loaded(folder, table):
    """The rows of a record set as mlcroissant reads them, without the name of the table in each key."""
    mlcroissant = pytest.importorskip("mlcroissant")
    rows = mlcroissant.Dataset(folder / "croissant.json").records(table)
    plain = ({key.split("/")[1]: value for key, value in row.items()} for row in rows)
    return [{key: v.decode() if isinstance(v, bytes) else v for key, v in row.items()} for row in plain]


def test_mlcroissant_finds_nothing_to_say_against_it(release):
    mlcroissant = pytest.importorskip("mlcroissant")
    found = mlcroissant.Dataset(release / "data/croissant.json").metadata
    assert (found.ctx.issues.errors, found.ctx.issues.warnings) == (set(), set())
    assert (found.name, found.ctx.is_v1_1()) == ("stories", True)


def test_every_file_has_its_digest(release, described):
    files = {entry["@id"]: entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"}
    data = release / "data"
    there = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    assert files.keys() == there - {"croissant.json"}
    for path, entry in files.items():
        content = (data / path).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest(), path
        assert (entry["contentUrl"], entry["contentSize"]) == (path, f"{len(content)} B")


def test_an_empty_ledger_is_described_and_read_as_empty(copy):
    for path in (copy / "data/ledger").iterdir():
        schema.write_rows(path, [], schema.LEDGER)
    (copy / "data/croissant.json").write_bytes(as_json(croissant(copy)))
    assert loaded(copy / "data", "ledger") == []


def test_it_names_its_sources_and_repeats_what_people_wrote(release, described):
    sources = read_json(release / "data/sources.json")
    assert [entry["@id"] for entry in described["prov:wasDerivedFrom"]] == [source["purl"] for source in sources]
    assert described["prov:wasDerivedFrom"][0]["sc:sha256"] == [file["sha256"] for file in sources[0]["files"]]
    assert described["license"] == ["https://spdx.org/licenses/Apache-2.0.html"]
    assert described["rai:dataAnnotationProtocol"] == "There are no labels."
    assert described["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]


# The summary for the European Union ----------------------------------------------------------------------------------


def fields(summary: bytes) -> dict[str, str]:
    rows = [line.strip("|").split(" | ") for line in summary.decode().splitlines() if line.startswith("| ")]
    return {name.strip(): answer.strip() for name, answer in rows[2:]}


def test_every_field_of_the_template_is_filled_or_says_why_not(release):
    found = fields((release / "provenance/eu_training_summary.md").read_bytes())
    numbers = {name.split()[0] for name in found}
    assert numbers == set("0 1.1 1.2 1.3 2.1 2.2 2.3 2.4 2.5 2.6 3.1 3.2 3.3".split())  # noqa: SIM905
    for name, answer in found.items():
        assert answer, name
        assert not re.fullmatch(r"not applicable:?\s*", answer), name
    counts = [f"{read_json(release / 'data/statistics.json')[u]:,} {u}" for u in ("documents", "bytes", "tokens")]
    assert found["1.3 text"].startswith(f"less than 1 billion tokens: {', '.join(counts)}")
    assert found["2.5 synthetic data"].startswith("pkg:generic/pellucid-stories@1 (")
    assert found["2.1 publicly available data sets"] == "not applicable: none was used"


def test_sources_stand_where_the_template_wants_them(copy):
    sources = read_json(copy / "data/sources.json")
    fetched = {**sources[0], "kind": "pypi", "purl": "pkg:pypi/a@1"}
    write_json(copy / "data/sources.json", [fetched, {**sources[0], "kind": "files", "purl": "pkg:generic/b@1"}])
    found = fields(eu_summary(copy))
    assert "pkg:pypi/a@1" in found["2.1 publicly available data sets"]
    assert "pkg:generic/b@1" in found["2.6 other sources"]
    assert found["2.5 synthetic data"] == "not applicable: the provider made none"


def test_a_small_model_is_very_likely_none_of_those_meant(copy):
    assert b"very likely none" in eu_summary(copy)
    facts = read_json(copy / "provenance/facts.json")
    write_json(copy / "provenance/facts.json", {**facts, "flops": 2 * 10**23})
    assert b"very likely" not in eu_summary(copy) and b"possibly one" in eu_summary(copy)
