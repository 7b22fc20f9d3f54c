"""Layout of runs and releases: the artifacts, what makes each, from what, and which of its files stand where.

A file keeps its name from the stage that writes it to the release that holds it. What is not named here stays behind:
it can be made again from what is in the release, but for the sources' own archives.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import Product


@dataclass(frozen=True)
class Artifact:
    module: str  # that makes it
    needs: tuple[str, ...]  # the artifacts it is made from
    folders: Mapping[str, tuple[str, ...]]  # folder of a release -> files, and folders that end in a slash


DATA, SETS = "data/", "evaluation/data/"
ARTIFACTS = {
    "raw": Artifact("train/data/raw.py", (), {DATA: ("sources.json",)}),
    "documents": Artifact("train/data/documents.py", ("raw",), {DATA: ("licences/", "left_out/")}),
    "benchmarks": Artifact("train/data/benchmarks.py", (), {SETS: ("sets.json", "*.parquet", "licences/")}),
    "judged": Artifact("train/data/judged.py", ("documents",), {}),
    "duplicates": Artifact("train/data/duplicates.py", ("judged",), {}),
    "selected": Artifact("train/data/selected.py", ("judged", "duplicates", "benchmarks"),
                         {DATA: ("counts.json", "documents/", "ledger/")}),
    "tokenizer": Artifact("train/data/tokenizer.py", ("selected",), {"": ("tokenizer.json",)}),
    "tokens": Artifact("train/data/tokens.py", ("selected", "tokenizer"), {DATA: ("tokens.json", "ranges/")}),
    "weights": Artifact("train/training/loop.py", ("tokens", "tokenizer"), {"": ("model.safetensors", "checkpoints/")}),
    "evaluation": Artifact("train/evaluation/measure.py", ("weights", "tokens", "tokenizer", "selected", "benchmarks"),
        {"evaluation/": ("documents.json", "scores.json", "pairs.json", "minimal_pairs.json", "choices.json",
                         "multiple_choice.json", "samples.json"), DATA: ("overlap.json",)}),
}  # fmt: skip

PREPARED = tuple(ARTIFACTS)[: list(ARTIFACTS).index("tokenizer")]  # what the released documents stand for
WITNESSES = ("logs/", "report.html")  # what is true of one run only, and enters no digest of a product
RENAMED = {("documents", "counts.json"): DATA + "extracted.json"}  # beside the counts of what was selected


@dataclass(frozen=True)
class Listing:
    """`MANIFEST.json` of a release: every file but itself, and the identity, which is the digest over the products."""

    identity: str
    products: dict[str, Product]
    witnesses: dict[str, Product]


def placed(artifact: str, product: str) -> str | None:
    """Where in a release a product of an artifact stands; None if it is left out."""
    if ".." in product.split("/") or product.startswith("/"):
        return None
    if (artifact, product) in RENAMED:
        return RENAMED[artifact, product]
    top, _, inside = product.partition("/")
    name = f"{top}/" if inside else "*.parquet" if top.endswith(".parquet") else top
    return next((at + product for at, names in ARTIFACTS[artifact].folders.items() if name in names), None)


def folder_of(release: Path, artifact: str) -> Path:
    """The folder of a release in which an artifact's files stand under the names that its stage gave them."""
    return release / next(iter(ARTIFACTS[artifact].folders), "")


def release_name(config: Mapping[str, Any]) -> str:
    """The name of a release, by its resolved configuration."""
    return f"{config['name']}-{config['release']['version']}"


def regular_files(root: Path) -> list[str]:
    """The regular files below `root`, as sorted relative paths; links are not followed and not listed."""
    start = len(str(root)) + 1
    paths = (f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names)
    return sorted(path[start:] for path in paths if stat.S_ISREG(os.lstat(path).st_mode))


def release_files(root: Path) -> list[str]:
    """The files of a release: all but what a hub and its client add, which nothing reads."""
    return [path for path in regular_files(root) if not of_the_hub(path)]


def listed_files(root: Path) -> list[str]:
    """The files of a release that its MANIFEST.json lists: all but itself."""
    return [path for path in release_files(root) if path != "MANIFEST.json"]


def of_the_hub(path: str) -> bool:
    """Whether a path in a downloaded release is that of a file by which the hub or its client keeps its books."""
    return path == ".gitattributes" or path.startswith(".cache/huggingface/")
