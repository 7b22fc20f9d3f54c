"""Train segments of a release again: `python scripts/replay.py RELEASE [--segments N | --all] [machine.threads=2]`.

Exit status: 0 each next checkpoint is reached, 1 something differs, 2 it cannot be checked, or was by other code alone.
Which segments is drawn from the release's identity and a nonce, made of the system's randomness unless one is given.
The last segment is the evaluation of the last checkpoint. It trains with the code of this clone if that is the code
that trained; `--release-code` runs what the release holds, in an environment made from its lock, and names its files
that are not this clone's: look at them before you do.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from run import how  # type: ignore[import-not-found]

from train.config import build
from train.errors import UserError
from train.letters import harmless
from train.release.standards.osaid import ladder
from train.terminal import reported

MINUTES = 24 * 60  # that a segment may take
SHOWN = 8  # differences of the environment


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--segment", type=int, metavar="K", help="from checkpoint K to K + 1; 0: the initial weights")
    which.add_argument("--segments", type=int, default=1, metavar="N", help="so many, drawn (default: %(default)s)")
    which.add_argument("--all", action="store_true", help="every segment, and the evaluation")
    parser.add_argument("--nonce", metavar="TEXT", help="a word to draw by, unknown to whoever published")
    parser.add_argument("--release-code", action="store_true", help="train with the code that the release holds")
    parser.add_argument("--here", action="store_true", help="with --release-code: in the environment of this command")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="train only, and leave in FOLDER what is reached")
    parser.add_argument("--attest", type=Path, metavar="KEY", help="sign what came out, in a file beside the release")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("machine", nargs="*", metavar="machine.KEY=VALUE", help="how to compute")
    arguments = parser.parse_intermixed_args()
    return reported(replayed, arguments, lines, lambda report: {True: 0, False: 1}.get(report["holds"], 2))


def replayed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train the segments and compare; the report. Raises UserError when that cannot be done."""
    from train import pipeline
    from train.machine import Machine
    from train.release.attest import dsse
    from train.release.bounds import confine, limit_time
    from train.release.bundle import model_of
    from train.release.prove import replay, reproduce

    began, release, machine = time.monotonic(), arguments.release.resolve(), how(arguments.machine)["machine"]
    if arguments.into:  # as the other program of `elsewhere`
        segment = replay.segments(release)[arguments.segment or 0]
        replay.retrain(release, segment, arguments.into, build(Machine, machine), pipeline.environment())
        return {"holds": True, "into": str(arguments.into)}
    confine(release, minutes=MINUTES, memory=machine["device"] == "cpu")
    reproduce.require_whole(release)
    several = None if arguments.all or arguments.segment is not None else arguments.segments
    choice = replay.choose(release, arguments.segment, several, arguments.nonce)
    limit_time(MINUTES * len(choice.numbers))
    key = dsse.private_key(arguments.attest) if arguments.attest else None
    model_of(release)  # whose weights fit the config: before memory is asked for, and time
    if not arguments.release_code:
        weights = next(stage for stage in pipeline.STAGES if stage.name == "weights")
        replay.require_same_code(release, pipeline.code(weights))
    how_chosen = f"drawn with the nonce {choice.nonce!r}" if choice.nonce else "all" if arguments.all else "asked for"
    other = reproduce.other_files(release) if arguments.release_code else []
    if arguments.release_code:
        say(reproduce.notice(other))
    parts = [one(arguments, release, number, build(Machine, machine), how_chosen) for number in choice.numbers]
    report = {
        "release": str(arguments.release),
        "holds": replay.holds(parts, other),
        "segments": parts,
        "other_code": other,
        "count": choice.count,
        "chosen": how_chosen,
        "nonce": choice.nonce,
        "missed": choice.missed,
    }
    if key:
        attest(release, report, key)
    return {**report, "seconds": round(time.monotonic() - began, 1)}


def one(arguments: argparse.Namespace, release: Path, number: int, machine: Any, chosen: str) -> dict[str, Any]:
    """The report on one segment."""
    from train import pipeline
    from train.release.prove import replay

    every = replay.segments(release)
    with tempfile.TemporaryDirectory() as scratch:
        if number == len(every):
            say(f"segment {number}, {chosen}: evaluation of the last checkpoint")
            return replay.evaluate(release, Path(scratch))
        segment, out = every[number], Path(scratch) / "out"
        say(f"segment {number}, {chosen}: steps {segment.start + 1} to {segment.end}")
        if arguments.release_code:
            elsewhere(arguments, release, segment, out)
        else:
            replay.retrain(release, segment, out, machine, pipeline.environment())
        return replay.compare(release, segment, out, machine)


def attest(release: Path, report: dict[str, Any], key: Any) -> None:
    """Sign what came out, with the nonce that the segments were drawn by."""
    from train.release.attest import statements

    told = ("segment", "steps", "compared", "problems", "cause")
    parts = [{name: part[name] for name in told} for part in report["segments"]]
    command = f"replay of {len(parts)} of {report['count']} segments"
    named = ("count", "chosen", "nonce", "missed", "other_code")
    signed = {**{name: report[name] for name in named}, "segments": parts}
    say(f"statement  {statements.attest(release, command, report['holds'], signed, key)}")


def elsewhere(arguments: argparse.Namespace, release: Path, segment: Any, out: Path) -> None:
    """Let the release's code train, without what it has to reach."""
    from train.release.prove import reproduce

    python = sys.executable
    if not arguments.here:
        python = reproduce.environment(release / "code/requirements.lock", reproduce.home(release, None), say)
    known = out.parent / "known"
    origin = segment.origin and segment.origin.name

    def ahead(folder: str, names: list[str]) -> list[str]:
        final = ["model.safetensors"] if Path(folder) == release else []
        return final + [name for name in names if name.startswith("step-") and name != origin]

    shutil.copytree(release, known, ignore=ahead)
    readable = [Path(python).parents[1]]  # the environment, wherever it is
    options = ["--segment", str(segment.number), "--into", str(out), *arguments.machine]
    if reproduce.command(
        python, known / "code/scripts/replay.py", str(known), *options, home=out.parent, readable=readable
    ):
        raise UserError("the code that the release holds could not train the segment: see above")


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people: the verdict on each segment, how far all of them together go, and what that shows."""
    from train.release.prove import replay, reproduce

    if "into" in report:
        return [f"what was reached is in {report['into']}"]
    parts = [line for part in report["segments"] for line in segment_lines(part)]
    extent = f"{len(report['segments'])} of {report['count']} segments, {report['chosen']}, in {report['seconds']} s"
    missed = f"; a single false one would have been missed with probability {report['missed']}"
    extent += ": of the others this says nothing" if report["missed"] is None else missed
    doubts = [reproduce.doubt(report["other_code"])] if report["other_code"] else []
    return [*parts, extent, *doubts, *ladder(report["release"], replay.outcomes(report))]


def segment_lines(part: dict[str, Any]) -> list[str]:
    """The verdict on a segment, what differs, why, and in which environment."""
    steps = part["steps"]
    span = f"segment {part['segment']}, {f'steps {steps[0] + 1} to {steps[1]}' if steps else 'the evaluation'}"
    verdict = "holds" if part["holds"] else "DIFFERS"
    found = [f"{verdict}  {span}: {part['compared']}, {part['training_seconds']} s"]
    found += [f"         {line}" for line in part["problems"]]
    if part["holds"]:
        return found
    unlike = [f"{name} {a} there, {b} here" for name, (a, b) in part["environment"].items()]
    more = f"; and {len(unlike) - SHOWN} more" if len(unlike) > SHOWN else ""
    environment = f"environment: {'; '.join(unlike[:SHOWN]) or 'the same'}{more}"
    return [*found, f"         {part['cause']}", *([f"         {environment}"] if steps else [])]


def say(line: str) -> None:
    print(harmless(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
