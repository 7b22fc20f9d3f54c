"""Words, lines and paragraphs are those of plain Python, whatever the characters."""

import random
import re
from functools import partial

import pytest

from train.data.filters import pii, quality, repetition
from train.data.filters.pieces import Shapes
from train.data.filters.repetition import duplicate_lines, top_ngrams

SIGNS = [*"ab.#é中₂1_\0\u0301\u200c\U0001d7d8 \t\r\v\f\x1c\x1f\x85\xa0\u2028\u3000\n\n", "\n \n", "\r\n", "word"]
TEXTS = ["", " ", "\n\n", "a", "".join(map(chr, range(0xD800))), " ".join(map(chr, range(0xE000, 0x110000, 7)))]
TEXTS += ["".join(random.Random(seed).choices(SIGNS, k=seed % 40)) for seed in range(400)]


def stripped(pieces):
    return [piece for piece in map(str.strip, pieces) if piece]


@pytest.mark.parametrize("kind", ["words", "lines", "paragraphs"])
def test_pieces_are_those_of_plain_python_and_equal_ones_have_one_number(kind):
    plain = {"words": str.split, "lines": str.splitlines, "paragraphs": lambda text: re.split(r"\n\s*\n", text)}
    for text in TEXTS:
        shape = Shapes([text])
        pieces = getattr(shape, kind)
        found = [text[start:end] for start, end in zip(*map(list, pieces), strict=True)]
        assert found == stripped(plain[kind](text))
        assert len(set(found)) == len(set(shape.numbers(pieces).tolist()))


OF_QUALITY = (quality.word_counts, quality.mean_lengths, quality.symbols, quality.alphabetic_words, quality.lines)
OTHERS = (pii.suspicious, repetition.ngram_shares)
MEASURES = {each.__name__: each for each in (*OF_QUALITY, *OTHERS)}
MEASURES |= {f"repeated {kind}": partial(repetition.repeats, kind=kind) for kind in ("lines", "paragraphs")}


@pytest.mark.parametrize("measure", MEASURES)
def test_a_text_measures_the_same_alone_and_among_others(measure):
    texts = [*TEXTS, *TEXTS, "-", "*", "a b " * 9, "b a " * 9, f"x ghp_{'a' * 36}", "\n- a\n..."]
    alone = [MEASURES[measure](Shapes([text])).tolist() for text in texts]
    assert MEASURES[measure](Shapes(texts)).tolist() == [row for (row,) in alone]


def test_a_text_of_any_length_is_judged():
    long = "one two three four\n" * 80_000
    assert duplicate_lines(long, 0.5) == "1.0000 of lines"
    assert top_ngrams(long, [0.3]) == "0.6000 of the text is one 2-gram"
