"""Make a release again and compare: `python scripts/reproduce.py RELEASE [--from-release-data] [machine.threads=2]`.

It runs the code that the release holds, in an environment made from its lock, on sources fetched anew by digest, in a
sandbox if there is bubblewrap; look at the code before you do. Run again, it goes on from what was made. Exit status: 0
bit-identical, 1 something differs, 2 it could not be checked to the end, or the code that ran is not this clone's.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from run import how  # type: ignore[import-not-found]

from train.release.standards.osaid import ladder
from train.terminal import reported

SHOWN = 5  # differences of one stage


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    parser.add_argument("--from-release-data", action="store_true", help="start from the released documents")
    parser.add_argument("--use-cache", action="store_true", help="take sources from the cache of downloads if there")
    parser.add_argument("--here", action="store_true", help="in the environment of this command, not in a new one")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where everything is made")
    parser.add_argument("--attest", type=Path, metavar="KEY", help="sign what came out, in a file beside the release")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("machine", nargs="*", metavar="machine.KEY=VALUE", help="how to compute")
    arguments = parser.parse_intermixed_args()
    status = {"bit-identical": 0, "differs": 1}
    return reported(reproduced, arguments, lines, lambda report: status.get(report["verdict"], 2))


def reproduced(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the release again; the report of what came out. Raises UserError when it cannot be begun."""
    from train.release.attest import dsse, statements
    from train.release.prove import reproduce, sandbox

    cache = Path(how(arguments.machine)["machine"]["cache"]).expanduser().absolute()
    release = arguments.release.resolve()
    reproduce.require_whole(release)
    key = dsse.private_key(arguments.attest) if arguments.attest else None
    home = reproduce.home(release, arguments.into)
    say(f"everything is made in {home}")
    code = reproduce.unpack(release, home)
    other = reproduce.other_files(home)
    say(reproduce.notice(other))
    say(f"it runs {f'in no sandbox: {sandbox.missing()}' if sandbox.missing() else 'in a sandbox, by bubblewrap'}")
    python = sys.executable if arguments.here else reproduce.environment(code / "requirements.lock", home, say)
    options = ["--config", str(release / "code" / "config.json"), "machine.runs=runs", "machine.releases=releases"]
    options += [f"machine.cache={cache if arguments.use_cache else 'cache'}"]
    if arguments.from_release_data:
        options += ["--given", str(reproduce.give(release, home))]
    script, known = code / "scripts" / "run.py", [cache] * (arguments.use_cache and cache.is_dir())
    status = reproduce.command(python, script, *options, *arguments.machine, home=home, readable=[release], also=known)
    given = reproduce.GIVEN if arguments.from_release_data else ()
    report = reproduce.compare(release, home / "runs", given, other)
    holds = {"bit-identical": True, "bit-identical, by other code": None, "differs": False}
    if key and report["verdict"] in holds:
        told = {**report, "given": list(given)}
        say(f"statement  {statements.attest(release, 'reproduce', holds[report['verdict']], told, key)}")
    return {"release": str(arguments.release), "folder": str(home), "exit_status": status, **report}


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people: a line a stage, what differs below it, and the verdict."""
    found = []
    for name, stage in report["stages"].items():
        found.append(f"{name:<10} {stage['status']}")
        found += [f"           {line}" for line in stage["differences"][:SHOWN]]
        if len(stage["differences"]) > SHOWN:
            found.append(f"           and {len(stage['differences']) - SHOWN} more")
    given = [name for name, stage in report["stages"].items() if stage["status"] == "taken from the release"]
    since = f", from the released documents on: {', '.join(given)} were not made again" if given else ""
    from train.release.prove import reproduce

    verdict = f"{report['verdict']}{since}"
    return [*found, verdict, *endings(report), *ladder(report["release"], reproduce.outcomes(report))]


def endings(report: dict[str, Any]) -> list[str]:
    """What the verdict rests on: what differs first, where it stopped, whose code ran."""
    from train.release.prove import reproduce

    if report["verdict"] == "bit-identical":
        return [f"identity   {report['identity']}"]
    if report["verdict"] == "not complete":
        return [
            f"the run ended with status {report['exit_status']}: see above. The same command goes on from what was "
            "made; when a source is gone, --from-release-data starts from the released documents"
        ]
    if not report["first"]:
        return [reproduce.doubt(report["other_code"])]
    promise = "; outside `exact`, bits are promised on the recorded stack alone"
    return [f"first      {report['first']}{promise if report['verdict'] == 'not comparable' else ''}"]


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
