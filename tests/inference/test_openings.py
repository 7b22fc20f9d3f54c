import pytest

from train.inference.generate import openings


@pytest.mark.parametrize(("text", "opening"), [
    ("The farmer went to the market and bought a cow.", "The farmer went to the"),
    ("The farmer went to fields and rested.", "The farmer went to"),
    ("The farmer goes on walk. And then", "The farmer goes on walk."),
    ("农民在山上看日出、可是没有人知道。昨天、孩子给朋友写信。", "农民在山上看日出、可是没有人知道。昨天、孩子给朋"),
    ("كان الولد في البيت مع أمه ثم خرج", "كان الولد في البيت مع"),
    ("  short", "short"),
    ("", ""),
])  # fmt: skip
def test_prompts_are_how_held_out_texts_begin_in_whole_words(text, opening):
    assert openings([text, text, "a third"]) == [opening, opening, ""]
