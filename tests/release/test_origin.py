"""A document's licence, attribution and language follow from its source, or from what its own row said."""

import pytest

from train.data.schema import SelectedDocument
from train.data.sources.spec import SourceRecord
from train.release.verify.sources import origin_problem

NAMES = {"Apache 2": "Apache-2.0"}
COLUMNS = {"text": "text", "path": None, "licence": "terms", "licence_names": NAMES, "attribution": "by"}
SOURCE = {"licence": "MIT", "attribution": "Somebody", "language": "en", "kind": "files", "purl": "pkg:generic/a@1"}
SOURCE |= {"licence_files": ["LICENSE"], "include": ["**"], "exclude": [], "sha256": None, "slug": "a", "files": []}
ROW = {"id": "0", "text": "A text.", "source": "pkg:generic/a@1", "path": "a.txt", "split": "train"}
ROW |= {"licence": "MIT", "attribution": "Somebody", "language": "en", "evidence": "text"}


@pytest.mark.parametrize(("row", "columns", "told", "problem"), [
    ({}, None, "The text of MIT", None),
    ({}, COLUMNS, "The text of MIT", None),  # a whole file among files of rows
    ({"licence": "ISC"}, None, "The text of MIT", "licence, attribution or language"),
    ({"licence": "ISC"}, COLUMNS, "The text of MIT", "licence, attribution or language"),
    ({"attribution": "Ann"}, None, "The text of MIT", "licence, attribution or language"),
    ({"attribution": "Ann"}, COLUMNS, "The text of MIT", None),
    ({"language": "de"}, COLUMNS, "The text of MIT", "licence, attribution or language"),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "Apache 2", None),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "apache-2.0", None),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "ISC", "not what its row said, 'ISC'"),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, "Undisclosed", "not what its row said"),
    ({"evidence": "row", "licence": "Apache-2.0"}, COLUMNS, None, "no such licence text"),
    ({"evidence": "row", "licence": "MIT"}, None, "MIT", "no such licence text"),
])  # fmt: skip
def test_a_document_follows_from_its_source_or_its_row(row, columns, told, problem):
    found = origin_problem(
        SelectedDocument(**ROW | row), SourceRecord.from_json(SOURCE | {"columns": columns}), {"text"}, told
    )
    assert found is None if problem is None else problem in found
