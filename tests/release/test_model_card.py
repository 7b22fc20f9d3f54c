"""The model card follows its records."""

from train.artifact import read_json, write_json
from train.release.model_card import model_card


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
