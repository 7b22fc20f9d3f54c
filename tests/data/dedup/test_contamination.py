"""A planted item is found by its words, whole or in part; documents that share a little with held-out ones stay."""

import pytest

from train.data.dedup.contamination import contaminated, evaluated
from train.data.dedup.ngrams import words

# One of the words is two: ferryman, s.
ITEM = "The ferryman's daughter never told anyone where she had hidden the seven silver spoons of her aunt."
SHORT = "No doctor has ever sold the ring."
LONG = " ".join(f"held{number}" for number in range(112))  # 100 13-grams
FILLER = " ".join(f"other{number}" for number in range(400))
NOTHING = evaluated([])


def found(text, threshold=0.2):
    items = evaluated([("pairs 1", words(ITEM).numbers), ("pairs 2", words(SHORT).numbers)])
    held_out = evaluated([("a page", words(LONG).numbers)])
    # Between two others, of which each has what is half of an item, or of a run of words, together with this one.
    texts = [part(ITEM, 5, 99), text, part(LONG, 0, 12)]
    before, saw, after = contaminated([words(each) for each in texts], threshold, items, held_out)
    assert before is None and after is None
    return saw


def part(text, start, length):
    return " ".join(text.split()[start : start + length])


@pytest.mark.parametrize("number", [12, 17])
def test_thirteen_words_of_an_item_are_enough(number):
    planted = f"{FILLER} {part(ITEM, 0, number).upper()} {FILLER}"
    assert found(planted) == "pairs 1: the ferryman's daughter never told anyone where she had hidden the seven"


def test_twelve_words_of_an_item_are_not():
    assert found(f"{FILLER} {part(ITEM, 0, 11)} {FILLER}") is None


def test_a_short_item_counts_when_it_stands_there_whole():
    assert found(f"{FILLER}\n* no doctor, has ever SOLD the ring {FILLER}").startswith("pairs 2: no doctor, has")
    assert found(f"{FILLER} no doctor has ever sold the {FILLER}") is None


def test_a_document_shares_up_to_the_threshold_with_a_held_out_one():
    at, above = (f"{FILLER} {part(LONG, 40, length)} {FILLER}" for length in (32, 33))  # 20 and 21 13-grams
    assert found(at) is None and found(above) == f"0.21 of held_out a page: {part(LONG, 40, 13)}"


def test_the_share_is_of_the_shorter_one():
    inside = part(LONG, 10, 15)
    assert found(inside) == f"1.00 of held_out a page: {part(LONG, 10, 13)}"
    assert found(f"{inside} {part(FILLER, 0, 15)}") is None  # 3 of 18
    assert found(f"{inside} {part(FILLER, 0, 11)}") is not None  # 3 of 14


def test_with_nothing_to_be_evaluated_on_nothing_is_contaminated():
    assert list(contaminated([words(ITEM)], 0.0, NOTHING, NOTHING)) == [None]
    assert list(contaminated([words("")], 0.0, NOTHING, evaluated([("a page", words(LONG).numbers)]))) == [None]
