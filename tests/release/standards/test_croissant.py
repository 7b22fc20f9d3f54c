"""The data as other programs and regulators read it. mlcroissant passes wrong digests, so these are tested here."""

import hashlib

import pytest

from train.artifact import as_json, read_json
from train.data import schema
from train.release.standards.croissant import croissant


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
