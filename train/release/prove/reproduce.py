"""Proof: from a release alone everything is made again, and compared stage by stage, file by file.

What is made again is made by the release's own code, in an environment of its own; every digest that is compared is
taken by this code, of the files themselves. Code that is not this clone's could write whatever it likes, so what it
makes proves nothing before somebody has read it, and the verdict says so.
"""

import shutil
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from train import programs
from train.artifact import WITNESS, file_digest, read_manifest, whole_folder, write_bytes
from train.data.sources.pypi import settings
from train.differences import first_difference
from train.errors import UserError
from train.initial import identity_of
from train.layout import ARTIFACTS, PREPARED, placed
from train.release.bundle import manifest_of
from train.release.differences import files_apart, products_apart
from train.release.lock import install
from train.release.prove.sandbox import confined
from train.release.standards.osaid import RUNGS
from train.release.verify.integrity import manifest
from train.unicode import harmless

MOST = 20  # files of the code that are shown


def home(release: Path, into: Path | None) -> Path:
    """The folder, `into` or one named after the identity, in which this release and no other is made again."""
    identity = identity_of(release)
    folder = (into or Path("runs") / f"reproduce-{identity[:8]}").resolve()
    if (folder / "identity").exists() and (folder / "identity").read_text() != identity:
        raise UserError(f"{folder}: another release is made again there; name another folder with --into")
    begun = (folder / "identity").exists() or (folder / "code/config.json").is_file()
    others = [name for name in ("code", "venv", "given") if (folder / name).exists()]
    if others and not begun:  # each would be removed first
        raise UserError(f"{folder}: holds {others[0]}, which no reproduction made; name a new folder with --into")
    write_bytes(folder / "identity", identity.encode())
    return folder


def notice(other: Sequence[str]) -> str:
    """What is about to be run, for the person at the terminal, with the files that are `other` than this clone's."""
    if not other:
        return "what runs is the release's code, which is that of this clone, file by file"
    return f"WARNING: what runs is the release's code; {unlike(other)}"


def unlike(other: Sequence[str]) -> str:
    names = ", ".join(map(harmless, other[:MOST])) + (" ..." if len(other) > MOST else "")
    return f"{len(other)} files of it are not as in this clone: {names}"


def doubt(other: Sequence[str]) -> str:
    """What is said in the place of a proof."""
    remedy = "use a clone at the release's commit, or read these files: they could write whatever they like"
    return f"not proved: of the code that ran, {unlike(other)}; {remedy}"


@dataclass(frozen=True)
class Stage:
    """How an artifact that was made again compares."""

    status: Literal["identical", "differs", "not made", "taken from the release"]
    differences: list[str]


def outcomes(verdict: str, stages: Mapping[str, Stage]) -> dict[str, str]:
    """What a report establishes, by rung. Made from the sources on, by known code, it shows the lower rungs as well."""
    whole = all(stage.status == "identical" for stage in stages.values())
    if verdict == "bit-identical":
        names = [rung.name for rung in RUNGS[:-1]] if whole else ["intact", "trained"]
        return dict.fromkeys(names, "holds")
    return {"intact": "holds", "made again": "FAILS" if verdict == "differs" else "not checked"}


def unpack(release: Path, home: Path) -> Path:
    """A copy of the release's source code, with the config that it was run with; returns where it is."""
    code = home / "code"
    shutil.rmtree(code, ignore_errors=True)
    with whole_folder(code) as aside:
        shutil.copytree(release / "code", aside, dirs_exist_ok=True)
    return code


def environment(lock: Path, home: Path, say: Callable[[str], None]) -> str:
    """A virtual environment with exactly what the lock names, made once below `home`; returns its interpreter."""
    folder, wanted = home / "venv", file_digest(lock)
    complete = folder / "complete"
    if not complete.is_file() or complete.read_text() != wanted:
        say(f"environment from the release's lock: {folder} (this fetches its packages)")
        shutil.rmtree(folder, ignore_errors=True)
        install(lock, folder)
        write_bytes(complete, wanted.encode())
    return str(folder / "bin" / "python")


def give(release: Path, home: Path) -> Path:
    """A folder with the artifacts that the released documents stand for: manifests, and links into the release."""
    ready = home / "given"
    shutil.rmtree(ready, ignore_errors=True)
    for name in PREPARED:
        path = release / "provenance" / f"{name}.json"
        links = {ready / name / "manifest.json": path, ready / name / WITNESS: release / "logs" / name}
        for product in read_manifest(path).products:
            if (place := placed(name, product)) and (release / place).is_file():
                links[ready / name / product] = release / place
        for link, target in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target.resolve())
    return ready


def command(
    python: str, script: Path, *arguments: str, home: Path, readable: Collection[Path] = (), also: Collection[Path] = ()
) -> int:
    """Run a script of the release's code in `home`; its words go to the error stream. Returns its exit status.

    It gets a home folder of its own, none of the caller's tokens and keys, and where there is a sandbox, it can read
    `readable` alone of what is people's, and write to `home` and `also`.
    """
    for name in ("user", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    # The repository that may be around `home` is not the code's.
    own = {"HOME": str(home / "user"), "TMPDIR": str(home / "tmp"), "GIT_CEILING_DIRECTORIES": str(home)}
    own |= {"PIP_CONFIG_FILE": "/dev/null", **settings()}
    line = confined(programs.script(python, script, *arguments), readable, [home, *also])
    env = programs.without_credentials(programs.environment(*programs.COMPUTING, *programs.NETWORK, **own))
    return programs.run(line, home, env, out=sys.stderr).returncode


# What came out ------------------------------------------------------------------------------------------------------


def compare(release: Path, runs: Path, ready: Collection[str], other: Collection[str] = ()) -> dict[str, Any]:
    """What stands in `runs`, made by code of which `other` is not ours, against the release, as plain data."""
    recorded, stages = manifest(release), dict[str, Stage]()
    for name in ARTIFACTS:
        artifact = None if name in ready else _artifact(runs, name)
        stages[name] = _stage(artifact_apart(release, name, artifact) if artifact else None)
    stages |= {name: Stage("taken from the release", []) for name in ready}
    packed = _artifact(runs, "release")
    again = manifest_of(packed / "release") if packed else None
    stages["release"] = _stage(files_apart(recorded.products, again.products) if again else None)
    first = next((f"{name}: {line}" for name, stage in stages.items() for line in stage.differences), None)
    if first is None:
        same = "bit-identical, by other code" if other else "bit-identical"
        verdict = same if again and again.identity == recorded.identity else "not complete"
    else:  # outside `exact` the recorded stack is part of what is promised
        verdict = "not comparable" if first.startswith("weights: config.stack") else "differs"
    return {
        "verdict": verdict, "identity": recorded.identity, "made": again.identity if again else None, "first": first,
        "other_code": sorted(other), "stages": stages,
    }  # fmt: skip


def _stage(differences: list[str] | None) -> Stage:
    return Stage("not made" if differences is None else "differs" if differences else "identical", differences or [])


def artifact_apart(release: Path, name: str, folder: Path) -> list[str]:
    """What of an artifact is not as the release records it and, where it holds it, as it stands there."""
    recorded, rebuilt = read_manifest(release / "provenance" / f"{name}.json"), read_manifest(folder / "manifest.json")
    lines = [first_difference(getattr(recorded, part), getattr(rebuilt, part), part) for part in ("config", "code")]
    return [line for line in lines if line] + products_apart(release, name, folder)


def _artifact(runs: Path, name: str) -> Path | None:
    return next((path for path in sorted(runs.glob(f"{name}-*")) if not path.suffix and path.is_dir()), None)
