"""A release in one file, or one for each of its roles: .tar.zst with the same bytes on every machine.

Names are sorted, heads of members hold nothing but name and size, and one thread compresses at one level; the version
of the library is the lock's. A stranger's archive is unpacked within bounds, and only if all its members are plain.
"""

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from train.artifact import naming, whole
from train.data.sources.archive import Bounded, name_problem
from train.data.text.file_types import HEAD, file_type
from train.errors import UserError
from train.layout import release_files
from train.terminal import of_the_machine

SUFFIX = ".tar.zst"
LEVEL = 3
WINDOW, MEMBERS, NAME_BYTES, RATIO = 2**27, 200_000, 400, 200  # the most that is taken from a stranger
ROLES = ("data", "code", "checkpoints")  # by folder; `weights` has all else, and so what a user of the model needs


def pack(release: Path, out: Path, by_role: bool) -> list[Path]:
    """Write the archive, or one a role, into `out`; every one holds a folder named like the release."""
    import zstandard

    parts: dict[str, list[str]] = {}
    for path in release_files(release):
        folder = path.split("/")[0]
        parts.setdefault(("." + (folder if folder in ROLES else "weights")) if by_role else "", []).append(path)
    archives = []
    for role, paths in sorted(parts.items()):
        target = out / f"{release.name}{role}{SUFFIX}"
        compressor = zstandard.ZstdCompressor(level=LEVEL, threads=0, write_checksum=True)
        with (
            whole(target) as file,
            compressor.stream_writer(file, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in paths:
                head = tarfile.TarInfo(f"{release.name}/{path}")
                head.size = (release / path).stat().st_size
                with (release / path).open("rb") as content:
                    tar.addfile(head, content)
        archives.append(target)
    return archives


@contextmanager
def unpacked(paths: Sequence[Path]) -> Iterator[Path]:
    """The folder of a release: the one that is given, or a temporary one with what all the given archives hold."""
    if len(paths) == 1 and not paths[0].is_file():
        yield paths[0]
        return
    for path in paths:
        check_archive(path)
    with TemporaryDirectory() as scratch:
        for path in paths:
            unpack(path, Path(scratch))
        roots = list(Path(scratch).iterdir())
        if len(roots) != 1:
            raise UserError(f"expected archives of one release, found {len(roots)} folders in them")
        yield roots[0]


def check_archive(path: Path) -> None:
    """UserError unless a file begins as an archive of a release does, whatever it is called."""
    if not path.is_file():
        raise UserError(f"{path}: {'a folder' if path.is_dir() else 'not there'}; give archives alone, or one folder")
    with path.open("rb") as file:
        held = file_type(file.read(HEAD))
    if held != "Zstandard":
        content = f"it holds {held}" if held else "its first bytes are those of no archive"
        remedy = f"give a {SUFFIX} as `make archive` writes it, or unpack it and give the folder"
        raise UserError(f"{path}: not a release: {content}; {remedy}")


def unpack(archive: Path, into: Path) -> None:
    """Unpack an archive below `into`; UserError when it is damaged or too large, or a member is no plain new file."""
    import zstandard

    name, allowed = archive.name, RATIO * archive.stat().st_size + 2**20
    try:
        with archive.open("rb") as file:
            reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file)
            bounded = Bounded(reader, name, allowed)
            with tarfile.open(fileobj=bounded, mode="r|") as tar:
                for count, member in enumerate(tar):
                    problem = name_problem(member.name, NAME_BYTES)
                    if problem or not member.isreg() or member.issparse():
                        raise UserError(f"{name}: member {member.name!r} {problem or 'is not a regular file'}")
                    if count >= MEMBERS or "/" not in member.name:
                        raise UserError(f"{name}: more than {MEMBERS} members, or one that is in no folder")
                    (into / member.name).parent.mkdir(parents=True, exist_ok=True)
                    content = tar.extractfile(member)
                    with naming(into / member.name), (into / member.name).open("xb") as target:
                        while content and (data := content.read(2**20)):
                            target.write(data)
            # What follows the end is part of what was sent, and its checksum tells of all. Of the zeros that fill a tar
            # up, its reader leaves some, depending on how much the stream gives at a time.
            follows = False
            while rest := bounded.read(2**20):
                follows |= bool(rest.strip(b"\0"))
            if follows:
                raise UserError(f"{name}: something follows the end of the archive")
    except (tarfile.TarError, zstandard.ZstdError, EOFError, OSError, ValueError) as error:
        why = of_the_machine(error) or f"{type(error).__name__}: {error}"
        raise UserError(f"{name}: cannot be unpacked ({why})") from None
