"""Mixtures through the commands: what they share, what they leave as it was, and a release that is made of one."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT, Command, hydra, refusal, source

from train import pipeline
from train.compose import compose
from train.config import build
from train.errors import ConfigError
from train.explore import queries
from train.explore.lineage import lineage
from train.training.loop import FitConfig

STORIES = {"kind": "stories", "licence": "Apache-2.0", "include": ["stories.jsonl"]}
KEYS = source(**STORIES, seed=0, count=0).keys() - {"path", "sha256", "columns", "mirrors"}
TWO = [source(**STORIES, purl=f"pkg:generic/stories@{n}", seed=n, count=count) for n, count in ((1, 700), (2, 300))]
SOURCES = f"data.raw.sources={hydra([{key: each[key] for key in KEYS} for each in TWO])}"


def mixture(*stages):
    """An override: of each stage its share, and the weights of the two sources."""
    part = lambda name, number, weight: {"name": name, "sources": [f"*@{number}"], "weight": weight}  # noqa: E731
    made = [{"share": share, "parts": [part("first", 1, a), part("second", 2, b)]} for share, a, b in stages]
    return f"training.mixture={hydra(made)}"


def config(*overrides):
    return build(pipeline.Run, compose(["recipe=tiny", SOURCES, *overrides]))


def test_a_sweep_over_mixtures_shares_all_that_is_made_of_the_data():
    plans = [pipeline.plan(config(*some)) for some in ([], [mixture((1, 1, 1))], [mixture((0.5, 1, 1), (0.5, 3, 1))])]
    apart = {name for name in plans[0] if len({each[name].key for each in plans}) > 1}
    assert apart == {"weights", "evaluation", "release"}


def test_a_checkpoint_without_a_mixture_belongs_to_what_it_always_did():
    run, other = config(), config(mixture((1, 1, 1)))
    owners = [FitConfig(each.model, each.training).owner("data")["config"]["training"] for each in (run, other)]
    assert owners[1].keys() - owners[0].keys() == {"mixture"} and "repeats" not in owners[0]


@pytest.mark.parametrize(("override", "error"), [
    (mixture((0.5, 1, 1)), "training.mixture: expected shares of the steps that add up to 1, got 0.5"),
    (mixture((0.999, 1, 1), (0.001, 1, 1)), "training.mixture[1].share: of 200 steps this is none"),
    (mixture((1, 0, 0)), "training.mixture[0].parts: expected weights that add up to above 0"),
    (mixture((1, 1, -1)), "training.mixture[0].parts[1].weight: expected at least 0, got -1.0"),
    (mixture((1, 1, 1)).replace("@2", "@3"), "training.mixture[0].parts[1].sources[0]: '*@3' names no source"),
    (mixture((1, 1, 1)).replace("@2", ""), "training.mixture[0].parts: 'first' and 'second' both hold pkg:generic"),
    ("training.repeats=few", "training.repeats: expected null or one of 'many', got 'few'"),
])  # fmt: skip
def test_what_no_text_could_mend_is_refused_by_its_path_before_anything_is_made(override, error):
    refusal(config, override, match=re.escape(error), error=ConfigError)


@pytest.mark.slow
def test_a_release_of_a_mixture_is_verified_replayed_and_explored(tmp_path):
    command, mixed = Command(tmp_path), mixture((0.75, 3, 1), (0.25, 1, 3))
    command(SOURCES, mixed)
    made, release = command.products(), tmp_path / "releases/tiny-0.1.0"
    for verb in (["verify", release], ["replay", release, "--segment=1"]):
        line = [sys.executable, "-m", "train", *map(str, verb)]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    read = lineage(release)
    for number, shares in ((1, (12, 4)), (18, (12, 4)), (19, (4, 12)), (24, (4, 12))):
        of = [each["of"] for each in queries.step(read, number)["sequences"]]
        assert tuple(of.count([f"pkg:generic/stories@{seed}"]) for seed in (1, 2)) == shares
    rows = json.loads((release / "provenance/facts.json").read_text())["mixture"]
    assert [row["tokens"] for row in rows] == [n * 32 for n in (18 * 12, 18 * 4, 6 * 4, 6 * 12)]
    assert all(f"| {row['tokens']:,} |" in (release / card).read_text() for row in rows
               for card in ("README.md", "data/README.md"))  # fmt: skip
    for path in (tmp_path / "runs").glob("weights-*"):
        path.rename(path.with_suffix(".before"))
    command(SOURCES, mixed, "until=weights", "machine.micro_batches=4")
    assert command.products() == made
