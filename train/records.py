"""Records in files of JSON as dataclasses: read in one place, and checked against their types there."""

from pathlib import Path
from typing import TypeVar

from train.artifact import read_json
from train.config import build
from train.errors import ConfigError, UserError

T = TypeVar("T")


def read(kind: type[T], path: Path) -> T:
    """The record in a file, or the list or mapping of records; UserError names the file and what is wrong in it."""
    try:
        return build(kind, read_json(path))
    except ConfigError as error:
        raise UserError(f"{path}: {'; '.join(error.problems[:3])}") from None
