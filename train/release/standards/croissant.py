"""Croissant metadata of the data set, for machines: it repeats what other records say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.artifact import file_digest
from train.data import schema
from train.licences import url
from train.release.cards.data_card import written
from train.release.cards.markdown import command, record
from train.release.standards import forms, reuse
from train.release.standards.osaid import regular_files
from train.spdx import identifiers

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
# Terms that Croissant 1.1 takes from other vocabularies than schema.org; its appendix 1 lists the same.
CROISSANT = """
    arrayShape citeAs column containedIn equivalentProperty extract field fileObject fileProperty fileSet format
    includes isArray isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace
    samplingRate separator source subField transform
"""
TABLES = {
    "documents": ("every text that was kept", schema.SELECTED),
    "ledger": ("every decision to drop or to change a text", schema.LEDGER),
    "ranges": ("where each text's tokens lie in the array of its split", schema.RANGES),
}
TYPES = {"string": "sc:Text", "int64": "sc:Integer", "double": "sc:Float", "bool": "sc:Boolean"}
FORMATS = {".parquet": "application/x-parquet", ".json": "application/json", ".md": "text/markdown"}


def croissant(release: Path) -> dict[str, Any]:
    """`data/croissant.json`: Croissant 1.1 and RAI 1.0 of the folder `data/`, as JSON-LD; paths are relative to it.

    Each file has its SHA-256, each table its record set, each source stands as what the data was derived from.
    """
    config = record(release, "code/config.json")
    about, name = config["release"], config["data"]["name"]
    head, _, _ = written(release)
    authors, under = ", ".join(about["authors"]), reuse.by_source(release)
    rai = forms.Form(release, "croissant_rai").parts["Properties"]
    paths = [path for path in regular_files(release / "data") if path != "croissant.json"]
    described = [_table(name, what, schema) for name, (what, schema) in TABLES.items()]
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": name,
        "description": f"{head['title']}, the training text of {about['title']} {about['version']}: its documents, the "
        "ledger of what was dropped and changed, and where the tokens of each document lie.",
        "url": "./",
        "version": about["version"],
        "datePublished": about["date"],
        "creator": [{"@type": "sc:Organization", "name": author} for author in about["authors"]],
        "license": [url(i) for i in identifiers(reuse.of_documents(release))],
        "inLanguage": sorted(record(release, "data/statistics.json", "/languages")),
        "citeAs": f"{authors}: {about['title']} {about['version']}, {about['date']}",
        "prov:wasDerivedFrom": [_source(s, under[s["purl"]]) for s in record(release, "data/sources.json")],
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "prov:label": f"{command(release)} until=tokens"},
        **{f"rai:{term}": answer.text for term, answer in rai.items()},
        "distribution": [*(_file(release, path) for path in paths), *(files for files, _ in described)],
        "recordSet": [records for _, records in described],
    }


def _context() -> dict[str, Any]:
    by_language = {"@container": "@language"}
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        **{term: f"cr:{term}" for term in CROISSANT.split()},
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "description": by_language,
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "name": by_language,
        "prov": "http://www.w3.org/ns/prov#",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
    }


def _source(source: Mapping[str, Any], under: list[str]) -> dict[str, Any]:
    return {
        "@id": source["purl"],
        "@type": "prov:Entity",
        "prov:label": source["attribution"],
        "sc:license": sorted({url(i) for expression in under for i in identifiers(expression)}),
        "sc:sha256": [file["sha256"] for file in source["files"]],
    }


def _file(release: Path, path: str) -> dict[str, Any]:
    file = release / "data" / path
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": f"{file.stat().st_size} B",
        "encodingFormat": FORMATS.get(file.suffix, "text/plain"),
        "sha256": file_digest(file),
    }


def _table(table: str, what: str, schema: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The set of a table's files, whose digests stand with the files, and the set of its records."""
    files = {"@id": f"{table}-files", "name": f"{table}-files", "encodingFormat": FORMATS[".parquet"]}
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{table}/{column.name}",
            "name": column.name,
            "dataType": TYPES[str(column.type)],
            "source": {"fileSet": {"@id": files["@id"]}, "extract": {"column": column.name}},
        }
        for column in schema
    ]
    records = {"@type": "cr:RecordSet", "@id": table, "name": table, "description": what, "field": fields}
    return {"@type": "cr:FileSet", **files, "includes": f"{table}/*.parquet"}, records
