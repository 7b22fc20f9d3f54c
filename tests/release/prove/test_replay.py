"""A segment trained again reaches the next checkpoint; what does not is named, with its cause."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import warm
from conftest import MACHINE, ROOT, edit, refusal
from little import write_key

from train import pipeline
from train.artifact import read_json
from train.data import schema
from train.data import tokenizer as tokenizers
from train.machine import Machine
from train.model import Transformer, weights_of
from train.release import bundle
from train.release.attest.dsse import opened, public_key
from train.release.differences import environments_apart, tensors_apart
from train.release.prove import replay
from train.release.standards.osaid import ladder
from train.training.checkpoint import read_tensors, write_tensors

FIRST, SECOND = "checkpoints/step-000002", "checkpoints/step-000004"
WEIGHTS = next(stage for stage in pipeline.STAGES if stage.name == "weights")


def command(*arguments: object, status: int) -> str:
    return warm.command("replay", *arguments, "machine.threads=1", status=status)


@pytest.fixture
def machine(tmp_path) -> Machine:
    return replace(MACHINE, micro_batches=2, **dict.fromkeys(("cache", "runs", "releases"), tmp_path))


@pytest.fixture
def replayed(tmp_path_factory, machine):
    """A function that trains a segment in this process, in two slices a batch, and returns the report."""

    def report(release: Path, number: int) -> dict:
        segment, out = replay.segments(release)[number], tmp_path_factory.mktemp("replayed")
        replay.retrain(release, segment, out, machine, pipeline.environment())
        return vars(replay.compare(release, segment, out, machine))

    return report


def change(path: Path, tensor: str, element: tuple[int, ...], by: float) -> None:
    tensors = read_tensors(path)
    tensors[tensor][element] += by
    write_tensors(path, tensors)


def edit_log(release: Path, step: int, **values) -> None:
    path = release / "logs/weights/log.jsonl"
    records = map(json.loads, path.read_text().splitlines())
    records = [record | values if record["step"] == step else record for record in records]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_the_command_holds_from_the_initial_weights_and_from_a_checkpoint(release):
    report = json.loads(command(release, "--segment", 0, "--json", status=0))
    (part,) = report["segments"]
    assert (report["holds"], part["steps"], part["compared"]) == (True, [0, 2], "bit for bit")
    assert (report["nonce"], report["missed"], report["chosen"]) == (None, None, "asked for")
    first, second, last, extent, *rungs = command(release, "--all", status=0).splitlines()
    assert first.startswith("holds  segment 0, steps 1 to 2: bit for bit, ")
    assert second.startswith("holds  segment 1, steps 3 to 4: bit for bit, ")
    assert last.startswith("holds  segment 2, the evaluation: bit for bit, ")
    assert extent.startswith("3 of 3 segments, all, in ")
    assert extent.endswith(" s; a single false one would have been missed with probability 0/3")
    wanted = ladder(str(release), {"intact": "holds", "trained": "holds"})
    assert rungs[: len(wanted)] == wanted


def test_the_nonce_is_of_the_systems_randomness_told_and_signed(copy, tmp_path):
    private, public = write_key(tmp_path / "key.pem")
    first, second = ("--segments", 1, "--attest", private), ("--segments", 1)
    reports = [json.loads(command(copy, *options, "--json", status=0)) for options in (first, second)]
    assert len({report["nonce"] for report in reports}) == 2 and all(len(r["nonce"]) == 32 for r in reports)
    for report in reports:
        numbers = [part["segment"] for part in report["segments"]]
        identity = read_json(copy / "MANIFEST.json")["identity"]
        assert numbers == replay.drawn(identity, report["nonce"], 2, 1) and report["missed"] == "1/2"
    (statement,) = map(opened, copy.parent.glob("copy.replay.*.json"))
    said = json.dumps(statement.predicate)
    assert reports[0]["nonce"] in said and "replay of 1 of 2 segments" in said and '"PASSED"' in said
    assert statement.holds(public_key(public))


@pytest.mark.parametrize(("number", "several", "nonce", "says"), [
    (3, None, None, "segment 3: the segments of this release are 0 to 2"),
    (-1, None, None, "segment -1: the segments of this release are 0 to 2"),
    (None, 0, None, "--segments 0: this release was trained in 2; give 1 to 2, or --all"),
    (None, 3, None, "--segments 3: this release was trained in 2"), (None, 1, "", "--nonce: expected a word"),
    (None, 1, " ", "--nonce: expected a word"), (1, None, "w", "--nonce: is what segments are drawn by"),
    (None, None, "w", "--nonce: is what segments are drawn by"),
])  # fmt: skip
def test_what_cannot_be_chosen_is_refused(release, number, several, nonce, says):
    refusal(replay.choose, release, number, several, nonce, match=re.escape(says))


@pytest.mark.parametrize(("numbers", "nonce", "missed"), [
    ([0], "w", "4/5"), ([0, 1, 4], "w", "2/5"), ([0, 1, 2, 3, 4], None, "0/5"), ([2], None, None),
])  # fmt: skip
def test_what_a_choice_would_have_missed(numbers, nonce, missed):
    assert replay.Choice(numbers, 5, nonce).missed == missed


@pytest.mark.parametrize(("parts", "other", "missed", "holds", "trained"), [
    ((True, True), (), "3/5", True, "holds"),
    ((True, False), (), "3/5", False, "FAILS"),
    ((True, True), ("train/model.py",), "3/5", None, "not checked"),
    ((True, False), ("train/model.py",), "3/5", False, "FAILS"),
    ((True,), (), None, True, None),  # picked: no word on the others
    ((False,), (), None, False, "FAILS"),
])  # fmt: skip
def test_what_segments_establish(parts, other, missed, holds, trained):
    assert replay.holds(parts, other) is holds
    assert replay.outcomes(holds, missed).get("trained") == trained


def test_the_first_segment_starts_from_the_seed_whatever_lies_in_the_release(copy):
    config = bundle.fit_config(copy)
    _, model, optimizer = bundle.resumed(copy, replay.segments(copy)[0].origin)
    fresh = Transformer(config.model, tokenizers.load(copy).vocabulary, config.training.seed)
    assert all(torch.equal(weights_of(model)[name], tensor) for name, tensor in weights_of(fresh).items())
    assert all(not tensor.any() for tensor in optimizer.state.values())


def test_scores_that_are_not_those_of_the_last_checkpoint_differ(copy, reseal):
    edit(copy / "evaluation/scores.json", "bits_per_byte", "value", by=lambda value: value - 0.1)
    reseal(copy)
    said = command(copy, "--segment", 2, status=1)
    assert said.startswith("DIFFERS  segment 2, the evaluation: bit for bit")
    assert re.search(r"evaluation/scores.json: bits_per_byte.value: [\d.]+ is recorded, [\d.]+ was made", said)
    assert "its records are not those of the last checkpoint" in said
    assert "1 of 3 segments, asked for" in said and "of the others this says nothing" in said
    assert "\nFAILS        trained " in said and "\nnot run      made again " in said


def test_other_threads_and_slices_hold_as_well_and_cost_a_share_of_the_training(release, replayed):
    replay.require_same_code(release, pipeline.code(WEIGHTS))
    assert replayed(release, 1)["holds"]
    assert replay.cost(release, [1]) == "2 of 4 steps are trained again, 50% of the training"
    assert replay.cost(release, [0, 1, 2]) == "4 of 4 steps are trained again, 100% of the training, and the evaluation"


def test_the_release_code_trains_elsewhere_and_does_not_see_what_it_has_to_reach(copy, reseal, tmp_path):
    # Another training code, which tells what checkpoints it finds.
    path = copy / "code/train/training/numerics.py"
    more = "import sys\nprint(sorted(p.name for p in Path(sys.argv[1]).glob('checkpoints/step-*')))\n"
    path.write_text(f"{path.read_text()}\n{more}print((Path(sys.argv[1]) / 'model.safetensors').exists())\n")
    edit(copy / "provenance/weights.json", "code", "train/training/numerics.py", by=lambda _: "0" * 64)
    reseal(copy)
    said = command(copy, "--segment", 1, status=2)
    first = "train/training/numerics.py"
    assert said.startswith(f"error: this clone's training code is not that of the release, first in {first}")
    line = [sys.executable, str(ROOT / "scripts/replay.py"), str(copy), "--segment", "1", "--release-code", "--here"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    other = "1 files of it are not as in this clone: train/training/numerics.py"
    assert f"WARNING: what runs is the release's code; {other}" in done.stderr
    assert f"not proved: of the code that ran, {other}" in done.stdout and "['step-000002']\nFalse\n" in done.stderr


def test_the_drawn_segments_follow_from_identity_and_nonce_and_meet_all():
    every = [replay.drawn("a" * 64, str(nonce), 5, 2) for nonce in range(60)]
    assert {number for numbers in every for number in numbers} == set(range(5))
    assert all(len(set(numbers)) == 2 and numbers == sorted(numbers) for numbers in every)
    assert every == [replay.drawn("a" * 64, str(nonce), 5, 2) for nonce in range(60)]
    assert every != [replay.drawn("b" * 64, str(nonce), 5, 2) for nonce in range(60)]
    assert replay.drawn("a" * 64, "w", 5, 5) == list(range(5))


def test_only_what_was_trained_is_drawn_and_the_evaluation_says_nothing_of_that(release):
    choices = [replay.choose(release, None, 1, str(nonce)) for nonce in range(20)]
    assert {(*choice.numbers, choice.missed) for choice in choices} == {(0, "1/2"), (1, "1/2")}
    assert replay.choose(release, None, 2, "w").missed == "0/2"
    assert replay.outcomes(True, replay.choose(release, 2, None, None).missed) == {"intact": "holds"}


def test_segments_follow_from_the_config_and_a_missing_checkpoint_is_an_error(copy, replayed):
    (copy / FIRST / "state.json").unlink()
    found = [(s.start, s.end, s.origin and s.origin.name) for s in replay.segments(copy)]
    assert found == [(0, 2, None), (2, 4, "step-000002")]
    refusal(replayed, copy, 1, match=r"step-000002/state.json: cannot be read")


def test_a_changed_weight_is_named_with_tensor_and_element_by_the_command(copy, reseal):
    change(copy / FIRST / "model.safetensors", "model.layers.1.mlp.up_proj.weight", (3, 5), 0.25)
    reseal(copy)
    said = command(copy, "--segment", 0, status=1)
    assert said.startswith("DIFFERS  segment 0, steps 1 to 2: bit for bit")
    assert f"{FIRST}/model.safetensors: model.layers.1.mlp.up_proj.weight[3, 5]: " in said
    assert "1 elements of 1 tensors differ, by 2.5e-01 at most, typically by 2.5e-01" in said
    assert "not the batches and not the losses, which agree" in said and "environment: the same" in said


LAST = "model.safetensors: not the weights that the last segment reaches"
ALTERED = [  # a file, and its tensor, element and change, if it has any; what a segment then finds
    (f"{FIRST}/model.safetensors", ("model.norm.weight", (7,), 1.0), 1, "", "the first difference is in the loss of "),
    ("model.safetensors", ("model.norm.weight", (0,), 1e-6), 1, LAST, ""),
    (f"{FIRST}/optimizer.safetensors", ("model.norm.weight.first", (7,), 1.0), 0,
     f"{FIRST}/optimizer.safetensors: model.norm.weight.first[7]: ", ""),
    (f"{FIRST}/optimizer.safetensors", ("model.norm.weight.first", (7,), 1.0), 1, f"{SECOND}/model.safetensors: ",
     "the arithmetic: the same batches were read, and the first difference is in an"),
    (f"{FIRST}/state.json", None, 0, f"{FIRST}/state.json: another belongs_to", ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "tensor", "number", "problem", "cause"), ALTERED, ids=range(len(ALTERED)))
def test_what_was_altered_differs_and_so_does_what_follows(
    copy, reseal, replayed, path, tensor, number, problem, cause
):
    if tensor:
        change(copy / path, *tensor)
        reseal(copy)
    else:
        edit(copy / path, "belongs_to", "data", to="0" * 64)
    report = replayed(copy, number)
    assert any(line.startswith(problem) for line in report["problems"]) and cause in str(report["cause"])
    assert len(report["problems"]) == 1 or number


def belong(release: Path) -> None:
    """Let the checkpoints say that they belong to the config that stands there now."""
    config = read_json(release / "code/config.json")
    owner = {name: config[name] for name in ("model", "training")}
    for path in release.glob("checkpoints/step-*/state.json"):
        edit(path, "belongs_to", "config", by=lambda _: owner)


def test_another_order_is_told_apart_from_another_arithmetic(copy, reseal, replayed):
    edit(copy / "code/config.json", "training", "seed", by=lambda seed: seed + 1)
    edit(copy / "provenance/weights.json", "config", "training", "seed", by=lambda seed: seed + 1)
    belong(copy)
    reseal(copy)
    report = replayed(copy, 1)
    assert report["cause"] == "the batch: step 3 read other tokens than are recorded, so seed or order differ"
    assert any(line.startswith("logs/weights/log.jsonl: step 3: loss ") for line in report["problems"])


def test_other_documents_are_told_apart_from_another_order(copy, reseal, replayed):
    path = sorted((copy / "data/documents").glob("*.parquet"))[0]
    rows = [{**row, "text": "!" + row["text"][1:]} for row in schema.read_rows([path])]
    schema.write_rows(path, rows, schema.SELECTED)
    reseal(copy)
    report = replayed(copy, 1)
    assert not report["holds"] and report["cause"].startswith("the data: the documents, encoded anew, do not give")


def test_a_log_that_tells_other_losses_or_none_is_named(copy, replayed):
    edit_log(copy, 4, loss=5.0)
    (line,) = replayed(copy, 1)["problems"]
    assert line.startswith("logs/weights/log.jsonl: step 4: loss 5.0 is recorded, ")
    edit_log(copy, 3, loss="[")
    assert replayed(copy, 1)["problems"] == ["logs/weights/log.jsonl: no record of step 3"]


def test_outside_exact_another_stack_is_compared_by_tolerance(copy, reseal, replayed):
    for path, steps in (("code/config.json", ()), ("provenance/weights.json", ("config",))):
        edit(copy / path, *steps, "training", "numerics", "contract", by=lambda _: "pinned")
    belong(copy)
    reseal(copy)
    report = replayed(copy, 1)
    assert report["holds"] and report["compared"] == "by tolerance: the contract is pinned, the stack another"
    write_tensors(copy / SECOND / "model.safetensors", read_tensors(copy / FIRST / "model.safetensors"))
    reseal(copy)
    report = replayed(copy, 1)
    assert f"{SECOND}/model.safetensors: is off by " in report["problems"][0]


def test_what_is_not_whole_or_no_release_is_an_error(copy, tmp_path):
    (copy / "NOTICE").unlink()
    assert "error: integrity: NOTICE: missing" in command(copy, status=2)
    assert command(tmp_path / "nowhere", status=2).startswith("error: ")
    assert "only machine.KEY=VALUE" in command(copy, "training.steps=5", status=2)


W = torch.tensor([[0.0, float("nan")], [1.0, 2.0]])


@pytest.mark.parametrize(("one", "other", "says"), [
    (W, W.clone(), None), (W, torch.tensor([[-0.0, float("nan")], [1.0, 2.0]]), "w[0, 0]: 0.0 is recorded"),
    (W, W.T, "w[0, 1]: nan is recorded"), (W, None, "other tensors: v, w"),
    (W, W.double(), "w: torch.float32 (2, 2) is recorded, torch.float64 (2, 2) was made"),
    (W[1, 0], W[1, 1], "w[]: 1.0 is recorded, 2.0 was made; 1 elements"),
])  # fmt: skip
def test_tensors_are_compared_by_their_bits(one, other, says):
    found = tensors_apart({"w": one}, {"v": one} if other is None else {"w": other})
    assert found is None if says is None else found.startswith(says)


def test_environments_differ_in_what_could_matter():
    told = {"torch": "2.1", "seconds": 3, "packages": {"numpy": "2.4", "tqdm": "4"}}
    found = {"torch": "2.2", "seconds": 4, "packages": {"numpy": "2.5", "tqdm": "4"}}
    assert environments_apart(told, found) == {"torch": ["2.1", "2.2"], "package numpy": ["2.4", "2.5"]}
