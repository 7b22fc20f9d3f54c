"""What a training begins with in place of random weights: weights and tokenizer of a release, known by its identity.

The identity is the digest over the digests of all products, which MANIFEST.json lists. So that file, and each one that
is taken, prove to be of that release wherever they lie: in its folder, or in a release that began with it.
"""

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from train.artifact import copy_file, digest, file_digest, read_json
from train.differences import differences
from train.errors import UserError

SAME = ("model", "tokenizer.vocabulary", "training.numerics.contract")  # in what goes on from another
FOLDER = "checkpoints/initial"  # where a training leaves them, and a release holds them
MANIFEST, CONFIG, TOKENIZER, WEIGHTS = FILES = (
    "MANIFEST.json", "code/config.json", "tokenizer.json", "model.safetensors"
)  # fmt: skip


def identity_of(folder: Path) -> str:
    """The identity of the release whose MANIFEST.json stands in `folder`; UserError where none can be read."""
    try:
        return digest({name: entry["sha256"] for name, entry in read_json(folder / MANIFEST, "/products").items()})
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{folder / MANIFEST}: not the manifest of a release") from None


def taken(folder: Path | None, identity: str, name: str) -> Path:
    """The file `name` in `folder`, which is that of the release `identity`; UserError where it is another or none."""
    if folder is None:
        remedy = f"give its folder, or {FOLDER} of a release that began with it: machine.init_from=FOLDER"
        raise UserError(f"training.init_from: is the identity {identity} of a release; {remedy}")
    if (actual := identity_of(folder)) != identity:
        raise UserError(f"{folder}: is release {actual}, and training.init_from asks for {identity}")
    listed = read_json(folder / MANIFEST, "/products").get(name, {}).get("sha256")
    if name != MANIFEST and (not (folder / name).is_file() or file_digest(folder / name) != listed):
        raise UserError(f"{folder / name}: missing, or not as its MANIFEST.json lists it; get release {identity} anew")
    return folder / name


def require_initial(folder: Path | None, config: Mapping[str, Any]) -> None:
    """UserError unless `folder` holds what a training of this configuration begins with, and that is fit for it."""
    identity = config["training"]["init_from"]
    place = [taken(folder, identity, name) for name in FILES][FILES.index(CONFIG)]
    try:
        there = shape(read_json(place))
    except (KeyError, TypeError):
        raise UserError(f"{place}: not the configuration of a release that this program knows") from None
    for path, before, now in differences(there, shape(config)):
        remedy = "what goes on from it needs the same model, vocabulary and contract"
        raise UserError(f"training.init_from: {path} is {before!r} in release {identity}, and {now!r} here; {remedy}")


def shape(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a whole configuration must be the same in two of which one goes on from the other."""
    return {path: reduce(getitem, path.split("."), config) for path in SAME}


def keep(folder: Path | None, identity: str, out: Path) -> None:
    """Copy what is taken, and what proves it, to its place in `out`."""
    for name in FILES:
        copy_file(taken(folder, identity, name), out / FOLDER / name)
