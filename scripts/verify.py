"""Check a release, as far as looking shows: `python scripts/verify.py RELEASE [--quick | --sources | --deep]`.

RELEASE is a folder, or the archives of one. Exit status: 0 every check holds, 1 some check fails, 2 none fails, but
something could not be checked. The last lines tell which rung of the ladder of proof is reached, and what would
establish the others. `--quick` checks integrity and completeness with the standard library alone. `--sources` also
prepares the pinned sources again: files come from `--from FOLDER`, the cache of downloads or the network. `--deep`
also installs what the release's lock names. With `--public-key` somebody who holds that key must have signed it.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.errors import UserError
from train.letters import harmless
from train.programs import python
from train.release.archive import unpacked
from train.release.bounds import limit_memory
from train.release.standards.osaid import RUNG_OF, ladder
from train.release.verify.result import Result, exit_status, rungs, tally
from train.release.verify.run import Level, apart, costs, results, verify

SHOWN = {"holds": "holds", "fails": "FAILS", "not checked": "not checked"}


def signed(release: Path, keys: list[Path], only: list[str], found: list[Result]) -> list[Result]:
    """The check `signatures`, if statements are there, or beside it, or demanded; its detail is what they say."""
    release = release.resolve()
    if only and not keys:
        return []
    if not keys and not (release / "logs/statements").exists() and not any(release.parent.glob("*.re*.*.json")):
        return []
    if any(result.name == "integrity" and not result.ok for result in found):
        return [Result("signatures", "not checked", "not run: see integrity")]
    from train.release.attest.signatures import signatures

    try:
        problems, lines = signatures(release, keys)
    except Exception as error:  # what a stranger wrote must not crash its checker
        kind = "" if isinstance(error, UserError) else f"could not be checked: {type(error).__name__}: "
        problems, lines = [f"{kind}{error}"], []
    if not problems and not lines:
        return []
    detail = harmless("; ".join([*problems, *lines]).replace("\n", " "))
    return [Result("signatures", "fails" if problems else "holds", detail)]


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", nargs="+", help="the folder that holds MANIFEST.json, or its archives; and how to "
                        "compute: machine.threads=N, machine.device=cuda")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="integrity and completeness only, in seconds")
    parser.add_argument("--deep", action="store_true", help="also install what the lock names")
    parser.add_argument("--sources", action="store_true", help="also prepare the sources again, fetched if need be")
    parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="where files of sources are")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/pellucid"), help="of downloads, by digest")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this check alone; repeatable")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--public-key", action="append", default=[], type=Path, metavar="PEM",
                        help="demand a statement signed with this key; repeatable")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many minutes")
    parser.add_argument("--nonce", help="draw the samples that this word draws (default: others each time)")
    parser.add_argument("--lines", action="store_true", help=argparse.SUPPRESS)  # of the process that checks
    asked = parser.parse_intermixed_args()
    words = [word for word in asked.release if word.startswith("machine.")]
    releases = [Path(word) for word in asked.release if word not in words]
    if not releases:
        parser.error("give the folder of a release")
    if asked.quick + asked.deep + asked.sources > 1:
        parser.error("--quick, --deep and --sources: one of them at a time")
    level: Level = "quick" if asked.quick else "deep" if asked.deep else "sources" if asked.sources else "full"
    more = [*words, *([f"--nonce={asked.nonce}"] if asked.nonce else [])]
    folders = {name: path.expanduser().absolute() for name in ("cache", "folder") if (path := vars(asked)[name])}
    say = (lambda result: None) if asked.json else show
    try:
        if asked.lines:
            return lines(releases[0], level, asked.only, {**folders, **way(words), "nonce": asked.nonce})
        way(words)
        with unpacked(releases) as release:
            if level == "quick":
                found = verify(release, level, asked.only)
                for result in found:
                    say(result)
            else:
                only = [f"--only={name}" for name in asked.only]
                where = [f"--{'from' if name == 'folder' else name}={path}" for name, path in folders.items()]
                deeper = [f"--{level}"] if level != "full" else []
                arguments = [str(release.absolute()), *only, *deeper, *where, *more, "--lines"]
                command = python(sys.executable, str(Path(__file__).resolve()), *arguments)
                if not asked.json and (told := costs(release, asked.only)):
                    print(f"cost       {told}", flush=True)
                found = apart(command, asked.minutes, say)
            for result in signed(release, asked.public_key, asked.only, found):
                found.append(result)
                say(result)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps([{**vars(result), "ok": result.ok} for result in found], indent=2))
    else:
        print(tally(found))
        if not asked.only:
            signed_by_nobody = () if asked.public_key else ("signatures",)
            outcomes = rungs((each for each in found if each.name not in signed_by_nobody), RUNG_OF)
            print("\n".join(map(harmless, ladder(str(releases[0]), outcomes))))
    return exit_status(found)


def show(result: Result) -> None:
    print(f"{SHOWN[result.status]}  {result.name:<18} {result.detail}".rstrip(), flush=True)


def way(words: list[str]) -> dict[str, Any]:
    """How to compute, as `machine.KEY=VALUE` says it; UserError for any other key or value."""
    found: dict[str, Any] = {}
    for word in words:
        key, _, value = word.removeprefix("machine.").partition("=")
        if key == "threads" and re.fullmatch("[1-9][0-9]{0,3}", value):
            found[key] = int(value)
        elif key == "device" and value in ("cpu", "cuda"):
            found[key] = value
        else:
            raise UserError(f"{word}: expected machine.threads=N or machine.device=cpu or cuda")
    return found


def lines(release: Path, level: Level, only: list[str], where: dict[str, Any]) -> int:
    """Print the names of all checks, then each result, a line of JSON each: what `apart` reads."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints does not come between
    if where.get("device") != "cuda":  # whose driver takes address space as if it were memory
        limit_memory(release)
    announce = lambda names: print(json.dumps(names), file=told, flush=True)  # noqa: E731
    for result in results(release, level, only, announce, **where):
        print(json.dumps(vars(result)), file=told, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
