"""A file by what it must be. Where it is had, its world knows, which obtains it for a stage; the digest decides."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import copy_file, file_digest
from train.data.sources.archive import name_problem
from train.errors import UserError
from train.world import World

CHUNK = 2**16


class VanishedError(UserError):
    """A source is no longer where it was; what the data card says about that is the next thing to read."""


@dataclass(frozen=True)
class FileSpec:
    """A file, by what it must be."""

    purl: str
    name: str
    digest: str  # SHA-256; or 40 digits, git's own id of the content
    bytes: int

    def __post_init__(self) -> None:
        if problem := name_problem(self.name, 400):
            raise UserError(f"{self.purl}: file {self.name!r} {problem}")

    def identity(self, path: Path) -> str | None:
        """The digest of a file of the right size, of the kind that is wanted; None where there is no such file."""
        if not path.is_file() or path.stat().st_size != self.bytes:
            return None
        if len(self.digest) == 64:
            return file_digest(path)
        git_id = hashlib.sha1(b"blob %d\0" % self.bytes, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                git_id.update(chunk)
        return git_id.hexdigest()


def place(source: Any, wanted: FileSpec, folder: Path, world: World) -> tuple[Path, str]:
    """Write a file of `source` to `folder`; return what was copied, and where that came from.

    Raises UserError when what the world obtained is not what is wanted.
    """
    kept, origin = world.obtain(source, wanted, world.machine.cache)
    copy_file(kept, folder / wanted.name)
    if wanted.identity(folder / wanted.name) != wanted.digest:
        raise UserError(f"{wanted.purl}: {wanted.name} from {origin} is not the file of digest {wanted.digest}")
    return kept, origin
