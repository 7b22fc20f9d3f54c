"""Minimal pairs: the same on any machine, different from one another, and apart by one change only."""

import hashlib
import re
from collections import Counter

from train.data.generated.pairs import PHENOMENA, pairs


def test_the_pairs_are_pinned():
    text = "\n".join("|".join(pair) for pair in pairs(1, 50))
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "1fdbd19757869a0ca09e8615fee003f6c6e36bee0a50e0804634490ad0f87e56"
    )


def test_as_many_as_asked_for_of_each_phenomenon_none_twice():
    found = list(pairs(3, 200))
    assert len(PHENOMENA) >= 8
    assert Counter(phenomenon for phenomenon, _, _ in found) == dict.fromkeys(PHENOMENA, 200)
    assert len({(phenomenon, good) for phenomenon, good, _ in found}) == len(found)
    assert not {good for _, good, _ in found} & {bad for _, _, bad in found}


def test_every_sentence_is_one_and_its_pair_differs():
    for _, good, bad in pairs(5, 100):
        assert good != bad
        assert all(re.fullmatch(r"[A-Z][A-Za-z ]+\.", sentence) for sentence in (good, bad))


def test_more_pairs_begin_with_the_same_ones_and_another_seed_has_others():
    few, many = list(pairs(1, 3)), list(pairs(1, 9))
    assert [pair for pair in few if pair not in many] == []
    assert sum(pair in many for pair in pairs(2, 3)) < len(few) / 2
