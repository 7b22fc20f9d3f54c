"""Releases that begin with another one, or of which several differ in their seed alone."""

from dataclasses import replace
from pathlib import Path

import forger
import pytest
import warm
from conftest import MACHINE, edit, failure, refusal

from train import initial, pipeline
from train.artifact import copy_file, file_digest, read_json
from train.humanize import shown
from train.release.about import SeedRun, require_table, seed_run
from train.release.archive import pack
from train.release.prove import replay
from train.release.standards.osaid import ladder
from train.release.verify.run import verify
from train.training.checkpoint import read_tensors, write_tensors

# A training that begins with a release: the same promise, and what of it is left to the release it begins with -------


OTHER_DATA = ["name=later", "data.raw.sources.0.count=480"]


@pytest.fixture(scope="module")
def run(own_home):
    """A function that runs the command, and returns what it says."""
    return lambda *words, **how: warm.command("release", *words, cwd=own_home, **how)


@pytest.fixture(scope="module")
def later(run, own_small, own_home, release) -> Path:
    """A release that goes on from the small one, with other data."""
    run(*own_small, *OTHER_DATA, f"training.init_from={release}")
    return own_home / "releases" / "later-0.1.0"


@pytest.fixture
def folder(release, tmp_path) -> Path:
    """A copy of what is taken of the small release."""
    for name in initial.FILES:
        copy_file(release / name, tmp_path / "taken" / name)
    return tmp_path / "taken"


def first_segment(release: Path, out: Path) -> dict:
    machine, segment = replace(MACHINE, runs=out), replay.segments(release)[0]
    replay.retrain(release, segment, out, machine, pipeline.environment())
    return vars(replay.compare(release, segment, out, machine))


def test_it_begins_with_weights_and_tokenizer_and_says_so(release, later, tmp_path):
    identity = read_json(release / "MANIFEST.json")["identity"]
    for name in initial.FILES:
        assert file_digest(later / initial.FOLDER / name) == file_digest(release / name)
    assert file_digest(later / "tokenizer.json") == file_digest(release / "tokenizer.json")
    assert read_json(later / "provenance/weights.json")["config"]["training"]["init_from"] == identity
    assert read_json(later / "provenance/tokenizer.json")["config"] == identity
    card, openness = (later / "README.md").read_text(), read_json(later / "openness.json")["verdict"]
    assert all(text in card for text in ("tiny-0.1.0", identity, file_digest(release / "model.safetensors")))
    assert openness["begins_with"] == identity and not openness["osaid_1_0"]
    assert not openness["all_training_data_included_and_free"] and openness["mof_class"]["class"] != "I"
    (archive,) = pack(later, tmp_path, by_role=False)
    for said in ("\n".join(ladder(str(later), {})), warm.command("verify", archive, "--quick").rstrip()):
        assert f"the release {identity}, which it begins with" in said.split("\n")[-1]
    assert "training.init_from=..." in read_json(later / "logs/release/asked.json")["overrides"]
    assert first_segment(later, tmp_path)["holds"]


def test_that_release_alone_gives_the_weights_again(run, later, own_small, tmp_path):
    made = [f"machine.runs={tmp_path}", f"machine.init_from={later / initial.FOLDER}", "until=weights"]
    run("--config", str(later / "code/config.json"), own_small[-1], "machine.threads=1", *made)
    (weights,) = tmp_path.glob("weights-*")
    assert read_json(weights / "manifest.json")["products"] == read_json(later / "provenance/weights.json")["products"]


def test_who_names_a_release_that_it_did_not_begin_with_is_found_out(later, folder, tmp_path):
    weights = read_tensors(folder / initial.WEIGHTS)
    write_tensors(folder / initial.WEIGHTS, {name: tensor * 0.5 for name, tensor in weights.items()})
    digest = file_digest(folder / initial.WEIGHTS)
    edit(folder / initial.MANIFEST, "products", initial.WEIGHTS, "sha256", to=digest)
    false = forger.linked(later, tmp_path / "false")
    for name in initial.FILES:
        copy_file(folder / name, false / initial.FOLDER / name)
    edit(false / "code/config.json", "training", "init_from", to=initial.identity_of(folder))
    forger.reseal(false, ["code/config.json"])
    found = {result.name: result for result in verify(false, "full", ["integrity", "weights", "losses"])}
    assert all(found[name].ok for name in ("integrity", "weights")), found
    assert "step 1: loss" in found["losses"].detail
    assert "model.safetensors" in first_segment(false, tmp_path / "out")["problems"][0]


def other(folder: Path, *steps: str) -> dict:
    config = read_json(folder / initial.CONFIG)
    part = config["training"]
    part["init_from"] = initial.identity_of(folder)
    for step in steps[:-2]:
        part = part[step] if step != ".." else config
    if steps:
        part[steps[-2]] = steps[-1]
    return config


def test_what_is_taken_proves_to_be_of_the_release(folder):
    initial.require_initial(folder, other(folder))


@pytest.mark.parametrize(("steps", "says"), [
    (("..", "model", "width", 63), "model.width is 64 in release .*, and 63 here"),
    (("..", "tokenizer", "vocabulary", 300), "tokenizer.vocabulary is 400 in release .*, and 300 here"),
    (("numerics", "contract", "pinned"), "training.numerics.contract is 'exact' in release .*, and 'pinned' here"),
    (("init_from", "0" * 64), "taken: is release [0-9a-f]{64}, and training.init_from asks for 0{64}"),
])  # fmt: skip
def test_what_goes_on_otherwise_is_refused(folder, steps, says):
    refusal(initial.require_initial, folder, other(folder, *steps), match=says)


@pytest.mark.parametrize("name", initial.FILES)
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"{}")])
def test_what_is_not_of_the_release_is_refused(folder, name, spoil):
    config = other(folder)
    spoil(folder / name)
    refusal(initial.require_initial, folder, config, match=name)


def test_a_folder_is_asked_for_in_one_line_before_any_work(run, own_small, tmp_path):
    given = "give its folder, or checkpoints/initial of a release that began with it: machine.init_from=FOLDER"
    for where, says in ((tmp_path, "expected a release's folder or its identity"), ("a" * 64, given)):
        folders = f"training.init_from={where}", f"machine.runs={tmp_path / 'runs'}"
        told = run(*own_small, "name=other", *folders, status=1)
        assert says in told and len(told.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


# Trainings that differ in their seed alone stand in a card with their spread; the release's own run is checked -------


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
    assert "release.seeds: the run of seed 0.scores.bits_per_byte: " in failure(false, "weights")


@pytest.mark.parametrize("runs", [
    [(0, {"bits": 1.0})], [(0, {"bits": 1.0}), (0, {"bits": 1.0})], [(0, {"bits": 1.0}), (1, {"pairs": 1.0})],
])  # fmt: skip
def test_a_table_that_tells_no_spread_is_refused(runs):
    with pytest.raises(ValueError, match="seeds: expected none, or two and more with the same scores"):
        require_table(SeedRun(seed, "", scores) for seed, scores in runs)
