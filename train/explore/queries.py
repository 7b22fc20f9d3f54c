"""From a step to its texts and back: the answers of `scripts/explore.py`, as plain data."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from train.data.ledger import SPLITS
from train.data.selected import kept_documents
from train.data.tokenizer import load as load_tokenizer
from train.errors import UserError, did_you_mean
from train.explore import search as verbatim
from train.explore.lineage import Lineage, checkpoints, readings

SHOWN = 5  # names in an error message
DIGITS = 8  # of an id, where a shorter word of letters a to f may be meant as the name of a source


def step(found: Lineage, number: int) -> dict[str, Any]:
    """The batch of a step: each sequence, tokens `start` to `end` of the training split, with what it is cut from.

    The last token of a sequence is a target only. Texts are decoded; a character that a cut tears becomes U+FFFD.
    """
    order = found.trained
    if not 1 <= number <= order.steps:
        raise UserError(f"step {number}: expected 1 to {order.steps}, the steps of {found.folder}")
    ends = [row["end"] for row in found.training]
    sequences, cuts = [], []
    for window in found.windows[number - 1].tolist():
        start, end = window * order.context, (window + 1) * order.context + 1
        rows = found.training[np.searchsorted(ends, start, "right") : np.searchsorted(ends, end, "left") + 1]
        cuts += [dict(row) for row in rows]
        sequences.append({"start": start, "end": end, "documents": cuts[-len(rows) :]})
    tokenizer, tokens = load_tokenizer(found.tokenizer), _tokens(found, {cut["id"]: cut for cut in cuts})
    for sequence in sequences:
        for cut in sequence["documents"]:
            first = cut["start"]
            cut |= {"start": max(first, sequence["start"]), "end": min(cut["end"], sequence["end"])}
            cut["tokens"] = tokens[cut["id"]][cut["start"] - first : cut["end"] - first]
            cut["text"] = tokenizer.decode(cut["tokens"])
    return {"step": number, "steps": order.steps, "sequences": sequences}


def document(found: Lineage, id: str) -> dict[str, Any]:
    """The fate of the one document that `id` names (see `matching_ids`), and every reading of it."""
    ids = matching_ids(found, id)
    if not ids:
        raise UserError(
            f"document {id!r}: none in {found.folder} is called so; give the beginning of an id, or purl#path"
        )
    whole = the_one(ids, id)
    kept = found.kept.get(whole)
    told: dict[str, Any] = {"id": whole, "kept": kept}
    told["ledger"] = [entry for entry in found.ledger if identity(entry) == whole]
    if kept and found.order:
        read = readings(found, [kept])
        told["readings"] = [dict(zip(read, map(int, row), strict=True)) for row in zip(*read.values(), strict=True)]
        told["read"] = summary(found, [kept])
    return told


def source(found: Lineage, name: str) -> dict[str, Any]:
    """What became of a source's documents: kept by split, licence and evidence, lost by reason; when it was read."""
    purl = matching_source(found, name)
    kept = [row for row in found.kept.values() if row["source"] == purl]
    record = found.records.get(purl, {})
    told: dict[str, Any] = {"source": purl, "record": record, "splits": {}, "licences": {}, "evidence": {}}
    for row in kept:
        size = {"documents": 1, "bytes": row["bytes"], "tokens": row["end"] - row["start"]}
        evidence = str(found.licences / f"{row['evidence']}.txt")
        for table, key in (("splits", row["split"]), ("licences", row["licence"]), ("evidence", evidence)):
            _add(told[table], key, size)
    for action in ("dropped", "redacted"):
        told[action] = {}
        for entry in found.ledger:
            if (entry["source"], entry["action"]) == (purl, action):
                _add(told[action], entry["reason"], {"documents": 1, "bytes": entry["bytes"]})
    tokens = told["splits"].get("train", {}).get("tokens", 0)
    told["share"] = round(tokens / found.training[-1]["end"], 6)  # of the tokens of the training split
    if found.order:
        told["read"] = summary(found, kept)
    return told


def affected(found: Lineage, item: str) -> dict[str, Any] | None:
    """Which steps and checkpoints were influenced by what `item` names; None if that is unknown.

    It names a document by 8 or more digits of its id or as purl#path, or a source. Beside the steps there is more that
    a document may have left its mark on: the tokenizer was learnt from all of the split `train`, read by a step or not,
    and scores were measured on `held_out`. A document that was `dropped` has left none.
    """
    ids = matching_ids(found, item) if "#" in item or len(item) >= DIGITS else []
    if ids:
        told: dict[str, Any] = {"documents": ids if "#" in item else [the_one(ids, item)]}
        mine = {key: [row for row in rows if identity(row) in told["documents"]] for key, rows in _all(found).items()}
    elif _sources_like(found, item):
        told = {"source": matching_source(found, item)}
        mine = {key: [row for row in rows if row["source"] == told["source"]] for key, rows in _all(found).items()}
    else:
        return None
    splits = {split: sum(row["split"] == split for row in mine["kept"]) for split in SPLITS}
    lost = [entry for entry in mine["ledger"] if entry["action"] == "dropped"]
    dropped = Counter(f"{e['reason']}: {e['detail']}" if ids else e["reason"] for e in lost)
    return {**told, **splits, "dropped": dropped, "read": summary(found, mine["kept"])}


def search(corpus: verbatim.Corpus, text: str, most: int, around: int) -> dict[str, Any]:
    """Every occurrence of `text` in the training text, counted; the first `most` with `around` bytes on either side."""
    wanted = utf8(text)
    found = verbatim.find(corpus, wanted)
    documents = np.unique(verbatim.numbers(corpus, found)).tolist()
    licences = Counter(corpus.documents[number]["licence"] for number in documents)
    shown = []
    for place in verbatim.places(corpus, found[:most]):
        start, end = place.at, place.at + len(wanted)
        before = corpus.text[start - min(around, place.byte) : start]
        after = corpus.text[end : end + around].split(verbatim.END)[0]
        cut = {"before": before.decode(errors="ignore"), "after": after.decode(errors="ignore")}
        shown.append({**place.document, "byte": place.byte, **cut})
    return {"text": text, "occurrences": len(found), "documents": len(documents), "licences": licences, "places": shown}


def trace(corpus: verbatim.Corpus, text: str, least: int) -> dict[str, Any]:
    """The spans of `text` that are in the training text, the longest first, and how much of it they cover."""
    utf8(text)
    spans = verbatim.trace(corpus, text, least)
    covered = len({place for span in spans for place in range(span.start, span.end)})
    ordered = sorted(spans, key=lambda span: (span.start - span.end, span.start))
    return {"characters": len(text), "covered": covered, "spans": [dataclasses.asdict(span) for span in ordered]}


def utf8(text: str) -> bytes:
    """The bytes of a text that somebody gave; UserError when it is empty or holds what UTF-8 cannot spell."""
    try:
        if text:
            return text.encode()
    except UnicodeEncodeError:
        raise UserError("the text: expected UTF-8, got bytes that are not") from None
    raise UserError("the text: expected at least one character, got none")


def summary(found: Lineage, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """When the training read any of the kept documents `rows`, and which checkpoints came after that."""
    order, steps = found.trained, np.unique(readings(found, rows)["step"])
    first, last = (int(steps[0]), int(steps[-1])) if len(steps) else (None, None)
    after = [step for step in checkpoints(order) if first is not None and step >= first]
    return {"steps": len(steps), "of": order.steps, "first": first, "last": last, "checkpoints": after}


def matching_ids(found: Lineage, name: str) -> list[str]:
    """The identities of the documents whose id, as kept or as extracted, begins with `name`, or that are purl#path."""
    rows = (row for rows in _all(found).values() for row in rows)
    if "#" in name:
        return sorted({identity(row) for row in rows if f"{row['source']}#{row['path']}" == name})
    if not re.fullmatch("[0-9a-f]{1,64}", name):
        return []
    return sorted({identity(row) for row in rows if row["id"].startswith(name) or identity(row).startswith(name)})


def identity(row: Mapping[str, Any]) -> str:
    """The id of a document, or of a ledger's entry, under which one document is told: as kept, where it is kept."""
    return row.get("became") or row["id"]


def the_one(ids: list[str], name: str) -> str:
    if len(ids) > 1:
        raise UserError(f"document {name!r}: {len(ids)} are called so: {', '.join(ids[:SHOWN])}; give more of an id")
    return ids[0]


def matching_source(found: Lineage, name: str) -> str:
    """The purl of the one source that is called `name`, or whose purl holds it."""
    purls = _sources_like(found, name)
    if not purls:
        known = sorted(_purls(found))
        hint = did_you_mean(name, known) or f"; there are {', '.join(known[:SHOWN])}{' ...' if known[SHOWN:] else ''}"
        raise UserError(f"source {name!r}: there is none of that name in {found.folder}{hint}")
    if len(purls) > 1:
        raise UserError(f"source {name!r}: {len(purls)} are called so: {', '.join(purls[:SHOWN])}; give more of it")
    return purls[0]


def _sources_like(found: Lineage, name: str) -> list[str]:
    purls = _purls(found)
    return [name] if name in purls else sorted(purl for purl in purls if name and name.lower() in purl.lower())


def _purls(found: Lineage) -> set[str]:
    return {*found.records, *(row["source"] for row in (*found.kept.values(), *found.ledger))}


def _all(found: Lineage) -> dict[str, list[dict[str, Any]]]:
    return {"kept": list(found.kept.values()), "ledger": found.ledger}


def _tokens(found: Lineage, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, list[int]]:
    """The tokens of documents by id, each with its end-of-text mark, encoded anew from their texts."""
    tokenizer = load_tokenizer(found.tokenizer)
    texts = {each.id: each.text for each in kept_documents(found.selected, "train") if each.id in rows}
    encoded = tokenizer.encode(list(texts.values()))
    tokens = {id: [*some, tokenizer.end_of_text] for id, some in zip(texts, encoded, strict=True)}
    for id, row in rows.items():
        if len(tokens.get(id, ())) != row["end"] - row["start"]:
            raise UserError(f"{found.folder}: document {id[:12]} does not give the tokens that its range says")
    return tokens


def _add(table: dict[str, dict[str, int]], key: str, size: Mapping[str, int]) -> None:
    row = table.setdefault(key, dict.fromkeys(size, 0))
    for unit, number in size.items():
        row[unit] += number
