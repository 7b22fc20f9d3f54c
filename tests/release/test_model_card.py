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
