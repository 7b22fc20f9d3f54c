"""`pellucid score`: minimal pairs of one's own, scored as the evaluation judges those of `configs/benchmarks/`."""

import argparse
import tempfile
from collections.abc import Iterator
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
from train.evaluation.baselines import count_grams
from train.evaluation.minimal_pairs import score_pairs, summary
from train.machine import Machine
from train.release.bounds import confine
from train.release.bundle import model_of
from train.world import World


def run(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return judge(args.release, [file for name in args.files for file in matching(name)], Path(folder))


def matching(name: Path) -> list[Path]:
    """The file of that name, or those that fit it as a pattern: `make` hands both on as they were typed."""
    return [name] if name.exists() else [Path(each) for each in sorted(glob(str(name)))] or [name]


def judge(release: Path, files: list[Path], aside: Path) -> dict[str, Any]:
    """The record of each file's pairs, as in `minimal_pairs.json`; UserError for what holds none."""
    if not (release / "MANIFEST.json").is_file():
        raise UserError(f"{release}: no release, as it has no MANIFEST.json; `make release` makes one")
    confine(release)
    if absent := [path for path in files if not path.is_file()]:
        raise UserError(f"{absent[0]}: no such file; expected JSON lines with sentence_good and sentence_bad")
    sets = {path.stem: path for path in files}
    if len(sets) < len(files):
        raise UserError("two files have the same name, by which their pairs would be told apart; rename one")
    for name, path in sets.items():
        written(name, read_items(name, str(path), path.parent, [path.name]), aside)
    write_json(aside / "sets.json", [{"name": name, "purl": None, "licence": None} for name in sets])
    settings = read_json(release / "code" / "config.json")["evaluation"]
    world = World(0, 1, build(Machine, how([])["machine"]))
    grams = count_grams(document.text.encode() for document in kept_documents(release / "data", "train"))
    pairs = score_pairs(model_of(release), load(release), grams, aside, batch=settings["batch"], world=world)
    scores = summary(pairs, aside, settings["confidence"])
    if missing := sets.keys() - scores.keys():
        raise UserError(f"{sets[min(missing)]}: holds no pairs; expected lines with sentence_good and sentence_bad")
    return {name: {**scores[name], "file": file_digest(path)} for name, path in sets.items()}


def lines(report: dict[str, Any], args: argparse.Namespace) -> Iterator[str]:
    for name, record in report.items():
        yield line(name, record)
        for group, score in record["groups"].items() if len(record["groups"]) > 1 else ():
            yield line(f"  {group}", score)
        yield f"  SHA-256 of the file: {record['file']}"


def line(title: str, score: dict[str, Any]) -> str:
    interval = f"[{score['low']:.4f}, {score['high']:.4f}]"
    counted = f"of {score['pairs']} pairs, {score['ties']} of them ties; a byte 4-gram model {score['byte_4gram']:.4f}"
    return f"{title:<44} {score['value']:.4f} {interval} {counted}"
