"""Does a release hold what it says, as far as looking shows? Each check has a name that stays; all failures are told.

What does not follow from looking, other rungs establish: `osaid.RUNGS`. The release was written by somebody else:
nothing in it is run, nothing is written below it, and it cannot make a check crash. `quick` needs the standard library
alone, `full` makes again what takes a minute or two, `sources` also prepares its sources again, fetched as they are
pinned, and `deep` also installs what its lock names. `isolated` bounds time, and `bounds` memory.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from train import programs
from train.artifact import read_json
from train.errors import UserError, did_you_mean
from train.layout import PREPARED
from train.release.verify.integrity import completeness, hub_notes, integrity, manifest, unsafe
from train.release.verify.result import MOST_OPERATIONS, NotChecked, Result, Status, against
from train.terminal import of_the_machine
from train.unicode import harmless

Level = Literal["quick", "full", "deep", "sources"]
Check = Callable[[Any], Iterable[str]]
ALLOWED = (*programs.COMPUTING, *programs.OWN, *programs.NETWORK)  # of the environment, to the process that checks
SHOWN = 3  # problems of one check


def verify(path: Path, level: Level, only: Collection[str] = (), **where: Any) -> list[Result]:
    """Run the checks of `level`, or those named in `only`; UserError where there is no release or no such check."""
    return list(results(path, level, only, lambda names: None, **where))


def require(path: Path, level: Level, only: Collection[str] = (), why: str = "") -> None:
    """Refuse, with UserError, a release that fails a check; each line begins with `why`."""
    if failures := against(verify(path, level, only)):
        raise UserError("\n".join(f"{why}{result.name}: {result.detail}" for result in failures))


def results(
    path: Path, level: Level, only: Collection[str], announce: Callable[[list[str]], None], **where: Any
) -> Iterator[Result]:
    """What `verify` finds, check by check, after `announce` was told the names of all that will run."""
    if (path / "MANIFEST.json").is_symlink():
        raise UserError(f"{path}: its files are links, as in the cache of the hub's client: download with --local-dir")
    if not path.is_dir():
        raise UserError(f"{path}: not a release: it is {'a file' if path.is_file() else 'not there'}; give the folder")
    if not (path / "MANIFEST.json").is_file():
        raise UserError(f"{path}: not a release: it has no MANIFEST.json; give the folder that holds one")
    manifest(path)
    quick: tuple[Check, ...] = (integrity, completeness)
    deeper: tuple[Check, ...] = ()
    if level != "quick":
        from train.release.verify.checks import CHECKS, DEEP, SOURCED

        deeper = CHECKS + {"deep": DEEP, "sources": SOURCED}.get(level, ())
    known = [check.__name__ for check in quick + deeper]
    for name in sorted(set(only) - set(known)):
        raise UserError(f"'{name}' is no check of this level{did_you_mean(name, known)}; they are {', '.join(known)}")
    quick, deeper = (tuple(each for each in kind if not only or each.__name__ in only) for kind in (quick, deeper))
    announce([check.__name__ for check in quick + deeper])
    for check in quick:
        result = _run(check, path.resolve(), path)
        beside = hub_notes(path) if check is integrity and result.ok else []
        yield replace(result, detail="".join(beside)) if beside else result
    if deeper and unsafe(path):  # reading on could lead anywhere, or never end
        yield from (Result(check.__name__, "not checked", "not run: see integrity") for check in deeper)
    elif deeper:
        from train.release.view import Release
        from train.training.numerics import prepare

        with tempfile.TemporaryDirectory() as scratch:
            release = Release(path.resolve(), Path(scratch), whole=level == "deep", **where)
            prepare(release.world.machine)
            yield from (_run(check, release, path) for check in deeper)


def _run(check: Check, subject: Any, path: Path) -> Result:
    notes: list[str] = getattr(subject, "notes", [])
    notes.clear()
    status: Status | None = None
    problems: list[str] = []
    try:
        problems.extend(check(subject))  # what was found stands, whatever comes after it
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # libraries written in Rust raise panics that are no Exception
        lack = of_the_machine(error)
        status = "not checked" if not problems and (lack or isinstance(error, NotChecked)) else None
        plain = isinstance(error, NotChecked | UserError)
        words = str(error) if plain else f"could not be checked: {type(error).__name__}: {str(error)[:200]}"
        problems.append(lack or words)
    more = f" (and {len(problems) - SHOWN} more)" if len(problems) > SHOWN else ""
    text = " ".join("; ".join((problems or notes)[:SHOWN]).replace(f"{path.resolve()}/", "").split()) + more
    return Result(check.__name__, status or ("fails" if problems else "holds"), harmless(text))


# Isolated ------------------------------------------------------------------------------------------------------------


def costs(release: Path, only: Collection[str] = (), level: Level = "full") -> list[str]:
    """What the checks that compute most would take, as shares of the training, as far as there are records of it."""
    try:
        flops, seen = (read_json(release / "provenance/facts.json", at) for at in ("/flops", "/tokens_seen"))
        held_out = read_json(release / "data/tokens.json", "/held_out/tokens")
        steps = read_json(release / "code/config.json", "/training/steps")
        operations = {"scores": flops / seen / 3 * held_out, "optimizer_state": flops / steps}
        shares = ", ".join(f"{name} {count:.1e} ({count / flops:.2%} of the training)"
                           for name, count in operations.items() if name in (only or operations))  # fmt: skip
        bound = f"above {MOST_OPERATIONS:.0e}, a sample or not checked (--deep: all)"
        lines = [f"{shares} floating-point operations; {bound}"] if shares else []
        if level == "sources":
            took = {name: read_json(release / f"logs/{name}/run.json", "/seconds") for name in (*PREPARED, "weights")}
            seconds = sum(took[name] for name in PREPARED)
            share = f"{seconds / took['weights']:.0%} of the seconds of the training"
            lines.append(f"prepared {seconds:.0f} s on the machine that made it, {share}, and what is fetched")
        return lines
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError, UserError):
        return []


def isolated(command: list[str], minutes: float, say: Callable[[Result], None]) -> list[Result]:
    """What the checks find that `command` runs and tells line by line, a process of its own, whatever it comes to.

    `say` is told of each result at once. Raises UserError, with the process's own words, when nothing could be checked.
    """
    results: list[Result] = []

    def keep(result: Result) -> None:
        results.append(result)
        say(result)

    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile() as errors,
        programs.started(command, Path(folder), programs.environment(*ALLOWED, TMPDIR=folder), errors) as process,
    ):
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        clock = threading.Timer(minutes * 60, stop)
        clock.daemon = True  # or an interrupt here would be waited for
        clock.start()
        lines = iter(process.stdout or ())
        names = json.loads(next(lines, b"[]"))
        for line in lines:
            keep(Result(*json.loads(line)))
        process.wait()  # for its last words
        clock.cancel()
        errors.seek(0)
        words = harmless(" ".join(errors.read()[-4000:].decode(errors="replace").split()))
    if not names:
        raise UserError(words.removeprefix("error: ") or f"the checks ended with status {process.returncode}")
    why = f"ended the checks, with status {process.returncode} {words}"
    why = f"not done in {minutes:g} minutes" if late.is_set() else why
    for name in names[len(results) :]:
        keep(Result(name, "not checked", why))
        why = "not run"
    return results
