"""Croissant metadata of the data set, for machines: it repeats what other records say. `croissant.json.jinja` is it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from train.artifact import file_digest, parse_json
from train.data import schema
from train.layout import regular_files
from train.licences import url
from train.release.cards.data_card import written
from train.release.cards.facts import Facts
from train.release.cards.templates import data
from train.release.standards import forms, reuse
from train.spdx import identifiers

TABLES = {
    "documents": ("every text that was kept", schema.SELECTED),
    "ledger": ("every decision to drop or to change a text", schema.LEDGER),
    "ranges": ("where each text's tokens lie in the array of its split", schema.RANGES),
}


def croissant(release: Path) -> dict[str, Any]:
    """`data/croissant.json`: each file with its SHA-256, each table, and each source that the data is derived from."""
    head, _, _ = written(release)
    paths = [path for path in regular_files(release / "data") if path != "croissant.json"]
    text = data(
        "standards/croissant.json.jinja",
        facts=Facts(release),
        title=head["title"],
        licences=urls([reuse.of_documents(release)]),
        rai=forms.Form(release, "croissant_rai").parts["Properties"],
        files=[(path, release / "data" / path) for path in paths],
        tables=TABLES,
        digest=file_digest,
        urls=urls,
    )
    return dict(parse_json(text))


def urls(expressions: Iterable[str]) -> list[str]:
    """Where the licences that SPDX expressions name are described."""
    return [url(identifier) for expression in expressions for identifier in identifiers(expression)]
