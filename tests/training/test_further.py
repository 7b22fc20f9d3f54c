"""More steps: a training goes on from a shorter one with the same rates, and has the bytes of one from the start."""

import json

STABLE = ["training.optimizer.schedule=warmup_stable_decay", "training.optimizer.warmup_steps=2", "training.steps=24"]


def test_a_longer_training_goes_on_from_a_shorter_one_and_has_the_bytes_of_one_from_the_start(warm):
    warm(*STABLE, "training.steps=18")
    told = warm(*STABLE)
    assert "goes on from step 12 of " in told and "of 18 steps, with the same rates up to step 14\n" in told
    (further,) = [path for path in (warm.home / "runs").glob("weights-*") if "24" in config_of(path)]
    products, records = further / "manifest.json", further / "witness/log.jsonl"
    products, steps = products.read_bytes(), [json.loads(line)["step"] for line in records.open()]
    warm.begin_anew()
    assert "goes on" not in warm(*STABLE)
    assert products == (warm.artifact("weights") / "manifest.json").read_bytes() and steps == list(range(1, 25))


def config_of(run) -> str:
    return str(json.loads((run / "manifest.json").read_text())["config"]["training"]["steps"])


def test_another_past_is_begun_anew_and_that_is_said(warm):
    cosine = [*STABLE, "training.optimizer.schedule=cosine", "training.optimizer.warmup_steps=1"]
    warm(*cosine, "training.steps=18")
    assert "18 steps, with the same rates up to step 2 (cosine), before its first checkpoint" in warm(*cosine)
    told = warm(*cosine, "training.seed=1")
    assert "begun anew" not in told and "goes on" not in told


def test_what_was_damaged_is_not_gone_on_from(warm):
    warm(*STABLE, "training.steps=18")
    (warm.artifact("weights") / "checkpoints/step-000012/model.safetensors").write_bytes(b"")
    assert "begun anew: " in warm(*STABLE)
