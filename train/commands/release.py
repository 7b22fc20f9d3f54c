"""`pellucid release`: make a release, or any artifact on the way to one; verify it, place it, and say what it is."""

import argparse
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train.artifact import read_json
from train.compose import built, requested, settled
from train.config import plain
from train.errors import UserError
from train.initial import identity_of
from train.keys import ROOT
from train.layout import release_name
from train.release import repository
from train.release.cards import templates
from train.release.standards.osaid import ladder

if TYPE_CHECKING:
    from train.pipeline import Run

Say = Callable[[str], None]


def run(args: argparse.Namespace) -> list[dict[str, str]]:
    """Where each artifact is, of every run that is asked for."""
    ready = {path.name: path.resolve() for path in args.given.iterdir()} if args.given else {}
    # Composed and built before anything heavy is imported or made: a wrong word is answered at once.
    choices = requested(args.overrides, args.config, args.multirun)
    from train import pipeline
    from train.release.about import seed_run
    from train.release.delivery import refuse_early

    configs = [built(pipeline.Run, mapping) for mapping in choices]
    seeds = seeds_of(configs)
    if not seeds:
        refuse_replacing(choices)
    for config in configs:
        if config.until == "release":
            resolved = plain(pipeline.resolved(config))
            refuse_early(config.machine.releases / release_name(resolved), resolved, seeds)
    if seeds:
        pipeline.check_ready(configs[0])
        configs = [replace(config, until="evaluation") for config in configs]
    runs: list[dict[str, Path]] = []
    for config in configs:
        if args.multirun:
            args.say("\n# " + " ".join(config.overrides))
        artifacts = pipeline.run(config, after(doubts(config), args.say), ready)
        if "release" in artifacts:  # of several ranks, the first alone goes on after the training
            artifacts["placed"] = deliver(artifacts, config.machine.releases, args.say)
        elif "evaluation" in artifacts:
            args.say("\n" + "\n".join(templates.lines("scores.jinja", scores=titled(artifacts["evaluation"]))))
        runs.append(artifacts)
    if len(evaluations := [artifacts["evaluation"] for artifacts in runs if "evaluation" in artifacts]) > 1:
        show_spread(evaluations, args.say)
    if seeds:
        table = [seed_run(seed, each["weights"], each["evaluation"])
                 for seed, each in zip(seeds, runs, strict=True) if "evaluation" in each]  # fmt: skip
        composed = settled({**choices[0], "release": {**choices[0]["release"], "seeds": table}}, {})
        args.say(f"\n# the release, of seed {seeds[0]}, with a table of all")
        runs.append(pipeline.run(built(pipeline.Run, composed), args.say, ready))
        if "release" in runs[-1]:
            runs[-1]["placed"] = deliver(runs[-1], configs[0].machine.releases, args.say)
    return [{name: str(path) for name, path in artifacts.items()} for artifacts in runs]


def after(notes: list[str], say: Say) -> Say:
    """`say` that tells some notes before its first line: then nothing was refused, and nothing made."""

    def both(line: str) -> None:
        while notes:
            say(notes.pop(0))
        say(line)

    return both


def doubts(config: "Run") -> list[str]:
    """What can be made as it is set, and is hardly meant."""
    steps, warmup, lines = config.training.steps, config.training.optimizer.warmup_steps, []
    if warmup >= steps and config.until in ("weights", "evaluation", "release"):
        rises = f"training.optimizer.warmup_steps is {warmup}, training.steps {steps}"
        lines.append(f"weights    the learning rate rises to the last step and is never lowered: {rises}")
    if config.until == "release" and repository.commit(ROOT) is None:
        why = repository.distrusted(ROOT) or "no git checkout with a commit, or git is not here"
        lines.append(f"release    names no commit: {ROOT}: {why}")
    return lines


def seeds_of(configs: list["Run"]) -> list[int]:
    """The seeds of several runs that differ in nothing else and are to make a release; else none."""
    alike = [replace(config, training=replace(config.training, seed=0), overrides=(), settings=())
             for config in configs]  # fmt: skip
    same = len(alike) > 1 and alike.count(alike[0]) == len(alike) and alike[0].until == "release"
    return [config.training.seed for config in configs] if same else []


def refuse_replacing(mappings: list[dict[str, Any]]) -> None:
    """UserError when several runs would place their releases in one folder, where the last would replace the others."""
    places = [release_name(mapping) for mapping in mappings if mapping["until"] == "release"]
    if twice := [place for place in places if places.count(place) > 1]:
        count, remedy = places.count(twice[0]), "add until=evaluation, or let name or release.version vary"
        raise UserError(
            f"--multirun: {count} releases would be called {twice[0]}, and the last would replace the others; {remedy}"
        )


def deliver(artifacts: dict[str, Path], releases: Path, say: Say) -> Path:
    """Verify the packed release, place a copy of it under `releases`, and say what it is; returns where it stands."""
    from train.release.delivery import place, placed_already
    from train.release.verify.run import require

    packed = artifacts["release"] / "release"
    resolved, identity = read_json(packed / "code" / "config.json"), identity_of(packed)
    placed = releases / release_name(resolved)
    known = placed_already(placed, packed)  # perhaps with statements, which came later
    say(f"verify     ...   {placed if known else packed}")
    require(placed if known else packed, "quick" if known else "full")
    say(f"verify     holds ({'quick: verified in full when it was placed' if known else 'every check'})")
    if not known:
        place(packed, placed)
    page = templates.lines(
        "delivered.jinja",
        placed=placed,
        quoted=shlex.quote(str(placed)),
        identity=identity,
        scores=titled(artifacts["evaluation"]),
        openness=read_json(placed / "openness.json"),
        ladder=ladder(str(placed), dict.fromkeys(["intact"] if known else ["intact", "consistent"], "holds")),
        sample=read_json(artifacts["evaluation"] / "samples.json")[0],
        clone=(ROOT / "Makefile").is_file(),
    )
    say("\n".join(page))
    return placed


def titled(evaluation: Path) -> dict[str, dict[str, Any]]:
    """The records of scores by what people read: the model's own, the baselines, the minimal pairs."""
    kinds = ("scores", "minimal_pairs", "multiple_choice")
    scores, pairs, questions = (read_json(evaluation / f"{kind}.json") for kind in kinds)
    own = {name: scores.pop(name) for name in ("bits_per_byte", "perplexity", "next_token_accuracy")}
    titles = {**own, **{f"baseline {name}": score for name, score in scores.items()}}
    titles |= {f"minimal pairs, {name}": score for name, score in pairs.items()}
    for name, record in questions.items():
        titles |= {f"{name}, {measure}": {**record[measure], "unit": record["unit"]} for measure in ("acc", "acc_norm")}
    return titles


def show_spread(evaluations: list[Path], say: Say) -> None:
    """How far several runs lie apart in each score: mean, standard deviation of a run, least and most."""
    from train.release.about import spread

    runs = [{title: score["value"] for title, score in titled(evaluation).items()} for evaluation in evaluations]
    say("\n".join(templates.lines("spread.jinja", runs=len(runs), spread=spread(runs))))
