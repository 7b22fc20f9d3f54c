"""Judge minimal pairs of your own by a release: `python scripts/pairs.py RELEASE FILE... [--json]`.

A file holds JSON lines as BLiMP has them, with `sentence_good` and `sentence_bad`. They are scored as the evaluation
scores those of `configs/benchmarks/`, beside the same yardstick; but training text was not kept clear of them.
"""

import argparse
import json
import sys
import tempfile
from glob import glob
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from run import how  # type: ignore[import-not-found]

from train.artifact import file_digest, read_json, write_json
from train.config import build
from train.errors import UserError
from train.letters import harmless
from train.terminal import guarded


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="folder that holds MANIFEST.json")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSON lines of pairs; or a pattern")
    parser.add_argument("--json", action="store_true", help="print all that is recorded of a set, as JSON")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = judge(asked.release, [file for name in asked.files for file in matching(name)], Path(folder))
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, record in found.items():
        show(name, record)
        for group, score in record["groups"].items() if len(record["groups"]) > 1 else ():
            show(f"  {group}", score)
        print(f"  SHA-256 of the file: {record['file']}")


def matching(name: Path) -> list[Path]:
    """The file of that name, or those that fit it as a pattern: `make` hands both on as they were typed."""
    return [name] if name.exists() else [Path(each) for each in sorted(glob(str(name)))] or [name]


def judge(release: Path, files: list[Path], aside: Path) -> dict[str, Any]:
    """The record of each file's pairs, as in `minimal_pairs.json`; UserError for what holds none."""
    from train.data.benchmarks import read_items, written
    from train.data.selected import kept_documents
    from train.data.tokenizer import load
    from train.evaluation.baselines import count_grams
    from train.evaluation.minimal_pairs import judged, summary
    from train.machine import Machine
    from train.release.bounds import confine
    from train.release.bundle import model_of
    from train.world import World

    if not (release / "MANIFEST.json").is_file():
        raise UserError(f"{release}: no release, as it has no MANIFEST.json; `make release` makes one")
    confine(release)
    if absent := [path for path in files if not path.is_file()]:
        raise UserError(f"{absent[0]}: no such file; expected JSON lines with sentence_good and sentence_bad")
    sets = {path.stem: path for path in files}
    if len(sets) < len(files):
        raise UserError("two files have the same name, by which their pairs would be told apart; rename one")
    for name, path in sets.items():
        source = {"purl": str(path), "files": [{"path": path.name}], "licence_files": []}
        written(name, read_items(name, source, path.parent), aside)
    write_json(aside / "sets.json", [{"name": name, "purl": None, "licence": None} for name in sets])
    settings = read_json(release / "code" / "config.json")["evaluation"]
    world = World(0, 1, build(Machine, how([])["machine"]))
    grams = count_grams(document.text.encode() for document in kept_documents(release / "data", "train"))
    pairs = judged(model_of(release), load(release), grams, aside, batch=settings["batch"], world=world)
    found = summary(pairs, aside, settings["confidence"])
    if missing := sets.keys() - found.keys():
        raise UserError(f"{sets[min(missing)]}: holds no pairs; expected lines with sentence_good and sentence_bad")
    return {name: {**found[name], "file": file_digest(path)} for name, path in sets.items()}


def show(title: str, score: dict[str, Any]) -> None:
    interval = f"[{score['low']:.4f}, {score['high']:.4f}]"
    counted = f"of {score['pairs']} pairs, {score['ties']} of them ties; a byte 4-gram model {score['byte_4gram']:.4f}"
    print(f"{harmless(title):<44} {score['value']:.4f} {interval} {counted}")


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
