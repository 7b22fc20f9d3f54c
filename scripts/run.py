"""Make a release, or any artifact on the way to one: `python scripts/run.py recipe=tiny training.steps=50`.

Arguments are Hydra overrides. `--multirun` runs every combination of comma-separated values, sharing what they can.
`--config code/config.json` makes again what a release keeps; only `machine` and `until` can be set then.
`--given FOLDER` takes the artifacts in FOLDER (by name, such as FOLDER/selected) in place of making them.
This is the only file that knows Hydra; the library sees a plain mapping.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.artifact import read_json, replace_directory
from train.config import ConfigError, UserError, build, did_you_mean
from train.terminal import guarded

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def compose(overrides: list[str]) -> dict[str, Any]:
    """The configuration that `overrides` ask for, as a plain mapping; ConfigError in one line when they do not fit."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            found: Any = OmegaConf.to_container(hydra.compose("pipeline", overrides), resolve=True)
        except (HydraException, OmegaConfBaseException) as error:
            text = " ".join(str(error).split("Config search path")[0].split())
            wrong = re.match(r"Could not override '([^']+)'", text)
            if wrong:
                known = OmegaConf.to_container(hydra.compose("pipeline"), resolve=True)
                text = f"{wrong[1]}: no such key{did_you_mean(wrong[1], list(dotted_paths(known)))}"
            raise ConfigError([text]) from None
    return {**found, "overrides": overrides}


def how(overrides: list[str]) -> dict[str, Any]:
    """The groups that only say how to run, `machine` and `until`, with `overrides` of these and nothing else."""
    for text in overrides:
        if not text.lstrip("+~").startswith(("machine", "until")):
            raise ConfigError([f"{text}: what is made is settled; only machine.KEY=VALUE and until=NAME can be set"])
    composed = compose(overrides)
    return {name: composed[name] for name in ("machine", "until")}


def settled(config: Path, overrides: list[str]) -> dict[str, Any]:
    """The resolved config that a release keeps as `code/config.json`, run in the way that `overrides` ask for."""
    return {**read_json(config), **how(overrides), "overrides": read_json(config.with_name("overrides.json"))}


def dotted_paths(mapping: Any, prefix: str = "") -> Iterator[str]:
    """The path of every key at any depth, for hints."""
    for name, value in mapping.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from dotted_paths(value, f"{prefix}{name}.")


def combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of the values that `--multirun` overrides list."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError([" ".join(str(error).split())]) from None
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line or ""]
        for o in parsed
    ]
    return [list(choice) for choice in itertools.product(*choices)]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the resolved config of a release")
    parser.add_argument("--given", type=Path, metavar="FOLDER", help="artifacts to take in place of making them")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="Hydra overrides")
    asked = parser.parse_intermixed_args(arguments)
    given = {path.name: path.resolve() for path in asked.given.iterdir()} if asked.given else {}
    for choice in combinations(asked.overrides) if asked.multirun else [asked.overrides]:
        if asked.multirun:
            print("\n# " + " ".join(choice))
        # Composed and built before anything heavy is imported: a wrong word is answered at once.
        mapping = settled(asked.config, choice) if asked.config else compose(choice)
        from train import pipeline

        config = build(pipeline.Run, mapping)
        made = pipeline.run(config, say, given)
        if "release" in made:  # of several ranks, the first alone goes on after the training
            deliver(made, config.machine.releases)
        elif "evaluation" in made:
            show_scores(made["evaluation"])


def deliver(made: dict[str, Path], releases: Path) -> None:
    """Verify the packed release, place a copy of it under `releases`, and say what it is."""
    from train.release.openness import summary
    from train.release.verify import verify

    packed = made["release"] / "release"
    resolved = read_json(packed / "code" / "config.json")
    placed = releases / f"{resolved['name']}-{resolved['release']['version']}"
    known = placed.is_dir() and (placed / "MANIFEST.json").is_file()
    known = known and (placed / "MANIFEST.json").read_bytes() == (packed / "MANIFEST.json").read_bytes()
    level: Literal["quick", "full"] = "quick" if known else "full"
    say(f"verify     ...   {placed if known else packed}")
    failures = [result for result in verify(placed if known else packed, level) if not result.ok]
    if failures:
        raise UserError("\n".join(f"{result.name}: {result.detail}" for result in failures))
    say(f"verify     holds ({'quick: verified in full when it was placed' if known else 'every check'})")
    if not known:
        replace_directory(packed, placed)
    print(f"\nrelease    {placed}\nidentity   {read_json(placed / 'MANIFEST.json')['identity']}")
    show_scores(made["evaluation"])
    print("\n".join(["", *summary(placed), ""]))
    sample = read_json(made["evaluation"] / "samples.json")[0]
    print(f"sample     {sample['prompt']}{sample['text']}\n")
    print(f"next       make sample RELEASE={placed}\n           make verify RELEASE={placed}")


def show_scores(evaluation: Path) -> None:
    """One line a score, with its interval where it has one; the yardsticks after the model's own."""
    scores = read_json(evaluation / "scores.json")
    own = ["bits_per_byte", "perplexity", "next_token_accuracy"]
    print()
    for name in [*own, *(name for name in scores if name not in own)]:
        score = scores[name]
        interval = f"[{score['low']:.4f}, {score['high']:.4f}]" if "low" in score else ""
        title = name if name in own else f"yardstick {name}"
        print(f"{title:<28} {score['value']:8.4f} {interval:<18} {score['unit']}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
