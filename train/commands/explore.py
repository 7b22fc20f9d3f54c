"""`pellucid explore`: from token to source and back, of a folder of runs, an artifact in one, or a release alone."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from train.errors import UserError
from train.explore import queries
from train.explore.lineage import Lineage, lineage
from train.explore.search import corpus
from train.release.bounds import confine

AROUND = 40  # bytes of context on either side of an occurrence
RUNS = Path("runs")
ANSWERED: dict[str, Callable[[Lineage, Any], dict[str, Any]]] = {
    "step": queries.step,
    "document": queries.document,
    "source": queries.source,
}


def run(args: argparse.Namespace) -> Any:
    """The answer; for `affected`, one of each folder and item."""
    folders, question, what = args.folders or [RUNS], args.question, args.what
    require(args, folders)
    confine(*(folder for folder in folders if (folder / "MANIFEST.json").exists()))
    if question == "affected":
        return list(affected(folders, what))
    subject = lineage(folders[0])
    if question not in ("search", "trace"):
        return ANSWERED[question](subject, int(what[0]) if question == "step" else what[0])
    text = what[0] if question == "search" else text_of(args)
    texts = corpus(subject.selected, subject.training)
    if question == "search":
        return queries.search(texts, text, args.most, AROUND)
    return queries.trace(texts, text, args.least)


def require(args: argparse.Namespace, folders: list[Path]) -> None:
    """UserError when what is asked for is not what that question takes."""
    question, what = args.question, args.what
    if question == "affected":
        fits, expected = bool(what), "at least one ID or PURL"
    elif question == "trace":
        fits, expected = len(what) <= 1, "one text, or --file, or the standard input"
    else:
        fits, expected = (
            len(what) == 1,
            {"step": "the number of a step", "search": "one text"}.get(question, f"one {question}"),
        )
    if question == "step" and fits and not re.fullmatch("-?[0-9]+", what[0]):
        raise UserError(f"explore step: invalid int value: {what[0]!r}; expected the number of a step")
    if not fits:
        raise UserError(f"explore {question}: expected {expected}, got {' '.join(map(repr, what)) or 'nothing'}")
    if question != "affected" and len(folders) > 1:
        raise UserError(f"--from: {question} works on one folder, got {len(folders)}")
    for name in ("most", "least"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name}: expected at least 1, got {getattr(args, name)}")


def affected(folders: list[Path], items: list[str]) -> Iterator[dict[str, Any]]:
    lineages = [lineage(folder) for folder in folders]
    for item in items:
        answers = [(subject, queries.affected(subject, item)) for subject in lineages]
        if not any(answer for _, answer in answers):
            raise UserError(f"{item!r}: no document and no source of {', '.join(map(str, folders))} is called so")
        for subject, answer in answers:
            yield {"item": item, "from": str(subject.folder), **(answer or {"unknown": True})}


def text_of(args: argparse.Namespace) -> str:
    """The text to trace: from the command line, a file or the standard input."""
    if args.what:
        data = args.what[0].encode(errors="surrogateescape")
    else:
        data = args.file.read_bytes() if args.file else sys.stdin.buffer.read()
    try:
        return str(data.decode())
    except UnicodeDecodeError:
        raise UserError("the text: expected UTF-8, got bytes that are not") from None


# For people ----------------------------------------------------------------------------------------------------------


def lines(report: Any, args: argparse.Namespace) -> Iterator[str]:
    for answer in report if args.question == "affected" else [report]:
        yield from WRITTEN[args.question](answer, args.most)


def write_step(found: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"step {found['step']} of {found['steps']}: {len(found['sequences'])} sequences"
    for number, sequence in enumerate(found["sequences"], start=1):
        of = ", ".join(sequence.get("of", ["the training text"]))
        yield f"\nsequence {number}: tokens {sequence['start']} to {sequence['end']} of {of}"
        for cut in sequence["documents"]:
            yield f"  {origin(cut)}, its tokens {cut['start']} to {cut['end']}"
            yield from (f"    | {line}" for line in cut["text"].split("\n"))


def write_document(found: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"document   {found['id']}"
    if kept := found["kept"]:
        yield f"kept       in {kept['split']}: tokens {kept['start']} to {kept['end']}, {kept['bytes']} bytes of text"
        yield f"from       {kept['path']} of {kept['source']}"
        yield f"licence    {kept['licence']}, by licence text {kept['evidence'][:12]}; {kept['attribution']}"
    for entry in found["ledger"]:
        became = f"; was {entry['id'][:12]} before" if entry["became"] else ""
        where = f"{entry['path']} of {entry['source']}"
        yield f"{entry['action']:<10} {entry['reason']}: {entry['detail']}{became}; {where}"
    if not kept:
        yield "read       never: it was not kept"
    elif "readings" in found:
        yield f"read       {reading(found['read'])}"
        for read in found["readings"][:most]:
            yield f"           step {read['step']}, sequence {read['sequence']}, epoch {read['epoch']}"
        if left := len(found["readings"][most:]):
            yield f"           and {left} times more; --json shows all"


def write_source(found: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"source     {found['source']}"
    for path, size in found["evidence"].items():
        yield f"evidence   {path} for {sizes(size)}"
    for table in ("licences", "splits", "dropped", "redacted"):
        for name, size in found[table].items():
            yield f"{TITLES[table]:<10} {name}: {sizes(size)}"
    yield f"share      {found['share']:.2%} of the tokens of the training text"
    for file in found["record"].get("files", [])[:most]:
        yield f"file       {file['path']}, {file['bytes']} bytes, sha256 {file['sha256']}"
    if "read" in found:
        yield f"read       {reading(found['read'])}"


def write_search(found: Mapping[str, Any], most: int) -> Iterator[str]:
    licences = ", ".join(f"{licence} {count}" for licence, count in sorted(found["licences"].items()))
    yield f"{found['occurrences']} occurrences in {found['documents']} documents{f' ({licences})' if licences else ''}"
    for place in found["places"]:
        yield f"\n  {flat(place['before'])}[{flat(found['text'])}]{flat(place['after'])}"
        yield f"  {origin(place)}, byte {place['byte']}"
    if left := found["occurrences"] - len(found["places"]):
        yield f"\nand {left} more; --most shows them"


def write_trace(found: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"{len(found['spans'])} spans cover {found['covered']} of {found['characters']} characters, the longest first"
    for span in found["spans"][:most]:
        times = f"{span['occurrences']} occurrences" if span["occurrences"] > 1 else "1 occurrence"
        yield f"\n  characters {span['start']} to {span['end']}, {times}"
        yield f"  [{flat(span['text'])}]"
        yield from (f"  {origin(place['document'])}, byte {place['byte']}" for place in span["places"])
    if left := len(found["spans"][most:]):
        yield f"\nand {left} spans more; --most shows them"


def write_affected(found: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"{found['from']}: {', '.join(found.get('documents', [])) or found.get('source') or found['item']}"
    if "unknown" in found:
        yield "  not in it: no step read it"
        return
    train = sizes({"documents": found["train"]})
    yield f"  training     {train}; the tokenizer was learnt from that split, read or not"
    yield f"  held out     {sizes({'documents': found['held_out']})}; scores were measured on that split"
    yield from (f"  left out     {count} for {reason}" for reason, count in found["dropped"].items())
    yield f"  read         {reading(found['read'])}"


def reading(read: Mapping[str, Any]) -> str:
    """When, in one line."""
    if not read["steps"]:
        return f"by none of {read['of']} steps; no checkpoint came after one"
    return (
        f"by {read['steps']} of {read['of']} steps, first {read['first']}, last {read['last']}; "
        f"influenced the checkpoints of steps {', '.join(map(str, read['checkpoints']))}"
    )


TITLES = {"licences": "licence", "splits": "kept", "dropped": "dropped", "redacted": "redacted"}
WRITTEN = {
    "step": write_step,
    "document": write_document,
    "source": write_source,
    "search": write_search,
    "trace": write_trace,
    "affected": write_affected,
}


def origin(row: Mapping[str, Any]) -> str:
    return f"{row['path']} of {row['source']}, {row['licence']}, document {row['id'][:12]}"


def sizes(size: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {unit if number != 1 else unit.removesuffix('s')}" for unit, number in size.items())


def flat(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ")
