"""Folders that share large files: the weights of a run, of its packed and its placed release are stored once."""

import os
from pathlib import Path

from train.artifact import copy_file, whole_folder

LARGE = (".safetensors", ".parquet", ".npy")  # kinds of data that can be large, and that no editor opens


def share(origin: Path, target: Path) -> None:
    """Put the file `origin` at `target` too: large data by a hard link (only to be read then), all else as a copy."""
    if origin.suffix in LARGE:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(origin, target)
            target.chmod(0o444)
            return
        except OSError:  # another disk, or one without links
            target.unlink(missing_ok=True)
    copy_file(origin, target)


def place_directory(source: Path, destination: Path) -> None:
    """Put what `source` holds at `destination` too, whole or not at all; UserError where anything stands there."""
    with whole_folder(destination) as aside:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                share(path, aside / path.relative_to(source))
