"""`pellucid score`: minimal pairs and questions of one's own, judged as the evaluation judges its own sets."""

import argparse
import tempfile
from glob import glob
from pathlib import Path
from typing import Any

from train.artifact import file_digest, read_json, write_json
from train.compose import machine_of
from train.config import build
from train.data.benchmarks import read_items, written
from train.data.selected import kept_documents
from train.data.tokenizer import load
from train.errors import UserError
from train.evaluation import minimal_pairs, multiple_choice
from train.evaluation.baselines import count_grams
from train.evaluation.items import is_question, score_items, scored_items
from train.evaluation.measure import EvaluationConfig
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
    settings = build(EvaluationConfig, read_json(release / "code/config.json", "/evaluation"))
    items = scored_items(aside)
    if missing := sets.keys() - {item.set for item in items}:
        raise UserError(f"{sets[min(missing)]}: holds no choices; expected lines of minimal pairs or of questions")
    world = World(0, 1, machine_of([]))
    grams = count_grams(document.text.encode() for document in kept_documents(release / "data", "train"))
    rows = score_items(model_of(release), load(release), grams, items, batch=settings.batch, world=world)
    records: dict[str, Any] = {}
    for kind, questions in ((minimal_pairs, False), (multiple_choice, True)):
        some = [each for each in zip(items, rows, strict=True) if is_question(each[0]) is questions]
        summary = kind.summary([i for i, _ in some], [r for _, r in some], aside, settings.confidence)
        records |= {name: {**scores, "file": file_digest(sets[name])} for name, scores in summary.items()}
        if kind is minimal_pairs and len(summary) > 1:
            records[ALL] = minimal_pairs.scores(some, settings.confidence)
    return records
