"""Trainings that differ in their seed alone stand in a card with their spread; the release's own run is checked."""

import forger
import pytest
import warm
from conftest import edit

from train.artifact import file_digest, read_json
from train.humanize import shown
from train.release.about import SeedRun, require_table
from train.release.seeds import seed_run
from train.release.verify.run import verify


@pytest.fixture(scope="module")
def seeds(own_small, own_home):
    """A release that tells of two seeds, made by one command."""
    said = warm.command("release", *own_small, "name=seeds", "--multirun", "training.seed=0,1", cwd=own_home)
    assert "verify     holds (every check)" in said
    return own_home / "releases" / "seeds-0.1.0"


def test_the_card_tells_each_run_and_how_far_they_lie_apart(seeds, release):
    first, second = read_json(seeds / "code/config.json")["release"]["seeds"]
    assert first == seed_run(0, release, release / "evaluation") and second["seed"] == 1
    assert second["weights"] != first["weights"] == file_digest(seeds / "model.safetensors")
    card, bits = (seeds / "README.md").read_text(), [run["scores"]["bits_per_byte"] for run in (first, second)]
    assert f"| 1 | {shown(bits[1])} |" in card and f"`{second['weights']}`" in card
    assert f"| mean | {shown(sum(bits) / 2)} |" in card


def test_what_is_told_of_the_own_seed_otherwise_is_found(seeds, tmp_path):
    false = forger.linked(seeds, tmp_path / "false")
    steps = ("release", "seeds", 0, "scores", "bits_per_byte")
    edit(false / "code/config.json", *steps, by=lambda bits: bits - 1)
    forger.reseal(false, ["code/config.json"])
    (result,) = verify(false, "full", ["weights"])
    assert "release.seeds: the run of seed 0.scores.bits_per_byte: " in result.detail


@pytest.mark.parametrize("runs", [
    [(0, {"bits": 1.0})], [(0, {"bits": 1.0}), (0, {"bits": 1.0})], [(0, {"bits": 1.0}), (1, {"pairs": 1.0})],
])  # fmt: skip
def test_a_table_that_tells_no_spread_is_refused(runs):
    with pytest.raises(ValueError, match="seeds: expected none, or two and more with the same scores"):
        require_table(SeedRun(seed, "", scores) for seed, scores in runs)
