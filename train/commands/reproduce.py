"""`pellucid reproduce`: a release is made again from itself alone, and compared stage by stage.

It runs the code that the release holds, in an environment made from its lock, on sources fetched anew by digest, in a
sandbox if there is bubblewrap. Run again, it goes on from what was made.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from train.compose import machine_of
from train.config import plain
from train.data.sources.places import at_home
from train.initial import FOLDER
from train.layout import PREPARED
from train.release.attest import statements
from train.release.bounds import limit_memory, require_plain
from train.release.bundle import other_files
from train.release.cards import templates
from train.release.prove import reproduce, sandbox
from train.release.standards.osaid import ladder
from train.release.verify.run import require
from train.terminal import note

STATUS = {"bit-identical": 0, "differs": 1}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the release again; the report of what came out. Raises UserError when it cannot be begun."""
    machine = machine_of(args.machine)
    cache = at_home(machine.cache).absolute() if args.use_cache else Path("cache")
    release = args.release.resolve()
    require(release, "quick")
    key = statements.signer(args.attest, release) if args.attest else None
    home = reproduce.home(release, args.into)
    note(f"everything is made in {home}")
    code = reproduce.unpack(release, home)
    other = other_files(home)
    note(reproduce.notice(other))
    note(f"it runs {f'in no sandbox: {sandbox.missing()}' if sandbox.missing() else 'in a sandbox, by bubblewrap'}")
    python = sys.executable if args.here else reproduce.environment(code / "requirements.lock", home, note)
    options = ["--config", str(release / "code" / "config.json"), "machine.runs=runs", "machine.releases=releases"]
    options += [f"machine.cache={cache}"]
    if (release / FOLDER).is_dir():
        options += [f"machine.init_from={release / FOLDER}"]
    if args.from_release_data:
        options += ["--given", str(reproduce.give(release, home))]
    script, known = code / "scripts" / "run.py", [cache] * (args.use_cache and cache.is_dir())
    status = reproduce.command(python, script, *options, *args.machine, home=home, readable=[release], also=known)
    require_plain(home / "runs")
    limit_memory(release, home / "runs")
    ready = PREPARED if args.from_release_data else ()
    report = reproduce.compare(release, home / "runs", ready, other)
    holds = {"bit-identical": True, "bit-identical, by other code": None, "differs": False}
    if key and (verdict := report["verdict"]) in holds:
        stated = {**plain(report), "given": list(ready)}
        note(f"statement  {statements.attest(release, 'reproduce', holds[verdict], stated, key)}")
    return {"release": str(args.release), "folder": str(home), "exit_status": status, **report}


def lines(report: dict[str, Any], args: argparse.Namespace) -> list[str]:
    """The report for people: a line a stage, what differs below it, the verdict, and what that rests on."""
    stages, doubt = report["stages"], reproduce.doubt(report["other_code"])
    taken = [name for name, stage in stages.items() if stage.status == "taken from the release"]
    page = templates.lines("reproduce.jinja", report=report, taken=taken, doubt=doubt)
    return [*page, *ladder(str(args.release), reproduce.outcomes(report["verdict"], stages))]


def status(report: dict[str, Any]) -> int:
    return STATUS.get(report["verdict"], 2)
