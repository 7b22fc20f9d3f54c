"""Train a segment of a release again: `python scripts/replay.py RELEASE [--segment K] [machine.threads=2]`.

Exit status: 0 the next checkpoint is reached, 1 something differs, 2 it cannot be checked. Without `--segment` it is
drawn from the release's identity and the nonce. It trains with the code of this clone if that is the code that trained;
`--release-code` runs the code that the release holds, in an environment made from its lock: look at it before you do.
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

from train.config import UserError, build
from train.terminal import harmless, reported

MINUTES = 24 * 60  # that a segment may take
SHOWN = 8  # differences of the environment


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    parser.add_argument("--segment", type=int, metavar="K", help="from checkpoint K to K + 1; 0: the initial weights")
    parser.add_argument("--nonce", default="", metavar="TEXT", help="draws another segment")
    parser.add_argument("--release-code", action="store_true", help="train with the code that the release holds")
    parser.add_argument("--here", action="store_true", help="with --release-code: in the environment of this command")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="train only, and leave in FOLDER what is reached")
    parser.add_argument("--attest", type=Path, metavar="KEY", help="sign what came out, in a file beside the release")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("machine", nargs="*", metavar="machine.KEY=VALUE", help="how to compute")
    arguments = parser.parse_intermixed_args()
    return reported(replayed, arguments, lines, lambda report: 0 if report["holds"] else 1)


def replayed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a segment and compare; the report. Raises UserError when that cannot be done."""
    from train import pipeline
    from train.machine import Machine
    from train.release import envelopes, partial, replay, reproduce, statements
    from train.release.bounds import confine
    from train.release.bundle import model_of

    began, release, machine = time.monotonic(), arguments.release.resolve(), how(arguments.machine)["machine"]
    if arguments.into:  # as the other program of `elsewhere`
        segment = replay.segments(release)[arguments.segment or 0]
        replay.retrain(release, segment, arguments.into, build(Machine, machine), pipeline.environment())
        return {"holds": True, "into": str(arguments.into)}
    confine(release, minutes=MINUTES, memory=machine["device"] == "cpu")
    reproduce.require_whole(release)
    partial.require_full(release)
    segments = replay.segments(release)
    key = envelopes.private_key(arguments.attest) if arguments.attest else None
    model_of(release)  # whose weights fit the config: before memory is asked for, and time
    segment, chosen = replay.chosen(release, segments, arguments.segment, arguments.nonce)
    weights = next(stage for stage in pipeline.STAGES if stage.name == "weights")
    if not arguments.release_code:
        replay.require_same_code(release, pipeline.code(weights))
    say(f"segment {segment.number}, {chosen}: steps {segment.start + 1} to {segment.end}")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        if arguments.release_code:
            elsewhere(arguments, release, segment, out)
        else:
            replay.retrain(release, segment, out, build(Machine, machine), pipeline.environment())
        report = replay.compare(release, segment, out, build(Machine, machine))
    if key:
        told = {name: report[name] for name in ("segment", "steps", "compared", "problems", "cause")}
        command = f"replay of segment {segment.number}"
        say(f"statement  {statements.attest(release, command, report['holds'], told, key)}")
    return {**report, "chosen": chosen, "seconds": round(time.monotonic() - began, 1)}


def elsewhere(arguments: argparse.Namespace, release: Path, segment: Any, out: Path) -> None:
    """Let the release's code train, without what it has to reach."""
    from train.release import reproduce

    say("WARNING: what trains is the code that the release holds")
    python = sys.executable
    if not arguments.here:
        python = reproduce.environment(release / "code/requirements.lock", reproduce.home(release, None), say)
    known = out.parent / "known"
    origin = segment.origin and segment.origin.name

    def ahead(folder: str, names: list[str]) -> list[str]:
        final = ["model.safetensors"] if Path(folder) == release else []
        return final + [name for name in names if name.startswith("step-") and name != origin]

    shutil.copytree(release, known, ignore=ahead)
    options = ["--segment", str(segment.number), "--into", str(out), *arguments.machine]
    if reproduce.command(python, known / "code/scripts/replay.py", str(known), *options, home=known):
        raise UserError("the code that the release holds could not train the segment: see above")


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people: the verdict, what differs, why, and in which environment."""
    if "into" in report:
        return [f"what was reached is in {report['into']}"]
    span = f"segment {report['segment']}, steps {report['steps'][0] + 1} to {report['steps'][1]}"
    beyond = report["seconds"] - report["training_seconds"]
    found = [
        f"{'holds' if report['holds'] else 'DIFFERS'}  {span}: {report['compared']}, "
        f"{report['training_seconds']} s of training and {beyond:.1f} s beside it"
    ]
    found += [f"         {line}" for line in report["problems"]]
    if report["holds"]:
        return found
    found.append(f"         {report['cause']}")
    unlike = [f"{name} {a} there, {b} here" for name, (a, b) in report["environment"].items()]
    more = f"; and {len(unlike) - SHOWN} more" if len(unlike) > SHOWN else ""
    return [*found, f"         environment: {'; '.join(unlike[:SHOWN]) or 'the same'}{more}"]


def say(line: str) -> None:
    print(harmless(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
