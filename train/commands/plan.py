"""`pellucid plan`: what there is already, what would be made, and what training would take here; nothing is written."""

import argparse
from typing import Any

from train.artifact import read_json
from train.compose import built, requested
from train.training.steps import tokens_seen


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Of every run that is asked for: the stages, whether and where each artifact stands, and what it takes."""
    choices = requested(args.overrides, args.config, args.multirun)
    from train import pipeline

    return [planned(config, args.seconds) for config in [built(pipeline.Run, mapping) for mapping in choices]]


def planned(config: Any, seconds: float) -> dict[str, Any]:
    """The plan of one run, after `seconds` of measuring this machine."""
    from train import pipeline
    from train.training.budget import plan
    from train.training.loop import FitConfig

    where = {name: pipeline.folder(config.machine, record) for name, record in pipeline.plan(config).items()}
    names = list(where)[: list(where).index(config.until) + 1]
    fit = FitConfig(config.model, config.training)
    report = {
        "overrides": list(config.overrides),
        "artifacts": {name: {"folder": str(where[name]), "there": where[name].is_dir()} for name in names},
        "takes": list(plan(fit, config.tokenizer.vocabulary, config.machine, seconds)),
    }
    counts = where["tokens"] / "tokens.json"
    if counts.is_file():
        seen = tokens_seen(config.training.steps, config.training.batch, config.model.context)
        report["passes"] = seen / read_json(counts, "/train/tokens")
        if fit.training.mixture:
            report["mixture"] = fit.order(where["tokens"]).table()
    return report
