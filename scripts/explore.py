"""From token to source and back: `python scripts/explore.py [--from RUNS-OR-RELEASE] COMMAND`.

Commands: `step N`, `document ID`, `source PURL`, `search TEXT`, `trace TEXT`, `affected ID-OR-PURL`; each has --help.
It works from a folder of runs (the newest training in it), from one artifact of it, and from a release alone, and
writes nothing. Exit status: 0 done, 1 bad input, 130 interrupted.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample import Parser  # type: ignore[import-not-found]

from train.errors import UserError
from train.explore import queries
from train.explore.lineage import Lineage, lineage
from train.explore.search import corpus
from train.letters import harmless
from train.release.bounds import confine
from train.terminal import guarded

AROUND = 40  # bytes of context on either side of an occurrence
ANSWERED: dict[str, Callable[[Lineage, Any], dict[str, Any]]] = {
    "step": queries.step,
    "document": queries.document,
    "source": queries.source,
}
GIVEN = {"folders": None, "json": False, "most": 10}  # unless told otherwise


def parse(arguments: list[str]) -> argparse.Namespace:
    shared = Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--from", dest="folders", type=Path, action="append", metavar="FOLDER",
                        help="a folder of runs (default: runs), an artifact in one, or a release")  # fmt: skip
    shared.add_argument("--json", action="store_true", help="print everything as JSON, for programs")
    shared.add_argument("--most", type=int, help="show at most so many places, spans or readings (default: 10)")
    parser = Parser(description=str(__doc__).split("\n")[0], parents=[shared], allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, argument: str, says: str, **options: Any) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=says)
        added.add_argument("what", metavar=argument, **options)
        return added

    command("step", "N", "the exact batch of step N, counted from 1 as in the log", type=int)
    command("document", "ID", "the fate of a document, by the beginning of its id or as purl#path, and its steps")
    command("source", "PURL", "what became of a source, by its Package URL or a part of it, and when it was read")
    command("search", "TEXT", "where a text occurs verbatim in the training text")
    tracing = command(
        "trace", "TEXT", "the longest spans of a text that occur verbatim in the training text", nargs="?"
    )
    tracing.add_argument("--file", type=Path, help="holds the text (default, without TEXT: the standard input)")
    tracing.add_argument("--least", type=int, default=40, help="characters of a span (default: %(default)s)")
    command("affected", "ID-OR-PURL", "which steps and checkpoints documents or sources influenced; --from may be "
            "given several times", nargs="+")  # fmt: skip
    # What all commands share may stand before and after the command, so it is read first.
    given, left = shared.parse_known_args(arguments, argparse.Namespace(**GIVEN))
    given = parser.parse_args(left, given)
    given.folders = given.folders or [Path("runs")]
    if given.command != "affected" and len(given.folders) > 1:
        parser.error(f"--from: {given.command} works on one folder, got {len(given.folders)}")
    for name in ("most", "least"):
        if getattr(given, name, 1) < 1:
            parser.error(f"--{name}: expected at least 1, got {getattr(given, name)}")
    return given


def main(arguments: list[str]) -> None:
    given = parse(arguments)
    confine(*(folder for folder in given.folders if (folder / "MANIFEST.json").exists()))
    answers = list(ask(given))
    try:
        if given.json:
            print(json.dumps(answers if given.command == "affected" else answers[0], indent=2))
        for answer in [] if given.json else answers:
            for line in WRITTEN[given.command](answer, given.most):
                print(harmless(line))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def ask(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The answer; for `affected`, one of each folder and item."""
    if given.command == "affected":
        yield from ask_affected(given.folders, given.what)
        return
    found = lineage(given.folders[0])
    if given.command == "search":
        yield queries.search(corpus(found.selected, found.training), given.what, given.most, AROUND)
    elif given.command == "trace":
        yield queries.trace(corpus(found.selected, found.training), read_text(given), given.least)
    else:
        yield ANSWERED[given.command](found, given.what)


def ask_affected(folders: list[Path], items: list[str]) -> Iterator[dict[str, Any]]:
    lineages = [lineage(folder) for folder in folders]
    for item in items:
        answers = [(found, queries.affected(found, item)) for found in lineages]
        if not any(answer for _, answer in answers):
            raise UserError(f"{item!r}: no document and no source of {', '.join(map(str, folders))} is called so")
        for found, answer in answers:
            yield {"item": item, "from": str(found.folder), **(answer or {"unknown": True})}


def read_text(given: argparse.Namespace) -> str:
    """The text to trace: from the command line, a file or the standard input."""
    if given.what is not None:
        data = given.what.encode(errors="surrogateescape")
    elif given.file:
        data = given.file.read_bytes()
    else:
        data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UserError("the text: expected UTF-8, got bytes that are not") from None


# For people ----------------------------------------------------------------------------------------------------------


def write_step(told: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"step {told['step']} of {told['steps']}: {len(told['sequences'])} sequences"
    for number, sequence in enumerate(told["sequences"], start=1):
        yield f"\nsequence {number}: tokens {sequence['start']} to {sequence['end']} of the training text"
        for cut in sequence["documents"]:
            yield f"  {origin(cut)}, its tokens {cut['start']} to {cut['end']}"
            yield from (f"    | {line}" for line in cut["text"].split("\n"))


def write_document(told: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"document   {told['id']}"
    if kept := told["kept"]:
        yield f"kept       in {kept['split']}: tokens {kept['start']} to {kept['end']}, {kept['bytes']} bytes of text"
        yield f"from       {kept['path']} of {kept['source']}"
        yield f"licence    {kept['licence']}, by licence text {kept['evidence'][:12]}; {kept['attribution']}"
    for entry in told["ledger"]:
        became = f"; was {entry['id'][:12]} before" if entry["became"] else ""
        where = f"{entry['path']} of {entry['source']}"
        yield f"{entry['action']:<10} {entry['reason']}: {entry['detail']}{became}; {where}"
    if not kept:
        yield "read       never: it was not kept"
    elif "readings" in told:
        yield f"read       {reading(told['read'])}"
        for read in told["readings"][:most]:
            yield f"           step {read['step']}, sequence {read['sequence']}, epoch {read['epoch']}"
        if left := len(told["readings"][most:]):
            yield f"           and {left} times more; --json shows all"


def write_source(told: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"source     {told['source']}"
    for path, size in told["evidence"].items():
        yield f"evidence   {path} for {sizes(size)}"
    for table in ("licences", "splits", "dropped", "redacted"):
        for name, size in told[table].items():
            yield f"{TITLES[table]:<10} {name}: {sizes(size)}"
    yield f"share      {told['share']:.2%} of the tokens of the training text"
    for file in told["record"].get("files", [])[:most]:
        yield f"file       {file['path']}, {file['bytes']} bytes, sha256 {file['sha256']}"
    if "read" in told:
        yield f"read       {reading(told['read'])}"


def write_search(told: Mapping[str, Any], most: int) -> Iterator[str]:
    licences = ", ".join(f"{licence} {count}" for licence, count in sorted(told["licences"].items()))
    yield f"{told['occurrences']} occurrences in {told['documents']} documents{f' ({licences})' if licences else ''}"
    for place in told["places"]:
        yield f"\n  {flat(place['before'])}[{flat(told['text'])}]{flat(place['after'])}"
        yield f"  {origin(place)}, byte {place['byte']}"
    if left := told["occurrences"] - len(told["places"]):
        yield f"\nand {left} more; --most shows them"


def write_trace(told: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"{len(told['spans'])} spans cover {told['covered']} of {told['characters']} characters, the longest first"
    for span in told["spans"][:most]:
        times = f"{span['occurrences']} occurrences" if span["occurrences"] > 1 else "1 occurrence"
        yield f"\n  characters {span['start']} to {span['end']}, {times}"
        yield f"  [{flat(span['text'])}]"
        yield from (f"  {origin(place['document'])}, byte {place['byte']}" for place in span["places"])
    if left := len(told["spans"][most:]):
        yield f"\nand {left} spans more; --most shows them"


def write_affected(told: Mapping[str, Any], most: int) -> Iterator[str]:
    yield f"{told['from']}: {', '.join(told.get('documents', [])) or told.get('source') or told['item']}"
    if "unknown" in told:
        yield "  not in it: no step read it"
        return
    yield f"  training     {sizes({'documents': told['train']})}; the tokenizer was learnt from that split, read or not"
    yield f"  held out     {sizes({'documents': told['held_out']})}; scores were measured on that split"
    yield from (f"  left out     {count} for {reason}" for reason, count in told["dropped"].items())
    yield f"  read         {reading(told['read'])}"


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


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
