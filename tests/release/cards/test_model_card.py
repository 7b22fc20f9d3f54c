"""The model card follows its records."""

from conftest import edit

from train.artifact import read_json, write_json
from train.release.cards.model_card import model_card
from train.release.standards.osaid import RUNGS, WORD


def test_both_cards_show_the_ladder_of_proof_by_the_same_table(release):
    name = release.name
    rows = "".join(f"| {rung.name} | {rung.establishes} | `{rung.command(name)}` |\n" for rung in RUNGS)
    for path in ("README.md", "data/README.md"):
        rest = f"\nNo rung establishes the rest: {WORD}.\n\n## How to make it again\n"
        assert rows + rest in (release / path).read_text()


def test_a_changed_record_changes_the_card(copy):
    before = model_card(copy)
    assert before == (copy / "README.md").read_bytes()
    edit(copy / "evaluation/scores.json", "bits_per_byte", "value", to=1.2345)
    assert b"1.2345" in model_card(copy) and b"1.2345" not in before


def test_how_sure_an_interval_is_stands_beside_it(copy):
    edit(copy / "code/config.json", "evaluation", "confidence", to=0.05)
    told = "Intervals, all of 5 %, are by bootstrap over documents, drawn 20 times."
    assert told in model_card(copy).decode()


def test_minimal_pairs_stand_on_the_card_as_recorded(copy):
    found = read_json(copy / "evaluation/minimal_pairs.json")
    assert found["pairs"]["pairs"] == 120 and len(found["pairs"]["groups"]) == 12
    agreement = found["pairs"]["groups"]["subject_verb_agreement"]
    assert agreement["pairs"] == 10
    share, low, high = (f"{agreement[name]:.4f}" for name in ("value", "low", "high"))
    assert f"| subject verb agreement | {share} | {low} to {high} | 10 |" in (copy / "README.md").read_text()
    groups = found["pairs"]["groups"]
    values = [(0.5, 0.4, 0.6), (0.4375, 0.3, 0.6), (0.0625, 0.02, 0.2)]
    for group, (value, low, high) in zip(groups.values(), [*values, *[(0.75, 0.6, 0.9)] * 9], strict=True):
        group |= {"value": value, "low": low, "high": high}
    write_json(copy / "evaluation/minimal_pairs.json", found)
    _, second, third, *_ = (name.replace("_", " ") for name in groups)
    below = f"Below the chance level of 0.5: {second} at 0.4375; {third} at 0.0625, its interval too.\n"
    assert below in model_card(copy).decode()
    found["pairs"]["groups"] = {"one": {**agreement, "value": 0.5}}
    write_json(copy / "evaluation/minimal_pairs.json", found)
    assert "No phenomenon is below the chance level of 0.5.\n" in model_card(copy).decode()
    write_json(copy / "evaluation/minimal_pairs.json", {})
    assert b"No minimal pairs were used." in model_card(copy)


def test_the_card_tells_how_training_was_set(copy):
    config = read_json(copy / "code/config.json")
    training = config["training"]
    training["batch"] = 48
    changes = {"weight_decay": 0.0625, "clip": 0.875, "warmup_steps": 77, "decay_fraction": 0.35, "beta2": 0.9375}
    training["optimizer"] |= {**changes, "schedule": "warmup_stable_decay"}
    config["release"]["trials"] = [{"settings": "width 192", "tokens": 9000, "seconds": 30, "bits_per_byte": 2.125}]
    write_json(copy / "code/config.json", config)
    card = model_card(copy).decode()
    size = 48 * config["model"]["context"]
    schedule = "up in 77 steps, level, then down to 0 along a line in the last 35% of the steps"
    rows = ("| weight decay, of matrices | 0.0625 |", "| clipping, of the norm of the whole gradient | 0.8750 |",
            f"| batch | 48 windows, {size:,} tokens a step |", "| width 192 | 9,000 | 30 | 2.1250 |")  # fmt: skip
    assert all(text in card for text in (*rows, schedule, "0.9375"))


def test_the_card_is_titled_by_its_recipe_and_shows_what_its_scores_are_of(release):
    card = (release / "README.md").read_text()
    assert "\n# Pellucid tiny model 0.1.0\n" in card
    digest = read_json(release / "data/statistics.json")["digests"]["held_out"]
    assert f"`{digest}`" in card and "less is better, of shares more" in card and "(logs/weights/loss.svg)" in card
    score = read_json(release / "evaluation/scores.json")["byte_4gram"]
    row = f"| byte 4gram, a baseline | {score['value']:.4f} | {score['low']:.4f} to {score['high']:.4f} "
    assert f"{row}| {score['unit']} | {score['documents']} | {score['tokens']:,} |" in card


def test_the_card_claims_no_test_that_nobody_recorded(release):
    card = (release / "README.md").read_text()
    assert "nobody has recorded" in card and "The tests in `code/` run" not in card
