"""`pellucid score`: minimal pairs and questions of one's own, judged as the evaluation judges its own sets."""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Any

from train.artifact import file_digest, read_json, write_json
from train.compose import how
from train.config import build
from train.data.benchmarks import read_items, written
from train.data.selected import kept_documents
from train.data.tokenizer import load
from train.errors import UserError
from train.evaluation import minimal_pairs, multiple_choice
from train.evaluation.baselines import count_grams
from train.evaluation.items import is_question, score_items, scored_items
from train.machine import Machine
from train.release.bounds import confine
from train.release.bundle import model_of
from train.world import World

ALL = "all files of pairs"  # where there are several


def run(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return judge(args.release, [file for name in args.files for file in matching(name)], Path(folder))


def matching(name: Path) -> list[Path]:
    """The file of that name, those in the folder of that name, or those that fit it as a pattern.

    `make` hands patterns on as they were typed.
    """
    if name.is_dir():
        return sorted(name.glob("*.jsonl")) or [name]
    return [name] if name.exists() else [Path(each) for each in sorted(glob(str(name)))] or [name]


def judge(release: Path, files: list[Path], aside: Path) -> dict[str, Any]:
    """The record of each file, as the evaluation's; of several files of pairs, all together too.

    UserError for what holds no items.
    """
    if not (release / "MANIFEST.json").is_file():
        raise UserError(f"{release}: no release, as it has no MANIFEST.json; `make release` makes one")
    confine(release)
    if absent := [path for path in files if not path.is_file()]:
        problem = "a folder without .jsonl" if absent[0].is_dir() else "no such file"
        raise UserError(f"{absent[0]}: {problem}; expected JSON lines of minimal pairs or of questions")
    sets = {path.stem: path for path in files}
    if len(sets) < len(files):
        raise UserError("two files have the same name, by which their items would be told apart; rename one")
    for name, path in sets.items():
        written(name, read_items(name, str(path.parent), path.parent, [path.name]), aside)
    write_json(aside / "sets.json", [{"name": name, "purl": None, "licence": None} for name in sets])
    items, settings = scored_items(aside), read_json(release / "code" / "config.json")["evaluation"]
    if missing := sets.keys() - {item.set for item in items}:
        raise UserError(f"{sets[min(missing)]}: holds no choices; expected lines of minimal pairs or of questions")
    world = World(0, 1, build(Machine, how([])["machine"]))
    grams = count_grams(document.text.encode() for document in kept_documents(release / "data", "train"))
    rows = score_items(model_of(release), load(release), grams, items, batch=settings["batch"], world=world)
    records: dict[str, Any] = {}
    for kind, questions in ((minimal_pairs, False), (multiple_choice, True)):
        some = [each for each in zip(items, rows, strict=True) if is_question(each[0]) is questions]
        found = kind.summary([i for i, _ in some], [r for _, r in some], aside, settings["confidence"])
        records |= {name: {**record, "file": file_digest(sets[name])} for name, record in found.items()}
        if kind is minimal_pairs and len(found) > 1:
            records[ALL] = minimal_pairs.scores(some, settings["confidence"])
    return records


def lines(report: dict[str, Any], args: argparse.Namespace) -> Iterator[str]:
    for name, record in report.items():
        yield from of_questions(name, record) if "acc" in record else of_pairs(name, record)
        if "file" in record:
            yield f"  SHA-256 of the file: {record['file']}"


def of_pairs(name: str, record: Mapping[str, Any]) -> Iterator[str]:
    yield line(name, record, f"of {record['pairs']} pairs, {record['ties']} of them ties")
    groups = record["groups"]
    averages = {"average": record["average"], **record["fields"], **record["phenomena"]}
    for title, score in averages.items() if name == ALL or (record["fields"] and len(groups) > 1) else ():
        yield line(f"  {title}", score, f"mean of {score['groups']} group{'s' * (score['groups'] != 1)}")
    for group, score in groups.items() if len(groups) > 1 and name != ALL else ():
        yield line(f"  {group}", score, f"of {score['pairs']} pairs, {score['ties']} of them ties")


def of_questions(name: str, record: Mapping[str, Any]) -> Iterator[str]:
    for measure in multiple_choice.MEASURES:
        yield line(f"{name}, {measure}", record[measure], f"of {record['items']} items; chance {record['chance']:.4f}")


def line(title: str, score: Mapping[str, Any], counted: str) -> str:
    interval = f"[{score['low']:.4f}, {score['high']:.4f}]"
    return f"{title:<44} {score['value']:.4f} {interval} {counted}; a byte 4-gram model {score['byte_4gram']:.4f}"
