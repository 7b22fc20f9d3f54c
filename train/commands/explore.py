"""`pellucid explore`: from token to source and back, of a folder of runs, an artifact in one, or a release alone."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.errors import UserError
from train.explore import queries
from train.explore.lineage import ledger_of, lineage
from train.explore.search import corpus
from train.release.bounds import confine

AROUND = 40  # bytes of context on either side of an occurrence
RUNS = Path("runs")
TAKES = {  # question -> least and most words after it, and what they are
    "step": (1, 1, "the number of a step"),
    "document": (1, 1, "one document"),
    "source": (1, 1, "one source"),
    "dropped": (0, 1, "nothing, or the name of one rule"),
    "search": (1, 1, "one text"),
    "trace": (0, 1, "one text, or --file, or the standard input"),
    "affected": (1, sys.maxsize, "at least one ID or PURL"),
}


def run(args: argparse.Namespace) -> Any:
    """The answer; for `affected`, one of each folder and item."""
    folders, question, what = args.folders or [RUNS], args.question, args.what
    require(args, folders)
    confine(*(folder for folder in folders if (folder / "MANIFEST.json").exists()))
    if question == "affected":
        return list(affected(folders, what))
    if question == "dropped":
        return queries.dropped(ledger_of(folders[0]), what[0] if what else None, args.most)
    subject = lineage(folders[0])
    if question == "step":
        return queries.step(subject, int(what[0]))
    if question in ("document", "source"):
        return getattr(queries, question)(subject, what[0])
    text = what[0] if question == "search" else text_of(args)
    texts = corpus(subject.artifacts.selected, subject.training)
    if question == "search":
        return queries.search(texts, text, args.most, AROUND)
    return queries.trace(texts, text, args.least)


def require(args: argparse.Namespace, folders: list[Path]) -> None:
    """UserError when what is asked for is not what that question takes."""
    question, what, (least, most, takes) = args.question, args.what, TAKES[args.question]
    if not least <= len(what) <= most:
        raise UserError(f"explore {question}: expected {takes}, got {' '.join(map(repr, what)) or 'nothing'}")
    if question == "step" and not re.fullmatch("-?[0-9]{1,18}", what[0]):
        raise UserError(f"explore step: invalid int value: {what[0]!r}; expected {takes}")
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
