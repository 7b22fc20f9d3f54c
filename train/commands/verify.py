"""`pellucid verify`: whether a release holds, as far as looking shows; --quick with the standard library alone."""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train import programs
from train.errors import UserError
from train.release.archive import unpacked
from train.release.attest.dsse import public_key, signatures
from train.release.bounds import limit_memory
from train.release.standards.osaid import RUNG_OF, ladder, word
from train.release.verify.result import Result, exit_status, rungs, tally
from train.release.verify.run import Level, costs, isolated, results, verify
from train.terminal import guarded

SHOWN = {"holds": "holds", "fails": "FAILS", "not checked": "not checked"}


def run(args: argparse.Namespace) -> list[Result]:
    """What each check finds; it is also said at once."""
    words = [str(word) for word in args.release if str(word).startswith("machine.")]
    releases = [word for word in args.release if str(word) not in words]
    if not releases:
        raise UserError("give the folder of a release")
    how = {**way(words), "nonce": args.nonce}
    for key in args.public_key:  # what is no key is told before the checks take their time
        public_key(key)
    with unpacked(releases) as release:
        report = checked(release, args, how)
        for result in signed(release, args.public_key, args.only, report):
            report.append(result)
            show(result, args)
        args.word = word(release)
    args.name = str(releases[0])
    return report


def checked(release: Path, args: argparse.Namespace, how: dict[str, Any]) -> list[Result]:
    """What the checks find: the quick ones here, the others in a process of their own, which a release may break."""
    level: Level = "quick" if args.quick else "deep" if args.deep else "sources" if args.sources else "full"
    if level == "quick":
        report = verify(release, level, args.only)
        for result in report:
            show(result, args)
        return report
    folders = {name: str(place.absolute()) for name in ("cache", "folder") if (place := vars(args)[name])}
    for cost in [] if args.json else costs(release, args.only, level):
        args.say(f"cost       {cost}")
    words = (str(release.absolute()), level, json.dumps({**how, **folders}), *args.only)
    worker = programs.module(sys.executable, "train.commands.verify", *words)
    return isolated(worker, args.minutes, lambda result: show(result, args))


def signed(release: Path, keys: list[Path], only: list[str], report: list[Result]) -> list[Result]:
    """The check `signatures`, if statements are there, or beside it, or demanded; its detail is what they say."""
    release = release.resolve()
    if only and not keys:
        return []
    if not keys and not (release / "logs/statements").exists() and not any(release.parent.glob("*.re*.*.json")):
        return []
    if any(result.name == "integrity" and not result.ok for result in report):
        return [Result("signatures", "not checked", "not run: see integrity")]
    try:
        problems, lines = signatures(release, keys)
    except Exception as error:  # what a stranger wrote must not crash its checker
        kind = "" if isinstance(error, UserError) else f"could not be checked: {type(error).__name__}: "
        problems, lines = [f"{kind}{error}"], []
    if not problems and not lines:
        return []
    detail = "; ".join([*problems, *lines]).replace("\n", " ")
    return [Result("signatures", "fails" if problems else "holds" if keys else "not checked", detail)]


def lines(report: list[Result], args: argparse.Namespace) -> Iterator[str]:
    """What all of it comes to, and how far that goes."""
    yield tally(report)
    if not args.only:
        signed_by_nobody = () if args.public_key else ("signatures",)
        outcomes = rungs((each for each in report if each.name not in signed_by_nobody), RUNG_OF)
        yield from ladder(args.name, outcomes, args.word)


def status(report: list[Result]) -> int:
    return exit_status(report)


def show(result: Result, args: argparse.Namespace) -> None:
    if not args.json:
        args.say(f"{SHOWN[result.status]}  {result.name:<18} {result.detail}".rstrip())


def way(words: list[str]) -> dict[str, Any]:
    """How to compute, as `machine.KEY=VALUE` says it; UserError for any other key or value."""
    settings: dict[str, Any] = {}
    for setting in words:
        key, _, value = setting.removeprefix("machine.").partition("=")
        if key == "threads" and re.fullmatch("[1-9][0-9]{0,2}", value):
            settings[key] = int(value)
        elif key == "device" and value in ("cpu", "cuda"):
            settings[key] = value
        else:
            raise UserError(f"{setting}: expected machine.threads=N or machine.device=cpu or cuda")
    return settings


# The process of its own ----------------------------------------------------------------------------------------------


def work(arguments: list[Any]) -> None:
    """Print the names of all checks, then each result, a line of JSON each: what `isolated` reads."""
    from train.compose import overrides_of

    path, level, how, *only = arguments
    release, where = Path(path), json.loads(how)
    where |= {name: Path(where[name]) for name in ("cache", "folder") if name in where}
    where.setdefault("cache", Path("~/.cache/pellucid"))  # of a home that not every user has
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints does not come between
    if where.get("device") != "cuda":  # whose driver takes address space as if it were memory
        limit_memory(release)
    announce = lambda names: print(json.dumps(names), file=out, flush=True)  # noqa: E731
    for result in results(release, level, only, announce, overrides_of=overrides_of, **where):
        print(json.dumps([result.name, result.status, result.detail]), file=out, flush=True)


if __name__ == "__main__":
    guarded(work, sys.argv[1:])
