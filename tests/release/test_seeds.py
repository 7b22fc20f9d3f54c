"""Trainings that differ in their seed alone stand in a card with their spread; the release's own run is checked."""

import forger
import pytest
import warm as processes

from train.artifact import file_digest, read_json, write_json
from train.humanize import shown
from train.keys import ROOT
from train.release.about import SeedRun, require_table
from train.release.seeds import Spread, seed_run, spread
from train.release.verify.run import verify


@pytest.fixture(scope="module")
def seeds(own_small, own_home):
    """A release that tells of two seeds, made by one command."""
    line = [str(ROOT / "scripts/run.py"), *own_small, "name=seeds", "--multirun", "training.seed=0,1"]
    done = processes.run(line, own_home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify     holds (every check)" in done.stdout
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
    config = read_json(false / "code/config.json")
    config["release"]["seeds"][0]["scores"]["bits_per_byte"] -= 1
    write_json(false / "code/config.json", config)
    forger.reseal(false, ["code/config.json"])
    (result,) = verify(false, "full", ["weights"])
    assert "release.seeds: the run of seed 0.scores.bits_per_byte: " in result.detail


def test_mean_and_standard_deviation():
    bits, pairs = spread([{"bits": bits, "pairs": 0.5} for bits in (1.0, 2.0, 4.5)]).values()
    assert pairs == Spread(0.5, 0.0, 0.5, 0.5) and bits == Spread(2.5, pytest.approx(1.8028, abs=1e-4), 1.0, 4.5)


@pytest.mark.parametrize("runs", [
    [(0, {"bits": 1.0})], [(0, {"bits": 1.0}), (0, {"bits": 1.0})], [(0, {"bits": 1.0}), (1, {"pairs": 1.0})],
])  # fmt: skip
def test_a_table_that_tells_no_spread_is_refused(runs):
    with pytest.raises(ValueError, match="seeds: expected none, or two and more with the same scores"):
        require_table(SeedRun(seed, "", scores) for seed, scores in runs)
