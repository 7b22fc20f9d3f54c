"""From a step to its texts and back: the answers of `pellucid explore`, as plain data."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from train.data.ledger import SPLITS
from train.data.schema import LedgerRow, TokenRange
from train.data.selected import kept_documents
from train.data.tokenizer import Tokenizer
from train.data.tokenizer import load as load_tokenizer
from train.errors import UserError, did_you_mean
from train.explore import search as verbatim
from train.explore.lineage import KeptDocument, Lineage, readings
from train.training.steps import checkpoint_steps

SHOWN = 5  # names in an error message
DIGITS = 8  # of an id, where a shorter word of letters a to f may be meant as the name of a source


def step(lineage: Lineage, number: int) -> dict[str, Any]:
    """The batch of a step: each sequence, tokens `start` to `end` of the training split, with what it is cut from.

    Under a mixture these are tokens of the sources that it is `of`, end to end. The last token of a sequence is a
    target only. Texts are decoded; a character that a cut tears becomes U+FFFD.
    """
    order = lineage.trained
    if not 1 <= number <= order.steps:
        raise UserError(f"step {number}: expected 1 to {order.steps}, the steps of {lineage.folder}")
    drawn = []
    for text, window, _ in zip(*lineage.drawn.sequences((number - 1) * order.batch, order.batch), strict=True):
        ends = [each.end for each in lineage.texts[text]]
        start, end = int(window) * order.context, (int(window) + 1) * order.context + 1
        rows = lineage.texts[text][np.searchsorted(ends, start, "right") : np.searchsorted(ends, end, "left") + 1]
        drawn.append((text, start, end, rows))
    tokenizer = load_tokenizer(lineage.artifacts.tokenizer)
    tokens = _tokens(lineage, tokenizer, {row.id: row for *_, rows in drawn for row in rows})

    def cut(row: TokenRange, start: int, end: int) -> dict[str, Any]:
        part = tokens[row.id][start - row.start : end - row.start]
        return {**vars(row), "start": start, "end": end, "tokens": part, "text": tokenizer.decode(part)}

    sequences: list[dict[str, Any]] = [
        {"start": start, "end": end,
         "documents": [cut(row, max(row.start, start), min(row.end, end)) for row in rows],
         **({"of": list(lineage.drawn.texts[text].sources)} if order.mixture else {})}
        for text, start, end, rows in drawn
    ]  # fmt: skip
    return {"step": number, "steps": order.steps, "sequences": sequences}


def document(lineage: Lineage, id: str) -> dict[str, Any]:
    """The fate of the one document that `id` names (see `matching_ids`), and every reading of it."""
    ids = matching_ids(lineage, id)
    if not ids:
        remedy = "give the beginning of an id, or purl#path"
        raise UserError(f"document {id!r}: none in {lineage.folder} is called so; {remedy}")
    whole = the_one(ids, id)
    kept, ledger = _rows(lineage, lambda row: identity(row) == whole)
    answer: dict[str, Any] = {"id": whole, "kept": vars(kept[0]) if kept else None}
    answer["ledger"] = [vars(entry) for entry in ledger]
    if kept and lineage.order:
        read = readings(lineage, kept)
        answer["readings"] = [dict(zip(read, map(int, row), strict=True)) for row in zip(*read.values(), strict=True)]
        answer["read"] = summary(lineage, kept)
    return answer


def source(lineage: Lineage, name: str) -> dict[str, Any]:
    """What became of a source's documents: kept by split, licence and evidence, lost by reason; when it was read."""
    purl = matching_source(lineage, name)
    kept, ledger = _rows(lineage, lambda row: row.source == purl)
    names = ("splits", "licences", "evidence", "dropped", "redacted", "edited")
    tables: dict[str, dict[str, dict[str, int]]] = {name: {} for name in names}
    for each in kept:
        size = {"documents": 1, "bytes": each.bytes, "tokens": each.end - each.start}
        evidence = str(lineage.artifacts.documents / "licences" / f"{each.evidence}.txt")
        for table, key in (("splits", each.split), ("licences", each.licence), ("evidence", evidence)):
            _add(tables[table], key, size)
    for entry in ledger:
        _add(tables[entry.action], entry.reason, {"documents": 1, "bytes": entry.bytes})
    tokens = tables["splits"].get("train", {}).get("tokens", 0)
    share = round(tokens / lineage.training[-1].end, 6)  # of the tokens of the training split
    read = {"read": summary(lineage, kept)} if lineage.order else {}
    return {"source": purl, "record": lineage.records.get(purl, {}), **tables, "share": share, **read}


def dropped(entries: Iterable[LedgerRow], rule: str | None, most: int) -> dict[str, Any]:
    """How many documents each rule, or one, dropped, and the first `most` of them; the rule that dropped most first."""
    rules: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.action == "dropped":
            of_rule = rules.setdefault(entry.reason, {"documents": 0, "bytes": 0, "examples": []})
            of_rule["documents"] += 1
            of_rule["bytes"] += entry.bytes
            if len(of_rule["examples"]) < most:
                of_rule["examples"].append({name: getattr(entry, name) for name in ("id", "source", "path", "detail")})
    if rule is not None and rule not in rules:
        raise UserError(f"{rule!r}: dropped no document{did_you_mean(rule, list(rules))}")
    ordered = sorted(rules.items(), key=lambda item: (-item[1]["documents"], item[0]))
    return {"rules": {name: of_rule for name, of_rule in ordered if rule in (None, name)}}


def affected(lineage: Lineage, item: str) -> dict[str, Any] | None:
    """Which steps and checkpoints were influenced by what `item` names; None if that is unknown.

    It names a document by 8 or more digits of its id or as purl#path, or a source. Beside the steps there is more that
    a document may have left its mark on: the tokenizer was learnt from all of the split `train`, read by a step or not,
    and scores were measured on `held_out`. A document that was `dropped` has left none.
    """
    ids = matching_ids(lineage, item) if "#" in item or len(item) >= DIGITS else []
    if ids:
        documents = ids if "#" in item else [the_one(ids, item)]
        about: dict[str, Any] = {"documents": documents}
        kept, ledger = _rows(lineage, lambda row: identity(row) in documents)
    elif _sources_like(lineage, item):
        purl = matching_source(lineage, item)
        about = {"source": purl}
        kept, ledger = _rows(lineage, lambda row: row.source == purl)
    else:
        return None
    splits = {split: sum(each.split == split for each in kept) for split in SPLITS}
    lost = [entry for entry in ledger if entry.action == "dropped"]
    dropped = Counter(f"{entry.reason}: {entry.detail}" if ids else entry.reason for entry in lost)
    return {**about, **splits, "dropped": dropped, "read": summary(lineage, kept)}


def search(corpus: verbatim.Corpus, text: str, most: int, around: int) -> dict[str, Any]:
    """Every occurrence of `text` in the training text, counted; the first `most` with `around` bytes on either side."""
    wanted = utf8(text)
    occurrences = verbatim.find(corpus, wanted)
    documents = np.unique(verbatim.numbers(corpus, occurrences)).tolist()
    licences = Counter(corpus.documents[number].licence for number in documents)
    shown = []
    for place in verbatim.places(corpus, occurrences[:most]):
        start, end = place.at, place.at + len(wanted)
        before = corpus.text[start - min(around, place.byte) : start]
        after = corpus.text[end : end + around].split(verbatim.END)[0]
        cut = {"before": before.decode(errors="ignore"), "after": after.decode(errors="ignore")}
        shown.append({**vars(place.document), "byte": place.byte, **cut})
    counts = {"occurrences": len(occurrences), "documents": len(documents), "licences": licences}
    return {"text": text, **counts, "places": shown}


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


def summary(lineage: Lineage, documents: Iterable[KeptDocument]) -> dict[str, Any]:
    """When the training read any of the kept `documents`, and which checkpoints came after that."""
    order, steps = lineage.trained, np.unique(readings(lineage, documents)["step"])
    first, last = (int(steps[0]), int(steps[-1])) if len(steps) else (None, None)
    kept = checkpoint_steps(order.checkpoint_every, order.steps)
    after = [step for step in kept if first is not None and step >= first]
    return {"steps": len(steps), "of": order.steps, "first": first, "last": last, "checkpoints": after}


def matching_ids(lineage: Lineage, name: str) -> list[str]:
    """The identities of the documents whose id, as kept or as extracted, begins with `name`, or that are purl#path."""
    rows = (row for rows in _rows(lineage) for row in rows)
    if "#" in name:
        return sorted({identity(row) for row in rows if f"{row.source}#{row.path}" == name})
    if not re.fullmatch("[0-9a-f]{1,64}", name):
        return []
    return sorted({identity(row) for row in rows if row.id.startswith(name) or identity(row).startswith(name)})


def identity(row: KeptDocument | LedgerRow) -> str:
    """The id of a document, or of a ledger's entry, under which one document is told: as kept, where it is kept."""
    return row.became or row.id if isinstance(row, LedgerRow) else row.id


def the_one(ids: list[str], name: str) -> str:
    if len(ids) > 1:
        raise UserError(f"document {name!r}: {len(ids)} are called so: {', '.join(ids[:SHOWN])}; give more of an id")
    return ids[0]


def matching_source(lineage: Lineage, name: str) -> str:
    """The purl of the one source that is called `name`, or whose purl holds it."""
    purls = _sources_like(lineage, name)
    if not purls:
        known = sorted(_purls(lineage))
        hint = did_you_mean(name, known) or f"; there are {', '.join(known[:SHOWN])}{' ...' if known[SHOWN:] else ''}"
        raise UserError(f"source {name!r}: there is none of that name in {lineage.folder}{hint}")
    if len(purls) > 1:
        raise UserError(f"source {name!r}: {len(purls)} are called so: {', '.join(purls[:SHOWN])}; give more of it")
    return purls[0]


def _sources_like(lineage: Lineage, name: str) -> list[str]:
    purls = _purls(lineage)
    return [name] if name in purls else sorted(purl for purl in purls if name and name.lower() in purl.lower())


def _purls(lineage: Lineage) -> set[str]:
    return {*lineage.records, *(row.source for rows in _rows(lineage) for row in rows)}


def _rows(
    lineage: Lineage, chosen: Callable[[KeptDocument | LedgerRow], bool] = lambda row: True
) -> tuple[list[KeptDocument], list[LedgerRow]]:
    """The kept documents and the ledger's entries that a question is about."""
    return list(filter(chosen, lineage.kept.values())), list(filter(chosen, lineage.ledger))


def _tokens(lineage: Lineage, tokenizer: Tokenizer, rows: Mapping[str, TokenRange]) -> dict[str, list[int]]:
    """The tokens of documents by id, each with its end-of-text mark, encoded anew from their texts."""
    texts = {each.id: each.text for each in kept_documents(lineage.artifacts.selected, "train") if each.id in rows}
    encoded = tokenizer.encode(list(texts.values()))
    tokens = {id: [*some, tokenizer.end_of_text] for id, some in zip(texts, encoded, strict=True)}
    for id, row in rows.items():
        if len(tokens.get(id, ())) != row.end - row.start:
            raise UserError(f"{lineage.folder}: document {id[:12]} does not give the tokens that its range says")
    return tokens


def _add(table: dict[str, dict[str, int]], key: str, size: Mapping[str, int]) -> None:
    row = table.setdefault(key, dict.fromkeys(size, 0))
    for unit, number in size.items():
        row[unit] += number
