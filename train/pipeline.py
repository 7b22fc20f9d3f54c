"""The pipeline is a table: the artifact, the function that makes it, the artifacts it needs. Nothing else orders it."""

import fcntl
import os
import platform
import re
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from train import artifact
from train.artifact import WITNESS, Bound, DamageError, Input, file_digest, manifest, read_json, sealed, set_aside
from train.config import build, part_of, plain, read
from train.data import summaries
from train.data.benchmarks import check_sets, gather, read_sets
from train.data.counts import SourceCounts
from train.data.documents import extract
from train.data.duplicates import compare
from train.data.judged import judge
from train.data.raw import check_files, fetch, repository_files
from train.data.selected import select
from train.data.sources.pinned import VanishedError
from train.data.sources.places import obtain
from train.data.sources.spec import availability, read_sources
from train.data.tokenizer import learn
from train.data.tokens import encode
from train.errors import UserError
from train.evaluation.measure import measure
from train.initial import require_initial
from train.keys import ROOT, closure, key, meaning
from train.layout import ARTIFACTS
from train.machine import Machine
from train.release.bundle import CollectConfig, belongs, checkout, collect, require_lock, source_tree
from train.release.readiness import check_evidence, unready
from train.release.resolved import SETTINGS, Resolved
from train.release.sharing import place_directory
from train.release.standards import sbom
from train.spdx import NOASSERTION, not_allowed
from train.training.agreement import require_agreement
from train.training.budget import refuse_disk, refuse_memory, rooms
from train.training.distributed import among
from train.training.further import go_on
from train.training.log import Log
from train.training.loop import FitConfig, fit, require_groups, require_shares
from train.training.meters import write_operations
from train.training.numerics import require_device, stack
from train.workers import work
from train.world import Inputs, World

Artifact = Literal[
    "raw", "documents", "benchmarks", "judged", "duplicates", "selected", "tokenizer", "tokens", "weights",
    "evaluation", "release",
]  # fmt: skip


# Overrides that could tell where a source is looked for: its folder, its mirrors, or all of it.
PRIVATE = re.compile(
    r"[+~]*(?:training\.init_from|(?:data|benchmarks)\.raw(?:[^=]*[.\]](?:path|mirrors))?(?:\.sources)?(?:[.\[]\d+\]?)*)="
)


@dataclass(frozen=True)
class Run(Resolved):
    """The whole configuration. What `machine`, `until` and `overrides` hold enters no key."""

    machine: Machine
    until: Artifact  # the last artifact to make
    overrides: tuple[str, ...]  # as given on the command line
    settings: tuple[str, ...]  # the overrides that lead here, computed: the same however it was asked for


@dataclass(frozen=True)
class Stage:
    name: Artifact
    make: Callable[[Any, Inputs, Path, World], None]
    reads: Callable[[Run], tuple[str, ...]] = lambda run: ()  # files of this repository, beside its code
    summary: Callable[[Path, Inputs, Any, World], str] = lambda *_: ""  # what came in and what stayed
    begin: Callable[..., str] = lambda *_: ""  # what is taken over of another artifact, and a line on that
    recheck: Callable[[Any, World], None] = lambda *_: None  # of what is kept, against what is no artifact

    @property
    def needs(self) -> Sequence[str]:
        """The artifacts that it is made from; a release, from all."""
        return ARTIFACTS[self.name].needs if self.name in ARTIFACTS else tuple(ARTIFACTS)

    def config(self, run: Run) -> Any:
        """The stage's own part of the configuration: all of it that enters the key."""
        if self.name == "release":
            return CollectConfig(run.release, resolved(run), run.settings, request(run))
        return SETTINGS[self.name](run)


STAGES = (
    Stage("raw", fetch, reads=lambda run: repository_files(run.data.raw), summary=summaries.raw, recheck=check_files),
    Stage("documents", extract, summary=summaries.documents),
    Stage(
        "benchmarks",
        gather,
        reads=lambda run: repository_files(run.benchmarks.raw),
        summary=summaries.benchmarks,
        recheck=check_sets,
    ),
    Stage("judged", judge, summary=summaries.judged),
    Stage("duplicates", compare, summary=summaries.duplicates),
    Stage("selected", select, summary=summaries.selected),
    Stage("tokenizer", learn, summary=summaries.tokenizer),
    Stage("tokens", encode, summary=summaries.tokens),
    Stage("weights", fit, summary=summaries.weights, begin=go_on),
    Stage("evaluation", measure, summary=summaries.evaluation),
    Stage("release", collect),
)
LARGE: tuple[Artifact, Artifact] = ("weights", "release")  # which hold checkpoints
NAMES = tuple(stage.name for stage in STAGES)
UP_TO_WEIGHTS = NAMES[: NAMES.index("weights") + 1]
# What is made by all workers together, a part each; the rest needs only one.
SHARED = ("documents", "judged", "duplicates", "selected", "tokens")


def run(
    config: Run, say: Callable[[str], None] = print, ready: Mapping[str, Path] = types.MappingProxyType({})
) -> dict[str, Path]:
    """Make every artifact up to `config.until` that is not there yet; return where each one is.

    Artifacts in `ready` are taken as they are, whatever their manifests say: they are somebody else's.
    Under torchrun, all ranks train together; what comes before and after, the first makes, and the others wait or end.
    Raises UserError for what a user can fix; sealed artifacts are never changed.
    """
    check_ready(config)
    planned, alone = plan(config), World(0, 1, config.machine, obtain, Log, write_operations)
    ranks = among(alone)
    require_agreement(
        {name: {"config": planned[name].config, "code": planned[name].code} for name in UP_TO_WEIGHTS}, ranks
    )
    if ranks.rank == 0:
        refuse_what_cannot_fit(config, planned, ranks, ready)
        config.machine.runs.mkdir(parents=True, exist_ok=True)
    artifacts: dict[str, Path] = {}
    make, say = (_followed, lambda line: None) if ranks.rank else (_artifact, say)
    for stage in STAGES:
        world = ranks if stage.name == "weights" else alone
        if stage.name in ready:
            artifacts[stage.name] = ready[stage.name]
            say(f"{stage.name:<10} given {artifacts[stage.name]}")
        else:
            try:
                artifacts[stage.name] = make(stage, stage.config(config), planned[stage.name], artifacts, world, say)
            except VanishedError as gone:
                raise UserError(f"{gone}\n{card_on_availability(config.data.name)}") from None
            if reaches(config, "weights"):
                for note in check_evidence(claims(stage.name, artifacts), artifacts[stage.name] / "licences"):
                    say(f"licence    {note}")
        if stage.name == config.until or (ranks.rank and stage.name == "weights"):
            break
    return artifacts


def refuse_what_cannot_fit(config: Run, planned: Mapping[str, Bound], ranks: World, ready: Mapping[str, Path]) -> None:
    """UserError, before hours of other work, when this machine cannot train what is to be trained or keep it."""
    if not reaches(config, "weights"):
        return
    machine, fit, vocabulary = config.machine, FitConfig(config.model, config.training), config.tokenizer.vocabulary
    require_device(machine)
    config.training.numerics.require(machine.device)
    require_shares(config.training, ranks)
    require_groups(fit, ranks)
    weights, release = (
        reaches(config, name) and name not in ready and not folder(machine, planned[name]).is_dir() for name in LARGE
    )
    if weights:
        refuse_memory(fit, vocabulary, machine, ranks.size)
    begun = machine.runs.glob(f"{folder(machine, planned['weights']).name}.part/*/*/*.safetensors")
    there = sum(path.stat().st_size for path in begun)
    refuse_disk(fit, vocabulary, rooms(machine, weights, release, there))


def claims(name: Artifact, artifacts: Mapping[str, Path]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The licence that each source in an artifact is claimed to be under, and the files that tell it."""
    if name == "documents":
        counts = read(dict[str, SourceCounts], artifacts[name] / "counts.json")
        sources = [record.source for record in read_sources(artifacts["raw"] / "sources.json")]
        yield from ((source.purl, source.licence, counts[source.purl].licences) for source in sources)
    if name == "benchmarks":
        for each in read_sets(artifacts[name] / "sets.json"):
            yield each.record.source.purl, each.record.source.licence, each.licences


def check_ready(config: Run) -> None:
    """UserError when a run would be refused at its end for what its config or its data card lacks.

    That is a source that selection refuses for its licence, before weights what the template left to be filled in, and
    before a release whatever people have to say of it.
    """
    for source in config.data.raw.sources if reaches(config, "selected") else ():
        if source.licence != NOASSERTION and (problem := not_allowed(source.licence, config.data.selected.licences)):
            raise UserError(
                f"{source.purl}: licence {problem}; accept it in data.selected.licences, or leave the "
                "source out of data.raw"
            )
    if config.training.init_from and reaches(config, "tokenizer"):
        require_initial(config.machine.init_from, plain(resolved(config)))
    if reaches(config, "weights"):
        problems = unready(resolved(config), ROOT, release=config.until == "release")
        if problems:
            remedy = "nothing was made: fill this in or correct it; until=selected goes without"
            raise UserError("\n".join([*problems, remedy]))
    if config.until == "release":
        require_lock({"this environment": environment()["packages"]})


def folder(machine: Machine, planned: Bound) -> Path:
    """Where the artifact that is `planned` stands when it is made."""
    return machine.runs / f"{planned.stage}-{planned.key[:8]}"


def reaches(config: Run, name: Artifact) -> bool:
    """Whether the run is to make the artifact `name`, or a later one."""
    return NAMES.index(config.until) >= NAMES.index(name)


def card_on_availability(name: str) -> str:
    """What the data card says about where its sources are to be had."""
    card = ROOT / "data_cards" / f"{name}.md"
    availability_text = availability(card.read_text(encoding="utf-8")) if card.is_file() else ""
    return f"data_cards/{name}.md says of availability: {availability_text or 'nothing'}"


def plan(config: Run) -> dict[str, Bound]:
    """What every artifact's manifest will say but its products: known, with the key, before anything runs."""
    planned: dict[str, Bound] = {}
    for stage in STAGES:
        inputs = {name: planned[name].key for name in stage.needs}
        settings = stage_config(stage, config)
        reached = code(stage) | {path: repository_digest(path) for path in stage.reads(config)}
        known = key(stage=stage.name, config=settings, code=reached, inputs=inputs)
        unmade = {name: Input(each, "") for name, each in inputs.items()}
        planned[stage.name] = Bound(stage.name, known, settings, reached, unmade)
    return planned


def stage_config(stage: Stage, config: Run) -> Any:
    """The plain config that enters the stage's key; outside `exact` the stack that trains is part of it.

    Where the config lets the stack change in mid-run, it is not: such weights tell their stacks in a witness.
    """
    settings, numerics = plain(stage.config(placeless(config))), config.training.numerics
    if stage.name == "release":
        settings = {name: settings[name] for name in ("release", "resolved")}  # the rest follows, or decides nothing
    if stage.name == "weights" and not numerics.exact and numerics.stack == "same":
        settings["stack"] = stack(config.machine)
    return settings


def resolved(config: Run) -> Resolved:
    """The configuration as a release keeps it: complete, without what only says how to run."""
    return part_of(Resolved, placeless(config))


def placeless(config: Run) -> Run:
    """The configuration without where sources are looked for: the digest decides, so no key holds that."""
    benchmarks = config.benchmarks
    if benchmarks.raw:
        benchmarks = replace(benchmarks, raw=benchmarks.raw.placeless())
    return replace(config, data=replace(config.data, raw=config.data.raw.placeless()), benchmarks=benchmarks)


def request(config: Run) -> dict[str, Any]:
    """How a release was asked for, a witness: the overrides that say what to make, and the kinds of places of sources.

    Which folder or mirror that was stays private, and so does the value of an override that could tell it.
    """
    what = [text for text in config.overrides if not text.lstrip("+~").startswith(("machine", "until", "hydra"))]
    raws = [raw for raw in (config.data.raw, config.benchmarks.raw) if raw]
    return {
        "overrides": [f"{text.partition('=')[0]}=..." if PRIVATE.match(text) else text for text in what],
        "places": {purl: kinds for raw in raws for purl, kinds in raw.kinds_of_places.items()},
    }


def code(stage: Stage) -> dict[str, str]:
    """The files whose change makes the stage's artifact another one: path -> what of it counts.

    For a release, the digest of each file of the source tree, because it holds it; else the meaning of each module that
    the stage's own can reach by imports, and the digest of each file of templates beside one.
    """
    if stage.name == "release":
        return source_tree(ROOT)
    reached = closure(ROOT / ARTIFACTS[stage.name].module)
    return {
        path.relative_to(ROOT).as_posix(): meaning(path.read_bytes()) if path.suffix == ".py" else file_digest(path)
        for path in reached
    }


def repository_digest(path: str) -> str:
    """SHA-256 of a file of this repository that a stage reads; UserError where a release would not hold it."""
    if not (ROOT / path).is_file() or not belongs(path):
        raise UserError(
            f"licence_files: {path!r} is not in this repository, whose own texts stand under it; expected a file of "
            "its source code, such as LICENSE"
        )
    return file_digest(ROOT / path)


def _artifact(
    stage: Stage, config: Any, planned: Bound, artifacts: Mapping[str, Path], world: World, say: Callable[[str], None]
) -> Path:
    """Make the artifact of a stage unless it is there and sound; returns its folder."""
    final, bound = folder(world.machine, planned), bound_to(planned, artifacts)
    with _lock(final, say):
        if final.exists():
            stage.recheck(config, world)
            if _kept(final, bound, say):
                return final
        if world.size == 1 and (twin := made_before(final, bound)):
            place_directory(twin, part := final.with_name(f"{final.name}.part"))
            (part / artifact.MANIFEST).unlink()
            artifact.seal(part, final, bound)
            say(f"{stage.name:<10} kept  {final}: {twin} was made of the same bytes by the same code and settings")
            return final
        say(f"{stage.name:<10} ...   {final}")
        part, began = _begun(final.with_name(f"{final.name}.part"), bound, say), time.time()
        inputs = Inputs(**{name: artifacts[name] for name in planned.inputs})
        if line := stage.begin(part, bound, config):
            say(f"{stage.name:<10} {line}")
        if stage.name in SHARED:
            work(stage.make, config, inputs, part, world.machine)
        else:
            stage.make(config, inputs, part, world)
        seconds = time.time() - began
        artifact.write_json(part / WITNESS / "run.json", {**environment(), "began": began, "seconds": seconds})
        artifact.seal(part, final, bound)
        say(f"{stage.name:<10} made  {final} in {seconds:.1f} s")
        if summary := stage.summary(final, inputs, config, world):
            say(f"{'':<16} {summary}")
        return final


def bound_to(planned: Bound, artifacts: Mapping[str, Path]) -> Bound:
    """What is `planned` with the products of its inputs, once these are there."""
    inputs = {name: replace(each, products=manifest(artifacts[name]).digest) for name, each in planned.inputs.items()}
    return replace(planned, inputs=inputs)


def stale(record: Bound, bound: Bound) -> str | None:
    """Why what `record` (a manifest, or a commitment) was begun as is not what is `bound` now; None if it is."""
    before, now = record.inputs, bound.inputs
    if moved := [name for name in now if before.get(name) != now[name]]:
        digests = " and now ".join(each[moved[0]].products[:12] for each in (before, now) if moved[0] in each)
        return f"made from another {' and another '.join(moved)} (products {digests})"
    changes = [name for name, value in vars(bound).items() if getattr(record, name) != value]
    return f"made of another {', '.join(changes)}" if changes else None


def _kept(final: Path, bound: Bound, say: Callable[[str], None]) -> bool:
    """Whether the artifact is the one that is wanted now; one of other inputs is set aside. DamageError if damaged."""
    try:
        reason = stale(manifest(final), bound)
    except UserError:  # no manifest: damaged, as `check` tells
        reason = None
    if reason:
        say(f"{bound.stage:<10} stale {final}: {reason}; made anew, and this one is now {set_aside(final, 'stale')}")
        return False
    if problems := artifact.check(final):
        aside = set_aside(final, "damaged")
        raise DamageError(
            f"{final} is damaged: {problems[0]}{f' (and {len(problems) - 1} more)' if problems[1:] else ''}. "
            f"It is now {aside}; run the same command again to make it anew"
        )
    say(f"{bound.stage:<10} kept  {final}")
    return True


def made_before(final: Path, bound: Bound) -> Path | None:
    """A sound artifact whose inputs have the same products under other keys, so that its own would be the same.

    Where the credit to an author is corrected, tokens come out as they were: then nothing is trained again.
    """
    if final.with_name(f"{final.name}.part").exists() or not bound.inputs:
        return None

    def decisive(record: Bound) -> tuple[Any, ...]:
        return record.stage, record.config, record.code, {name: each.products for name, each in record.inputs.items()}

    same = (folder for folder, record in sealed(final.parent, bound.stage) if decisive(record) == decisive(bound))
    return next((folder for folder in same if not artifact.check(folder)), None)


def _begun(part: Path, bound: Bound, say: Callable[[str], None]) -> Path:
    """The folder in which the artifact is made: one that was begun under the same commitment, or a new one."""
    commitment = part / WITNESS / "commitment.json"
    if commitment.exists() and (reason := stale(build(Bound, read_json(commitment, "/bound")), bound)):
        say(f"{bound.stage:<10} stale {part}: {reason}; begun anew, and this one is now {set_aside(part, 'stale')}")
    part.mkdir(exist_ok=True)
    artifact.clear_unfinished(part)
    if not commitment.exists():  # before the first step, and not when it goes on
        sources = {path: file_digest(ROOT / path) for path in bound.code}
        artifact.write_json(commitment, {"bound": asdict(bound), "committed": time.time(), "sources": sources})
    return part


def _followed(
    stage: Stage, config: Any, planned: Bound, artifacts: Mapping[str, Path], world: World, say: Callable[[str], None]
) -> Path:
    """The artifact that the first rank makes or has made: this one waits for it, or helps with it if it trains.

    UserError when the first rank has ended without.
    """
    final, bound = folder(world.machine, planned), bound_to(planned, artifacts)

    def there() -> bool:
        return final.exists() and not stale(manifest(final), bound)

    if world.rank and not there():
        inputs = Inputs(**{name: artifacts[name] for name in planned.inputs})
        stage.make(config, inputs, final.with_name(f"{final.name}.part"), world)
    since = time.monotonic()
    while not world.rank and not there():
        time.sleep(0.1)
        if time.monotonic() - since > world.machine.patience:
            with _lock(final, say):  # which the first rank has as long as it makes it
                if not there():
                    raise UserError(f"{final}: the first rank has ended without making it; see what it said")
    return final


@contextmanager
def _lock(final: Path, say: Callable[[str], None]) -> Iterator[None]:
    """File lock: one process at a time makes `final`. The system frees a dead one's lock."""
    with final.with_name(f".{final.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that is making {final}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment() -> dict[str, Any]:
    """What is true of this machine and this checkout: a witness, in no digest."""
    return {
        **checkout(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "packages": {name: distribution.version for name, distribution in sbom.distributions()},
    }
