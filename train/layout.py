"""Layout of runs and releases: the artifacts, what makes each, from what, and which of its files stand where.

`layout.toml` is the table. A file keeps its name from the stage that writes it to the release that holds it.
"""

import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.artifact import Product


@dataclass(frozen=True)
class Artifact:
    """What makes an artifact, from what, and its products, as patterns of their paths."""

    module: str  # that makes it
    needs: Sequence[str] = ()  # the artifacts it is made from
    placed: Mapping[str, Sequence[str]] = field(default_factory=dict)  # folder of a release -> products
    behind: Sequence[str] = ()  # products that no release holds


TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
LOGS: list[str] = TABLE.pop("logs")  # patterns of the paths of what is true of one run only
ARTIFACTS = {name: Artifact(**entry) for name, entry in TABLE.items()}
PREPARED = tuple(ARTIFACTS)[: list(ARTIFACTS).index("tokenizer")]  # what the released documents stand for
WITNESSES = ("logs/", "report.html")  # what is true of one run only, and enters no digest of a product
RENAMED = {("documents", "counts.json"): "data/extracted.json"}  # beside the counts of what was selected


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
    places = ARTIFACTS[artifact].placed.items()
    return next((at + product for at, patterns in places if _top(product) in map(_top, patterns)), None)


def _top(path: str) -> str:
    """The folder that a product stands in, or else its name, of tables only the kind."""
    top, _, inside = path.partition("/")
    return f"{top}/" if inside else "*.parquet" if top.endswith(".parquet") else top


def folder_of(release: Path, artifact: str) -> Path:
    """The folder of a release in which an artifact's files stand under the names that its stage gave them."""
    return release / next(iter(ARTIFACTS[artifact].placed), "")


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
