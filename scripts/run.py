"""Make a release, or any artifact on the way to one: `python scripts/run.py recipe=tiny training.steps=50`.

Arguments are Hydra overrides. `--multirun` runs every combination of comma-separated values, sharing what they can.
`--config code/config.json` makes again what a release keeps; only `machine` and `until` can be set then.
`--dry-run` makes nothing: it measures this machine for ten seconds, tells what the run would take, and refuses what
cannot fit. `--given FOLDER` takes the artifacts in FOLDER (by name, such as FOLDER/selected) in place of making them.
`--submit slurm` runs it, or each combination, as a job through Hydra's submitit launcher, whose settings are overrides
such as `hydra.launcher.nodes=2 hydra.launcher.tasks_per_node=8`: its tasks train together, a rank each.
Hydra is known here and in `compose.py` alone; the library sees a plain mapping.
"""

import argparse
import os
import shlex
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compose import CONFIGS, built, combinations, compose, settled  # type: ignore[import-not-found]

from train.artifact import read_json
from train.errors import ConfigError, UserError
from train.layout import release_name
from train.letters import harmless
from train.release.standards.osaid import ASKED
from train.steps import tokens_seen
from train.terminal import guarded


def how(overrides: list[str]) -> dict[str, Any]:
    """The groups that only say how to run, `machine` and `until`, with `overrides` of these and nothing else."""
    for text in overrides:
        if not text.lstrip("+~").startswith(("machine", "until")):
            raise ConfigError([f"{text}: what is made is settled; only machine.KEY=VALUE and until=NAME can be set"])
    composed = compose(overrides)
    return {name: composed[name] for name in ("machine", "until")}


def kept(config: Path, overrides: list[str]) -> dict[str, Any]:
    """The configuration that a release keeps as `code/config.json`, run in the way that `overrides` ask for.

    Where its sources may be had stands among the release's logs, if these are there.
    """
    asked = config.resolve().parents[1] / ASKED
    places = read_json(asked)["places"] if asked.is_file() else {}
    return {**settled(read_json(config), how(overrides), places), "overrides": overrides}


def refuse_replacing(mappings: list[dict[str, Any]]) -> None:
    """UserError when several runs would place their releases in one folder, where the last would replace the others."""
    places = [folder_name(mapping) for mapping in mappings if mapping["until"] == "release"]
    for place in places:
        if places.count(place) > 1:
            raise UserError(
                f"--multirun: {places.count(place)} releases would be called {place}, and the last would replace the "
                "others; add until=evaluation, or let name or release.version vary"
            )


def folder_name(mapping: Mapping[str, Any]) -> str:
    """What the folder of the release of a configuration is called."""
    return release_name(mapping)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the resolved config of a release")
    parser.add_argument("--given", type=Path, metavar="FOLDER", help="artifacts to take in place of making them")
    parser.add_argument("--submit", choices=["slurm", "local"], help="as jobs of Slurm, or of this machine for a trial")
    parser.add_argument("--dry-run", action="store_true", help="make nothing; tell what it would take on this machine")
    parser.add_argument("--seconds", type=float, default=10, help="of measuring, for --dry-run (default: %(default)s)")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="Hydra overrides")
    asked = parser.parse_intermixed_args(arguments)
    given = {path.name: path.resolve() for path in asked.given.iterdir()} if asked.given else {}
    if asked.submit:
        if asked.config or asked.given or asked.dry_run:
            raise UserError("--submit: takes none of --config, --given and --dry-run; call those in a job of your own")
        submit(asked.submit, asked.overrides, asked.multirun)
        return
    # Composed and built before anything heavy is imported or made: a wrong word is answered at once.
    choices = combinations(asked.overrides) if asked.multirun else [asked.overrides]
    mappings = [kept(asked.config, choice) if asked.config else compose(choice) for choice in choices]
    if not asked.dry_run:
        refuse_replacing(mappings)
    from train import pipeline
    from train.release.delivery import refuse_early

    configs = [built(pipeline.Run, mapping) for mapping in mappings]
    for config, mapping in zip(configs, mappings, strict=True):
        if config.until == "release" and not asked.dry_run:
            refuse_early(config.machine.releases / folder_name(mapping), pipeline.resolved(config))
    evaluations: list[Path] = []
    for choice, config in zip(choices, configs, strict=True):
        if asked.multirun:
            print("\n# " + " ".join(choice))
        if asked.dry_run:
            show_plan(config, asked.seconds)
            continue
        made = pipeline.run(config, say, given)
        if "release" in made:  # of several ranks, the first alone goes on after the training
            deliver(made, config.machine.releases)
        elif "evaluation" in made:
            show_scores(made["evaluation"])
        evaluations += [made["evaluation"]] if "evaluation" in made else []
    if len(evaluations) > 1:
        show_spread(evaluations)


def show_plan(config: Any, seconds: float) -> None:
    """What there is already, what would be made, and what training would take here; nothing is written."""
    from train import pipeline
    from train.training.budget import plan
    from train.training.loop import FitConfig

    where = {name: pipeline.folder(config.machine, record) for name, record in pipeline.plan(config).items()}
    for name, artifact in where.items():
        say(f"{name:<10} {'there' if artifact.is_dir() else 'to make':<7}  {artifact}")
        if name == config.until:
            break
    fit = FitConfig(config.model, config.training)
    for line in plan(fit, config.tokenizer.vocabulary, config.machine, seconds):
        say(line)
    counts = where["tokens"] / "tokens.json"
    if not counts.is_file():
        say("passes     over the text: not known before `tokens` is made")
        return
    seen = tokens_seen(config.training.steps, config.training.batch, config.model.context)
    passes = seen / read_json(counts)["train"]["tokens"]
    say(f"passes     {passes:.2f} over the text; beyond some four, more text does more than more steps")


def submit(where: str, overrides: list[str], multirun: bool) -> None:
    """Run what the overrides ask for as jobs, and wait for them; UserError when one fails, or without the launcher."""
    import hydra
    from hydra._internal.callbacks import Callbacks
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from hydra.types import HydraContext, RunMode

    settings = [text for text in overrides if text.startswith("hydra.")]
    asked = [text for text in overrides if text not in settings]
    choices = combinations(asked) if multirun else [asked]
    mappings = [compose(choice) for choice in choices]
    refuse_replacing(mappings)
    folder = Path(mappings[0]["machine"]["runs"]).absolute() / "jobs"
    quiet = [f"hydra.sweep.dir={folder}", "hydra.output_subdir=null", "hydra/job_logging=none"]
    os.environ["PYTHONPATH"] = str(CONFIGS.parent)  # of the jobs
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            launching = [f"hydra/launcher=submitit_{where}", *quiet, *settings]
            config = loader.load_configuration("pipeline", launching, RunMode.MULTIRUN)
        except HydraException as error:
            text = " ".join(str(error).split())
            raise UserError(f"--submit: {text} (the launcher comes with the extra `cluster`)") from None
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=job, config=config)
        say(f"jobs       {len(choices)}, their output below {folder}")
        for done in launcher.launch(choices, 0):
            if isinstance(done._return_value, Exception):  # `return_value` would print lines of its own before it
                raise done._return_value


def job(_: Any) -> None:
    """What each task of a job does: the same command, as one of the ranks."""
    import submitit
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig

    submitit.helpers.TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    GlobalHydra.instance().clear()
    main(list(HydraConfig.get().overrides.task))


def deliver(made: dict[str, Path], releases: Path) -> None:
    """Verify the packed release, place a copy of it under `releases`, and say what it is."""
    from train.release.delivery import place, placed_already
    from train.release.standards.osaid import ladder, summary
    from train.release.verify.result import against
    from train.release.verify.run import verify

    packed = made["release"] / "release"
    resolved, identity = read_json(packed / "code" / "config.json"), read_json(packed / "MANIFEST.json")["identity"]
    placed = releases / folder_name(resolved)
    known = placed_already(placed, packed)  # perhaps with statements, which came later
    depth: Literal["quick", "full"] = "quick" if known else "full"
    say(f"verify     ...   {placed if known else packed}")
    failures = against(verify(placed if known else packed, depth))
    if failures:
        raise UserError("\n".join(f"{result.name}: {result.detail}" for result in failures))
    say(f"verify     holds ({'quick: verified in full when it was placed' if known else 'every check'})")
    if not known:
        place(packed, placed)
    print(f"\nrelease    {placed}\nidentity   {identity}")
    show_scores(made["evaluation"])
    print("\n".join(["", *summary(placed), ""]))
    holds = ["intact"] if known else ["intact", "consistent"]
    print("\n".join([*ladder(str(placed), dict.fromkeys(holds, "holds")), ""]))
    sample = read_json(made["evaluation"] / "samples.json")[0]
    print(f"sample     {harmless(sample['prompt'] + sample['text'])}\n")
    where = f"RELEASE={shlex.quote(str(placed))}"
    print(f"next       make sample {where}\n           make verify {where}")


def show_scores(evaluation: Path) -> None:
    """One line a score, with its interval where it has one."""
    print()
    for title, score in titled(evaluation).items():
        interval = f"[{score['low']:.4f}, {score['high']:.4f}]" if "low" in score else ""
        print(f"{title:<28} {score['value']:8.4f} {interval:<18} {score['unit']}")


def titled(evaluation: Path) -> dict[str, dict[str, Any]]:
    """The records of scores by what people read: the model's own, the yardsticks, the minimal pairs."""
    scores = read_json(evaluation / "scores.json")
    own = ["bits_per_byte", "perplexity", "next_token_accuracy"]
    pairs = read_json(evaluation / "minimal_pairs.json")
    return {
        **{name: scores[name] for name in own},
        **{f"yardstick {name}": score for name, score in scores.items() if name not in own},
        **{f"minimal pairs, {name}": score for name, score in pairs.items()},
    }


def show_spread(evaluations: list[Path]) -> None:
    """How far several runs lie apart in each score: mean, standard deviation of a run, least and most."""
    records = [titled(evaluation) for evaluation in evaluations]
    print(f"\n{'spread over ' + str(len(records)) + ' runs':<28} {'mean':>8} {'sd':>8} {'least':>8} {'most':>8}")
    for title in records[0]:
        values = [record[title]["value"] for record in records if title in record]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        numbers = (statistics.mean(values), spread, min(values), max(values))
        print(f"{title:<28} " + " ".join(f"{number:8.4f}" for number in numbers))


def say(line: str) -> None:
    print(harmless(line), flush=True)


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
