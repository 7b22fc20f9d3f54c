"""Artifacts: canonical JSON, digests, whole-or-nothing writes, and a directory that is sealed by its manifest.

An artifact is a directory. Every file in it is a *product* (whoever makes it again gets the same bytes) except
those under `witness/`, which are true of one run only: times, speeds, logs, host. `manifest.json` lists the
products and holds nothing that depends on the run, so it is itself the same bytes everywhere.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from train.errors import UserError

MANIFEST = "manifest.json"
WITNESS = "witness"


class DamageError(UserError):
    """A sealed artifact no longer holds what its manifest says."""


@dataclass(frozen=True)
class Product:
    """A file of an artifact, as its manifest lists it."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Input:
    """An artifact that another one is made from."""

    key: str
    products: str  # the digest of its products; empty as long as it is not made


@dataclass(frozen=True)
class Bound:
    """What the maker of an artifact is bound to: all that its manifest says but its products."""

    stage: str
    key: str
    config: Any  # the stage's own, as plain data
    code: dict[str, str]  # file -> what of it counts
    inputs: dict[str, Input]


@dataclass(frozen=True)
class Manifest(Bound):
    """What `manifest.json` says of an artifact."""

    products: dict[str, Product]

    @property
    def digest(self) -> str:
        """What later artifacts build on: nothing but the products."""
        return digest_of(self.products)


def canonical_json(value: Any) -> bytes:
    """The one spelling of `value` as JSON that digests are taken of: sorted keys, no spaces, UTF-8, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_of(products: Mapping[str, Product]) -> str:
    """The digest over the paths and digests of files, which stands for all of them."""
    return digest({name: product.sha256 for name, product in products.items()})


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of each of several files, by threads: as fast as the disk, or as all processors together."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(file_digest, paths))


@contextmanager
def folders(path: Path) -> Iterator[None]:
    """The folder `path` and those above it, for what is to stand in it; where that fails, the new ones go again."""
    new = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in new:
            with suppress(OSError):  # of one that holds something, or could not be made
                each.rmdir()
        raise


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Atomic write: `path` appears complete or not at all, as it is written aside, fsynced and renamed."""
    # A name of its own keeps two processes that make the same file, be it on two machines, out of each other's way.
    aside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    with folders(path.parent):
        try:
            with naming(path), aside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    sync_directory(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An error of the system that tells of no file, as of a full disk, is one of `path`."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Atomic making of a folder, in the one that this yields; UserError where more than an empty folder is there."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise UserError(f"{path}: is not free; see what stands there, or give a new folder")
    aside = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
    with folders(path.parent):
        try:
            aside.mkdir()
            yield aside
            aside.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    sync_directory(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing."""
    with whole(path) as file:
        file.write(data)


def read_bytes(path: Path, most: int, name: str = "") -> bytes:
    """What a file holds, which may have no end, as a device has none; UserError, which calls it `name` or by its path,
    when it is more than `most` bytes."""
    with path.open("rb") as file:
        if len(data := file.read(most + 1)) > most:
            raise UserError(f"{name or path}: more than {most} bytes")
    return data


def as_json(value: Any) -> bytes:
    """The one spelling of `value` in a JSON file: sorted keys, indented, UTF-8, no NaN, a line end at the end."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON with sorted keys, whole or not at all."""
    write_bytes(path, as_json(value))


def parse_json(data: bytes | str) -> Any:
    """Plain data from strict JSON. ValueError for a key twice, half a letter, NaN, Infinity or a number as large."""
    value = json.loads(data, object_pairs_hook=_mapping, parse_constant=_number, parse_float=_number)
    if (b"\\u" if isinstance(data, bytes) else "\\u") in data:  # type: ignore[operator]
        json.dumps(value, ensure_ascii=False).encode()  # raises for a surrogate that stands alone
    return value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):  # which of the two counts, readers do not agree upon
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(f"the key {twice[:80]!r} stands twice")
    return mapping


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:80]} is no number that JSON knows")
    return number


def copy_file(origin: Path, target: Path) -> None:
    """Write `target`, whole or not at all, with the bytes of `origin`."""
    with origin.open("rb") as read, whole(target) as write:
        shutil.copyfileobj(read, write, 2**20)


def read_json(path: Path, pointer: str = "") -> Any:
    """What stands at a JSON pointer (RFC 6901) in a file of strict JSON (see `parse_json`); UserError names both.

    A file that ends in .jsonl is read as the list of its lines.
    """
    try:
        data = path.read_bytes()
        value: Any = [parse_json(line) for line in data.splitlines()] if path.suffix == ".jsonl" else parse_json(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from None
    for step in pointer.split("/")[1:]:
        try:
            value = value[int(step) if isinstance(value, list) else step.replace("~1", "/").replace("~0", "~")]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UserError(f"{path}: nothing stands at {pointer}") from None
    return value


def sync_directory(path: Path) -> None:
    """Make renames inside `path` durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def inventory(directory: Path) -> dict[str, Product]:
    """Every product below `directory`, by its relative POSIX path. Links are refused."""
    names: list[str] = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if name == MANIFEST or name.split("/")[0] == WITNESS or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise UserError(f"{path}: only regular files may stand in an artifact")
        names.append(name)
    return products_of(directory, names)


def products_of(directory: Path, names: Sequence[str]) -> dict[str, Product]:
    """Digest and size of the files in a folder that are named."""
    files = zip(names, file_digests(directory / name for name in names), strict=True)
    return {name: Product(sha256, (directory / name).stat().st_size) for name, sha256 in files}


def seal(part: Path, final: Path, bound: Bound) -> None:
    """Seal the finished directory `part` as the artifact `final`: its manifest last, then an atomic rename."""
    clear_unfinished(part)
    write_json(part / MANIFEST, asdict(Manifest(**vars(bound), products=inventory(part))))
    part.rename(final)
    sync_directory(final.parent)


def clear_unfinished(part: Path) -> None:
    """Remove the temporary files and folders of processes that were killed while they wrote in `part`."""
    for left in sorted(part.rglob(".*.tmp")):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def manifest(artifact: Path) -> Manifest:
    """The manifest of a sealed artifact; UserError where there is none that can be read."""
    return read_manifest(artifact / MANIFEST)


def read_manifest(path: Path) -> Manifest:
    """The manifest of an artifact in a file; UserError where it holds something else."""
    record = read_json(path)
    try:
        inputs = {name: Input(**each) for name, each in record["inputs"].items()}
        products = {name: Product(**each) for name, each in record["products"].items()}
        return Manifest(**{**record, "inputs": inputs, "products": products})
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the manifest of an artifact ({type(error).__name__}: {error})") from None


def sealed(runs: Path, stage: str) -> Iterator[tuple[Path, Manifest]]:
    """The artifacts of a stage in a folder of runs, each with its manifest; one without any is passed over."""
    for folder in sorted(runs.glob(f"{stage}-{'[0-9a-f]' * 8}")):
        with suppress(UserError):
            yield folder, manifest(folder)


def check(artifact: Path) -> list[str]:
    """Hash every product again; return what differs from the manifest, a line each."""
    try:
        expected, files = manifest(artifact).products, inventory(artifact)
    except UserError as error:
        return [str(error)]
    problems = [f"{name}: missing" for name in expected.keys() - files.keys()]
    problems += [f"{name}: not in the manifest" for name in files.keys() - expected.keys()]
    for name in expected.keys() & files.keys():
        if expected[name] != files[name]:
            was, now = expected[name], files[name]
            problems.append(f"{name}: expected {was.sha256[:12]} ({was.bytes} bytes), "
                            f"found {now.sha256[:12]} ({now.bytes} bytes)")  # fmt: skip
    return sorted(problems)


def set_aside(artifact: Path, why: str) -> Path:
    """Quarantine an artifact that is "damaged" or "stale": renamed, and kept for a look; returns where it is now."""
    aside = artifact.with_name(f"{artifact.name}.{why}")
    if aside.exists():
        shutil.rmtree(aside)
    artifact.rename(aside)
    return aside
