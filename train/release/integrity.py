"""Is every file as MANIFEST.json says, is all that is required here, and is any of it a trap? Standard library alone.

The speed is that of the disk or of SHA-256 on all processors, whichever is slower.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from train.artifact import digest, file_digest, read_json
from train.config import UserError
from train.release import openness, partial

LONGEST = 240  # characters of a path: with a folder around it, some systems allow no more
LARGEST = 2**28  # bytes of a MANIFEST.json, a hundred times what a release of many thousand files has
PLAIN = re.compile(r"\.*[A-Za-z0-9_-](?:\.*[A-Za-z0-9_-])*")  # no dot at the end
DEVICE = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")  # which Windows opens instead of a file
HOLLOW = 64  # times larger than what it takes on the disk, and a file is mostly holes


def integrity(root: Path) -> list[str]:
    """Every file is as MANIFEST.json says, none is missing or added, and the identity is the products' digest."""
    if problems := unsafe(root):
        return [*remedy(root), *problems]
    products, witnesses, identity = manifest(root)
    listed, paths = {**products, **witnesses}, _paths(root)
    problems = remedy(root) if set(paths) - listed.keys() else []
    problems += [f"{name}: listed, and {why}" for name in listed if (why := wrong_name(name))]
    problems += [f"{name}: missing" for name in sorted(listed.keys() - set(paths))]
    problems += [f"{name}: not in MANIFEST.json" for name in paths if name not in listed]
    problems += [f"{name}: a witness among the products" for name in products if name.startswith(openness.WITNESSES)]
    problems += [f"{n}: a product among the witnesses" for n in witnesses if not n.startswith(openness.WITNESSES)]
    problems += [f"{name}: changed" for name in changed(root, {name: listed[name] for name in paths if name in listed})]
    if identity != digest({name: entry["sha256"] for name, entry in products.items()}):
        problems.append("identity: not the digest over the products")
    return problems


def completeness(root: Path) -> list[str]:
    """Everything that the definition requires has its evidence here; in a partial release, what makes up its level."""
    paths, level = _paths(root), partial.level(root)
    if level != "full":
        lacking = [f"{name}: missing" for name in partial.KEPT[level] if not openness.files(name, paths)]
        return lacking + [f"{path}: is not of level {level}" for path in paths if not partial.kept(path, level)]
    needed = {name for row in openness.ROWS if row.importance == "must" for name in row.evidence.split()}
    needed |= {"openness.json", "generation_config.json", "CITATION.cff", "provenance/facts.json", "report.html"}
    return [f"{name}: missing" for name in sorted(needed) if not openness.files(name, paths)]


def remedy(root: Path) -> list[str]:
    """What the hub's client makes of a release that is downloaded, and how it is undone.

    It is not overlooked: what lies in these places could be anything, and `.gitattributes` can name programs.
    """
    added = [name for name in (".cache", ".gitattributes") if (root / name).exists()]
    return [f"the hub and its client add {' and '.join(added)}: delete that and verify again"] if added else []


def unsafe(root: Path) -> list[str]:
    """What must not be read on, or cannot be kept everywhere: links, devices, strange names, hollow files.

    Empty folders are among them, for no manifest of files tells of them. OSError when a folder cannot be read.
    """
    found, seen, start = [], dict[str, str](), len(str(root)) + 1
    for folder, folders, names in os.walk(root, onerror=_refuse):
        if not folders and not names:
            found.append(f"{folder[start:]}: an empty folder")
        for name in (*folders, *names):
            path, about = f"{folder}/{name}"[start:], os.lstat(f"{folder}/{name}")
            same = seen.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
            if why := _wrong_kind(about) or wrong_name(path) or ("" if same == path else f"the same name as {same}"):
                found.append(f"{path}: {why}")
    return found


def wrong_name(path: str) -> str:
    """Why a relative path may not stand in a release; empty if it may."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or re.match("[A-Za-z]:", path):
        return "leads outside"
    if not all(PLAIN.fullmatch(part) for part in parts) or any(DEVICE.fullmatch(part) for part in parts):
        return "has a name that not every system can hold: letters of ASCII, digits, '.', '_' and '-' make one"
    return f"has a name of more than {LONGEST} characters" if len(path) > LONGEST else ""


def changed(root: Path, told: dict[str, dict[str, Any]]) -> list[str]:
    """Which files differ from what is told of them. A file of another size is not read, whatever its size."""
    same = [name for name, entry in told.items() if (root / name).stat().st_size == entry["bytes"]]
    found = {name for name, sha256 in digests(root, same) if sha256 != told[name]["sha256"]}
    return sorted(found | (told.keys() - set(same)))


def digests(root: Path, names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The SHA-256 of each file, on all processors: a hash lets go of the interpreter while it works."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(names, pool.map(lambda name: file_digest(root / name), names), strict=True)


def manifest(root: Path) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Products, witnesses and identity, as the manifest lists them; UserError when it is of another form."""
    if (root / "MANIFEST.json").stat().st_size > LARGEST:
        raise UserError(f"MANIFEST.json: more than {LARGEST} bytes; no manifest is")
    found = read_json(root / "MANIFEST.json")
    kinds = [found.get(kind) if isinstance(found, dict) else None for kind in ("products", "witnesses")]
    entries = [entry for kind in kinds if isinstance(kind, dict) for entry in kind.values()]
    form = {"sha256": str, "bytes": int}
    fits = (isinstance(e, dict) and {key: type(value) for key, value in e.items()} == form for e in entries)
    if not all(isinstance(kind, dict) for kind in kinds) or not all(fits):
        raise UserError("MANIFEST.json: expected products and witnesses, each path with its sha256 and bytes")
    return kinds[0] or {}, kinds[1] or {}, found.get("identity")


def _wrong_kind(about: os.stat_result) -> str:
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        return "neither a file nor a folder"
    hollow = stat.S_ISREG(about.st_mode) and about.st_size > 2**24 and about.st_blocks * 512 * HOLLOW < about.st_size
    return f"says that it has {about.st_size} bytes, and is mostly holes" if hollow else ""


def _refuse(error: OSError) -> None:
    raise error


def _paths(root: Path) -> list[str]:
    return [name for name in openness.regular_files(root) if name != "MANIFEST.json"]
