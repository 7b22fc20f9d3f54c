"""The model card follows its records."""

from train.artifact import read_json, write_json
from train.release.cards.model_card import model_card
from train.release.standards.osaid import RUNGS, WORD


def test_both_cards_show_the_ladder_of_proof_by_the_same_table(release):
    name = release.name
    rows = "".join(f"| {rung.name} | {rung.establishes} | `{rung.command(name)}` |\n" for rung in RUNGS)
    for path in ("README.md", "data/README.md"):
        assert (
            f"{rows}\nNo rung establishes the rest: {WORD}.\n\n## How to make it again\n"
            in (release / path).read_text()
        )


def test_a_changed_record_changes_the_card(copy):
    before = model_card(copy)
    assert before == (copy / "README.md").read_bytes()
    scores = read_json(copy / "evaluation/scores.json")
    scores["bits_per_byte"]["value"] = 1.2345
    write_json(copy / "evaluation/scores.json", scores)
    assert b"1.2345" in model_card(copy) and b"1.2345" not in before


def test_minimal_pairs_stand_on_the_card_as_recorded(copy):
    found = read_json(copy / "evaluation/minimal_pairs.json")
    assert found["pairs"]["pairs"] == 600 and len(found["pairs"]["groups"]) == 12
    agreement = found["pairs"]["groups"]["subject_verb_agreement"]
    assert agreement["pairs"] == 50
    share, low, high = (f"{agreement[name]:.4f}" for name in ("value", "low", "high"))
    assert f"| subject verb agreement | {share} | {low} to {high} | 50 |" in (copy / "README.md").read_text()
    write_json(copy / "evaluation/minimal_pairs.json", {})
    assert b"No minimal pairs were used." in model_card(copy)


def test_the_card_tells_how_training_was_set(copy):
    config = read_json(copy / "code/config.json")
    training = config["training"]
    training["batch"] = 48
    changes = {"weight_decay": 0.0625, "clip": 0.875, "warmup_steps": 77, "decay_fraction": 0.35, "beta2": 0.9375}
    training["optimizer"] |= {**changes, "schedule": "warmup_stable_decay"}
    write_json(copy / "code/config.json", config)
    card = model_card(copy).decode()
    size = 48 * config["model"]["context"]
    for row in (
        f"| batch | 48 windows, {size:,} tokens a step |",
        "| weight decay, of matrices | 0.0625 |",
        "| clipping, of the norm of the whole gradient | 0.8750 |",
    ):
        assert row in card
    assert (
        "up in 77 steps, level, then down to 0 along a line in the last 35% of the steps" in card and "0.9375" in card
    )


def test_the_card_claims_no_test_that_nobody_recorded(release):
    card = (release / "README.md").read_text()
    assert "nobody has recorded" in card and "The tests in `code/` run" not in card
