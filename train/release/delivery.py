"""Placing a release under its name: never over another release, nor over anything else that stands there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.artifact import read_json
from train.differences import first_difference, keys_apart
from train.errors import UserError
from train.release.bundle import RESOLVED, ROOT, source_tree
from train.release.sharing import place_directory
from train.release.verify.integrity import manifest

REMEDY = "nothing is replaced: raise release.version, choose another name, or move that folder away"


def standing(place: Path) -> str | None:
    """The identity of the release at `place`; None where nothing stands, UserError where anything else does."""
    if not place.is_symlink() and (not place.exists() or (place.is_dir() and not any(place.iterdir()))):
        return None
    try:
        return manifest(place).identity
    except (UserError, OSError):
        problem = "stands there and is no release (no MANIFEST.json that can be read)"
        raise UserError(f"{place}: {problem}; {REMEDY}") from None


def refuse_early(place: Path, resolved: Mapping[str, Any], seeds: Sequence[int] = ()) -> None:
    """UserError where `place` holds what a release of this configuration and code cannot be; before it is made.

    Of a table of runs with these `seeds`, the scores are not known yet.
    """
    identity = standing(place)
    if identity is None or not (place / RESOLVED[0]).is_file():
        return
    there = read_json(place / RESOLVED[0])
    runs = there["release"].get("seeds", []) if seeds else []
    if runs and seeds == [run["seed"] for run in runs]:
        resolved = {**resolved, "release": {**resolved["release"], "seeds": runs}}
    reason = first_difference(there, resolved, "config")
    if (place / "code" / "train").is_dir() and not reason:
        other = keys_apart(source_tree(ROOT), source_tree(place / "code"))
        reason = f"code/{other[0]} is another (and {len(other) - 1} more files)" if other else None
    if reason:
        reason = reason.replace("was made", "is asked for")
        raise UserError(f"{place}: holds release {identity[:12]}, and this would be another one: {reason}; {REMEDY}")


def placed_already(place: Path, packed: Path) -> bool:
    """Whether the release in `packed` stands at `place`; UserError where another one does."""
    identity, there = manifest(packed).identity, standing(place)
    if there not in (None, identity):
        raise UserError(f"{place}: holds release {there}, and this is {identity}, kept in {packed}; {REMEDY}")
    return there is not None


def place(packed: Path, place: Path) -> None:
    """Put the release in `packed` at `place`, where nothing stands, whole or not at all."""
    if not placed_already(place, packed):
        place_directory(packed, place)
