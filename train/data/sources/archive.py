"""Read source archives without unpacking them: regular members only, plain names only, bounded in every direction.

What stands in an archive was written by somebody else. Nothing here touches the disk, and an archive that is
not what a source distribution looks like is refused as a whole rather than read in part.
"""

import gzip
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from train.errors import UserError
from train.unicode import OBEYED


@dataclass(frozen=True)
class Limits:
    """How large an archive may be. The ratio is of all bytes unpacked to the bytes of the archive."""

    members: int
    member_bytes: int
    total_bytes: int
    ratio: int
    name_bytes: int


LIMITS = Limits(members=20_000, member_bytes=2**26, total_bytes=2**29, ratio=100, name_bytes=400)


def members(
    archive: Path, name: str, *, wanted: Callable[[str], bool], limits: Limits = LIMITS
) -> Iterator[tuple[str, bytes]]:
    """Yield (path, bytes) of each regular member of a .tar.gz or .zip whose path is `wanted`, in archive order.

    `name` is the archive's file name; it tells the format. Paths are relative to the one folder that a source
    distribution holds everything in.

    Raises UserError when the archive is damaged, holds anything other than files and folders, a name that would
    mean something to a file system, or more than `limits` allow.
    """
    read = {".tar.gz": _tar, ".zip": _zip}.get(".tar.gz" if name.endswith(".tar.gz") else Path(name).suffix)
    if read is None:
        raise UserError(f"{name}: expected a .tar.gz or .zip archive")
    seen: set[str] = set()
    roots: set[str] = set()
    unpacked = 0
    allowed = min(limits.total_bytes, limits.ratio * archive.stat().st_size)
    try:
        for count, (member, size, content) in enumerate(read(archive, name, allowed), start=1):
            problem = name_problem(member, limits.name_bytes)
            root, _, path = member.partition("/")
            roots.add(root)
            unpacked += size
            if problem:
                raise UserError(f"{name}: member {member!r} {problem}; the archive is refused")
            if member in seen:
                raise UserError(f"{name}: member {member!r} stands in it twice; the archive is refused")
            if not path or len(roots) > 1:
                raise UserError(f"{name}: expected all members in one folder, found {member!r}; the archive is refused")
            if count > limits.members:
                raise UserError(f"{name}: more than {limits.members} members; the archive is refused")
            if size > limits.member_bytes:
                raise UserError(f"{name}: member {member!r} has {size} bytes, allowed are {limits.member_bytes}")
            if unpacked > allowed:
                raise UserError(_too_much(name, allowed))
            seen.add(member)
            if wanted(path):
                yield path, content()
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{name}: cannot be read as an archive ({type(error).__name__}: {error})") from None


def name_problem(name: str, name_bytes: int) -> str | None:
    """Why `name` cannot be a member's name, or None. Only plain relative POSIX paths are allowed."""
    if OBEYED.search(name) or "\n" in name or "\t" in name:  # control characters, undecodable bytes, marks of direction
        return "has unprintable characters in its name"
    if len(name.encode()) > name_bytes:
        return f"has a name of more than {name_bytes} bytes"
    if "\\" in name or re.match(r"[A-Za-z]:", name):
        return "has a name that Windows would read as another path"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "has a name that is absolute or leads out of its folder"
    return None


def matches(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a relative path is matched by some `include` glob and no `exclude` glob.

    `*` and `?` stay within one folder; `**` crosses folders. Upper and lower case differ, but not in a suffix.
    """
    return any(fits(_parts(g), path) for g in include) and not any(fits(_parts(g), path) for g in exclude)


@cache
def _parts(glob: str) -> list[tuple[str, bool]]:
    """Signs and the letters between them, and whether these are in a suffix: after the first dot in the last name."""
    dot = glob.find(".", len(glob) - len(glob[glob.rfind("/") + 1 :].lstrip(".")))
    texts = (glob, "") if dot < 0 else (glob[:dot], glob[dot:])
    signs = re.compile(r"(\*\*/|\*\*|\*|\?)")
    return [(part, bool(suffix)) for suffix, text in enumerate(texts) for part in signs.split(text) if part]


def fits(parts: Sequence[tuple[str, bool]], path: str) -> bool:
    """Whether the parts of a glob match a path: which places in it each can reach, so that stars do not multiply.

    A part is a sign or letters, with whether small and capital ones are the same.
    """
    here = {0}
    for part, suffix in parts:
        match part:
            case "**":
                here = set(range(min(here), len(path) + 1))
            case "**/":
                here |= {at + 1 for at in range(min(here), len(path)) if path[at] == "/"}
            case "*":
                here = {end for at in here for end in range(at, (path.find("/", at) + 1 or len(path) + 1))}
            case "?":
                here = {at + 1 for at in here if path[at : at + 1] not in ("", "/")}
            case _:
                ends = {at + len(part) for at in here if path[at : at + len(part)].lower() == part.lower()}
                here = ends if suffix else {end for end in ends if path.endswith(part, 0, end)}
        if not here:
            return False
    return len(path) in here


class Bounded(RawIOBase):
    """A readable stream that refuses to give more than `allowed` bytes, headers included."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile, name: str, allowed: int) -> None:
        self.stream, self.name, self.allowed, self.left = stream, name, allowed, allowed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(min(len(buffer), self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise UserError(_too_much(self.name, self.allowed))
        buffer[: len(data)] = data
        return len(data)


def _too_much(name: str, allowed: int) -> str:
    return f"{name}: unpacks to more than {allowed} bytes; the archive is refused"


Member = tuple[str, int, Callable[[], bytes]]  # name, size, content


def _tar(archive: Path, name: str, allowed: int) -> Iterator[Member]:
    # Read as a stream, so that even the headers pass through the bound. Padding and headers get their own share.
    with gzip.open(archive) as packed:
        bounded = Bounded(packed, name, 2 * allowed + 2**20)
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            for member in tar:
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise UserError(f"{name}: member {member.name!r} is not a regular file; the archive is refused")
                yield member.name, member.size, partial(_content, tar, member)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _zip(archive: Path, name: str, allowed: int) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or member.flag_bits & 1:
                raise UserError(f"{name}: member {member.filename!r} is not a regular file; the archive is refused")
            # The size is what the directory of the archive claims; zipfile reads no more than that and checks it.
            yield member.orig_filename, member.file_size, partial(packed.read, member)
