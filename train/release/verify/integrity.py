"""Is every file as MANIFEST.json says, is all that is required here, is any of it a trap? Standard library alone."""

import hashlib
import os
import re
import stat
import tomllib
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

from train.artifact import Product, as_json, digest_of, file_digests, read_json
from train.errors import UserError
from train.layout import WITNESSES, Listing, listed_files, of_the_hub, regular_files
from train.release.standards import osaid

LONGEST = 240  # characters of a path: with a folder around it, some systems allow no more
KINDS = ("products", "witnesses")
LARGEST = 2**28  # bytes of a MANIFEST.json, a hundred times what a release of many thousand files has
PLAIN = re.compile(r"\.*[A-Za-z0-9_-](?:\.*[A-Za-z0-9_-])*")  # no dot at the end
DEVICE = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")  # which Windows opens instead of a file
POINTER = b"version https://git-lfs.github.com/spec/"  # how a file begins by which Git LFS stands for another
TRACES = tomllib.loads(Path(__file__).with_name("traces.toml").read_text(encoding="utf-8"))  # pattern -> remedy
HOLLOW = 64  # times larger than what it takes on the disk, and a file is mostly holes


def integrity(root: Path) -> Iterator[str]:
    """Every file is as MANIFEST.json says, none is missing or added, and the identity is the products' digest."""
    if problems := unsafe(root):
        yield from (*remedies(root), *problems)
        return
    record = manifest(root)
    listed, paths = {**record.products, **record.witnesses}, listed_files(root)
    changes = changed(root, {name: listed[name] for name in paths if name in listed})
    yield from remedies(root, listed, changes) if changes or set(paths) - listed.keys() else ()
    if ends := sum(_other_ends(root / name, listed[name].sha256) for name in changes):
        yield (f"{ends} files have other ends of lines: copy it anew, by git with core.autocrlf=false")
    yield from (f"{name}: listed, and {why}" for name in listed if (why := wrong_name(name)))
    yield from (f"{name}: missing" for name in sorted(listed.keys() - set(paths)))
    yield from (f"{name}: not in MANIFEST.json" for name in paths if name not in listed)
    yield from (f"{name}: a witness among the products" for name in record.products if name.startswith(WITNESSES))
    yield from (f"{n}: a product among the witnesses" for n in record.witnesses if not n.startswith(WITNESSES))
    yield from (f"{name}: changed: {how}" for name, how in changes.items())
    if record.identity != (again := digest_of(record.products)):
        yield f"identity: {record.identity[:64]}, the digest over the products is {again}"
    if (root / "MANIFEST.json").read_bytes() != as_json(read_json(root / "MANIFEST.json")):
        yield "MANIFEST.json: not spelt as its writer spells what it holds"


def completeness(root: Path) -> list[str]:
    """Everything that the definition requires has its evidence here."""
    paths = listed_files(root)
    needed = {name for row in osaid.ROWS if row.importance == "must" for name in row.evidence.split()}
    needed |= {"openness.json", "generation_config.json", "CITATION.cff", "provenance/facts.json", "report.html"}
    return [f"{name}: missing" for name in sorted(needed) if not osaid.files(name, paths)]


def remedies(root: Path, listed: Collection[str] = (), changes: Collection[str] = ()) -> list[str]:
    """What made a good release fail, as far as its traces tell, and how that is undone: a line for each cause."""
    start = len(str(root)) + 1
    every = (f"{folder}/{name}"[start:] for folder, folders, names in os.walk(root) for name in (*folders, *names))
    added = [path for path in every if path not in listed and not of_the_hub(path)]
    parts = {part for path in added for part in path.split("/")}
    lines = [line for trace, line in TRACES.items() if any(re.fullmatch(trace, part) for part in parts)]
    if pointers := sum(_begins(root / name, POINTER) for name in changes):
        remedy = "run git lfs pull, or use the hub's client"
        lines.append(f"{pointers} files are pointers of Git LFS, not the files: {remedy}")
    return lines


def _begins(path: Path, data: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(data)) == data


def _other_ends(path: Path, sha256: str) -> bool:
    """Whether a text has the digest but for the ends of its lines."""
    small = path.stat().st_size < 2**24
    return small and hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest() == sha256


def hub_notes(root: Path) -> list[str]:
    """What is told of the files that the hub and its client added, which are no part of the release."""
    added = [path for path in regular_files(root) if of_the_hub(path)]
    return [f"beside {len(added)} files of the hub and its client, which nothing reads"] if added else []


def unsafe(root: Path) -> list[str]:
    """What must not be read on, or cannot be kept everywhere: links, devices, strange names, holes, empty folders."""
    problems, seen, start = [], dict[str, str](), len(str(root)) + 1
    for folder, folders, names in os.walk(root, onerror=_refuse):
        if not folders and not names and not of_the_hub(f"{folder}/"[start:]):
            problems.append(f"{folder[start:]}: an empty folder")
        for name in (*folders, *names):
            path, about = f"{folder}/{name}"[start:], os.lstat(f"{folder}/{name}")
            same = seen.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
            named = "" if of_the_hub(path) else wrong_name(path)
            if why := _wrong_kind(about) or named or ("" if same == path else f"the same name as {same}"):
                problems.append(f"{path}: {why}")
    return problems


def wrong_name(path: str) -> str:
    """Why a relative path may not stand in a release; empty if it may."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or re.match("[A-Za-z]:", path):
        return "leads outside"
    if not all(PLAIN.fullmatch(part) for part in parts) or any(DEVICE.fullmatch(part) for part in parts):
        return "has a name that not every system can hold: letters of ASCII, digits, '.', '_' and '-' make one"
    return f"has a name of more than {LONGEST} characters" if len(path) > LONGEST else ""


def changed(root: Path, listed: dict[str, Product]) -> dict[str, str]:
    """The files that differ from what is listed of them, and how. One of another size is not read, whatever that is."""
    sizes = {name: (root / name).stat().st_size for name in listed}
    other = {name: f"{size} bytes, {listed[name].bytes} are listed" for name, size in sizes.items()
             if size != listed[name].bytes}  # fmt: skip
    same = sorted(listed.keys() - other.keys())
    for name, sha256 in zip(same, file_digests(root / name for name in same), strict=True):
        if sha256 != listed[name].sha256:
            other[name] = f"SHA-256 {sha256[:12]}, {listed[name].sha256[:12]} is listed"
    return dict(sorted(other.items()))


def manifest(root: Path) -> Listing:
    """What MANIFEST.json lists; UserError when it is of another form."""
    if (root / "MANIFEST.json").stat().st_size > LARGEST:
        raise UserError(f"MANIFEST.json: more than {LARGEST} bytes; no manifest is")
    record = read_json(root / "MANIFEST.json")
    try:
        kinds = {kind: {path: Product(**entry) for path, entry in record.pop(kind).items()} for kind in KINDS}
        every = [each for kind in kinds.values() for each in kind.values()]
        if all(type(each.sha256) is str and type(each.bytes) is int for each in every):
            return Listing(str(record.pop("identity")), **kinds, **record)
    except (TypeError, KeyError, AttributeError):
        pass
    form_of = "identity, products and witnesses, each path with its sha256 and bytes, and no more"
    raise UserError(f"MANIFEST.json: expected {form_of}")


def _wrong_kind(about: os.stat_result) -> str:
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        return "neither a file nor a folder"
    hollow = stat.S_ISREG(about.st_mode) and about.st_size > 2**24 and about.st_blocks * 512 * HOLLOW < about.st_size
    return f"says that it has {about.st_size} bytes, and is mostly holes" if hollow else ""


def _refuse(error: OSError) -> None:
    raise error
