"""Does a release hold what it says? Every claim is a check with a name that stays; every failure is collected.

The release was written by somebody else: nothing in it is run, nothing is written below it, and it cannot make a check
crash. `quick` needs the standard library alone; the deeper checks stand in `checks.py`.
"""

import os
import stat
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from train.artifact import digest, file_digest, read_json
from train.config import UserError, did_you_mean
from train.release import openness

Level = Literal["quick", "full"]
SHOWN = 3  # problems of one check


@dataclass(frozen=True)
class Result:
    name: str
    ok: bool
    detail: str


def verify(path: Path, level: Level, only: Collection[str] = ()) -> list[Result]:
    """Run the checks of `level` (`full` holds `quick`) on the release at `path`, or those among them named in `only`.

    Raises UserError when `path` is no release, its manifest cannot be read, or no check has such a name.
    """
    if not (path / "MANIFEST.json").is_file() or (path / "MANIFEST.json").is_symlink():
        raise UserError(f"{path}: not a release: it has no MANIFEST.json; give the folder that holds one")
    read_json(path / "MANIFEST.json")
    quick: list[Callable[[Any], list[str]]] = [integrity, completeness]
    deeper: list[Callable[[Any], list[str]]] = []
    if level == "full":
        from train.release.checks import CHECKS, Release

        deeper = list(CHECKS)
    known = [check.__name__ for check in quick + deeper]
    for name in sorted(set(only) - set(known)):
        raise UserError(f"'{name}' is no check of this level{did_you_mean(name, known)}; they are {', '.join(known)}")
    quick, deeper = ([check for check in kind if not only or check.__name__ in only] for kind in (quick, deeper))
    results = [_run(check, path.resolve(), path) for check in quick]
    if not deeper:
        return results
    if unsafe(path):  # reading on could lead anywhere, or never end
        return results + [Result(check.__name__, False, "not run: see integrity") for check in deeper]
    with tempfile.TemporaryDirectory() as scratch:
        release = Release(path.resolve(), Path(scratch))
        return results + [_run(check, release, path) for check in deeper]


def _run(check: Callable[[Any], list[str]], subject: Any, path: Path) -> Result:
    try:
        problems = check(subject)
    except (KeyboardInterrupt, SystemExit):
        raise
    except UserError as error:
        problems = [str(error)]
    except BaseException as error:  # libraries written in Rust raise panics that are no Exception
        problems = [f"could not be checked: {type(error).__name__}: {str(error)[:200]}"]
    more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
    text = " ".join("; ".join(problems[:SHOWN]).replace(f"{path.resolve()}/", "").split()) + more
    # What the release says reaches the terminal as text only.
    return Result(check.__name__, not problems, "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text))


def unsafe(root: Path) -> list[str]:
    """What is neither a plain file nor a folder."""
    found = []
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            mode = (Path(folder) / name).lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                found.append(f"{(Path(folder) / name).relative_to(root).as_posix()}: neither a file nor a folder")
    return found


def integrity(root: Path) -> list[str]:
    """Every file is as MANIFEST.json says, none is missing or added, and the identity is the products' digest."""
    if problems := unsafe(root):
        return problems
    manifest, paths = read_json(root / "MANIFEST.json"), _paths(root)
    products, witnesses = manifest["products"], manifest["witnesses"]
    listed = {**products, **witnesses}
    problems = [f"{name}: missing" for name in sorted(listed.keys() - set(paths))]
    problems += [f"{name}: not in MANIFEST.json" for name in paths if name not in listed]
    problems += [f"{name}: a witness among the products" for name in products if name.startswith(openness.WITNESSES)]
    problems += [f"{n}: a product among the witnesses" for n in witnesses if not n.startswith(openness.WITNESSES)]
    for name in paths:
        found = {"sha256": file_digest(root / name), "bytes": (root / name).stat().st_size}
        if name in listed and found != listed[name]:
            problems.append(f"{name}: changed")
    if manifest["identity"] != digest({name: entry["sha256"] for name, entry in products.items()}):
        problems.append("identity: not the digest over the products")
    return problems


def completeness(root: Path) -> list[str]:
    """Everything that the definition requires has its evidence here."""
    needed = {name for row in openness.ROWS if row.importance == "must" for name in row.evidence.split()}
    needed |= {"openness.json", "generation_config.json", "CITATION.cff", "provenance/facts.json", "report.html"}
    paths = _paths(root)
    return [f"{name}: missing" for name in sorted(needed) if not openness.files(name, paths)]


def _paths(root: Path) -> list[str]:
    return [name for name in openness.regular_files(root) if name != "MANIFEST.json"]
