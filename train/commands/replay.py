"""`pellucid replay`: segments of a release are trained again, and must reach each next checkpoint.

It trains with the code of this clone if that is the code that trained; `--release-code` runs what the release holds.
"""

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train import pipeline
from train.artifact import whole_folder
from train.compose import machine_of
from train.errors import UserError
from train.machine import Machine
from train.release.attest import statements
from train.release.bounds import confine, limit_time, require_plain
from train.release.bundle import model_of, other_files
from train.release.cards import templates
from train.release.prove import replay, reproduce
from train.release.standards.osaid import ladder
from train.release.verify.run import require
from train.terminal import note

MINUTES = 24 * 60  # that a segment may take


@dataclass(frozen=True)
class Report:
    """What came of the segments that were made again."""

    release: str
    holds: bool | None  # None: by other code than this clone's, which proves nothing yet
    segments: list[replay.Part]
    other_code: list[str]
    count: int  # of the segments to choose from
    chosen: str  # how
    nonce: str | None
    missed: str | None  # with what probability, see `replay.Choice`
    seconds: float


@dataclass(frozen=True)
class Reached:
    """Where the checkpoint is that a segment reached, which another program is to compare."""

    holds: bool
    into: str


def run(args: argparse.Namespace) -> Report | Reached:
    """Train the segments and compare. Raises UserError when that cannot be done."""
    began, release, machine = time.monotonic(), args.release.resolve(), machine_of(args.machine)
    if args.into:  # as the other program of `elsewhere`
        every, number = replay.segments(release), args.segment or 0
        if not 0 <= number < len(every):
            raise UserError(f"--segment {number}: those that are trained are 0 to {len(every) - 1}")
        with whole_folder(args.into) as out:
            replay.retrain(release, every[number], out, machine, pipeline.environment())
        return Reached(True, str(args.into))
    confine(release, minutes=MINUTES, memory=machine.device == "cpu")
    require(release, "quick")
    several = None if args.all or args.segment is not None else args.segments
    choice = replay.choose(release, args.segment, several, args.nonce)
    limit_time(MINUTES * len(choice.numbers))
    key = statements.signer(args.attest, release) if args.attest else None
    model_of(release)  # whose weights fit the config: before memory is asked for, and time
    if not args.release_code:
        weights = next(stage for stage in pipeline.STAGES if stage.name == "weights")
        replay.require_same_code(release, pipeline.code(weights))
    how_chosen = f"drawn with the nonce {choice.nonce!r}" if choice.nonce else "all" if args.all else "asked for"
    other = other_files(release) if args.release_code else []
    if args.release_code:
        note(reproduce.notice(other))
    note(f"cost: {replay.cost(release, choice.numbers)}")
    parts = [one(args, release, number, machine, how_chosen) for number in choice.numbers]
    report = Report(
        str(args.release), replay.holds([part.holds for part in parts], other), parts, other, choice.count, how_chosen,
        choice.nonce, choice.missed, round(time.monotonic() - began, 1),
    )  # fmt: skip
    if key:
        attest(release, report, key)
    return report


def one(args: argparse.Namespace, release: Path, number: int, machine: Machine, chosen: str) -> replay.Part:
    """The report on one segment."""
    every = replay.segments(release)
    with tempfile.TemporaryDirectory() as scratch:
        if number == len(every):
            note(f"segment {number}, {chosen}: evaluation of the last checkpoint")
            return replay.evaluate(release, Path(scratch))
        segment, out = every[number], Path(scratch) / "out"
        note(f"segment {number}, {chosen}: steps {segment.start + 1} to {segment.end}")
        if args.release_code:
            elsewhere(args, release, segment, out)
        else:
            replay.retrain(release, segment, out, machine, pipeline.environment())
        return replay.compare(release, segment, out, machine)


def attest(release: Path, report: Report, key: Any) -> None:
    """Sign what came out, with the nonce that the segments were drawn by."""
    stated = ("segment", "steps", "compared", "problems", "cause")
    parts = [{name: getattr(part, name) for name in stated} for part in report.segments]
    command = f"replay of {len(parts)} of {report.count} segments"
    named = ("count", "chosen", "nonce", "missed", "other_code")
    signed = {**{name: getattr(report, name) for name in named}, "segments": parts}
    note(f"statement  {statements.attest(release, command, report.holds, signed, key)}")


def elsewhere(args: argparse.Namespace, release: Path, segment: Any, out: Path) -> None:
    """Train the segment by the release's own code, which is not shown the checkpoint that it has to reach."""
    python = sys.executable
    if not args.here:
        python = reproduce.environment(release / "code/requirements.lock", reproduce.home(release, None), note)
    known = out.parent / "known"
    origin = segment.origin and segment.origin.name

    def ahead(folder: str, names: list[str]) -> list[str]:
        final = ["model.safetensors"] if Path(folder) == release else []
        return final + [name for name in names if name.startswith("step-") and name != origin]

    shutil.copytree(release, known, ignore=ahead)
    readable = [Path(python).parents[1]]  # the environment, wherever it is
    options = ["--segment", str(segment.number), "--into", str(out), *args.machine]
    if reproduce.command(
        python, known / "code/scripts/replay.py", str(known), *options, home=out.parent, readable=readable
    ):
        raise UserError("the code that the release holds could not train the segment: see above")
    require_plain(out)


def lines(report: Report | Reached, args: argparse.Namespace) -> list[str]:
    """The report for people: the verdict on each segment, how far all of them together go, and what that shows."""
    if isinstance(report, Reached):
        return [f"what was reached is in {report.into}"]
    doubt = reproduce.doubt(report.other_code) if report.other_code else ""
    page = templates.lines("replay.jinja", report=report, doubt=doubt)
    return [*page, *ladder(report.release, replay.outcomes(report.holds, report.missed))]


def status(report: Report | Reached) -> int:
    return {True: 0, False: 1, None: 2}[report.holds]
