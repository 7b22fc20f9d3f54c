"""The byte 4-gram model, counted by hand and as a probability; the compressors."""

import lzma
import math

import numpy as np
import pytest

from train.evaluation import baselines
from train.evaluation.baselines import compressed_size, count_grams, grams_of

TEXTS = [b"the cat sat on the mat", b"a mat, a cat, a hat", bytes(range(256)), b""]


def test_grams_end_in_each_byte_and_the_end_mark():
    assert [f"{code:08x}" for code in grams_of(b"abc")] == ["00000061", "00006162", "00616263", "61626300"]


def test_a_text_of_one_byte_by_hand():
    # Seen: "a", then the end, each once. With no context: c = 1 of C = 2, T = 2 kinds.
    empty = (1 + 2 / 256) / 4
    # Each longer context (NULs before "a"; then "a" before the end) was seen once, before one kind of byte.
    after = empty
    for _ in range(3):
        after = (1 + after) / 2
    assert count_grams([b"a"]).bits(b"a") == pytest.approx(-2 * math.log2(after), abs=1e-12)


def test_an_unseen_byte_by_hand():
    # "b" is new: no context; nor is anything known after it, so its end is predicted without context.
    first = 2 / 256 / 4 / 2 / 2 / 2
    end = (1 + 2 / 256) / 4
    assert count_grams([b"a"]).bits(b"b") == pytest.approx(-math.log2(first) - math.log2(end), abs=1e-12)


@pytest.mark.parametrize("context", [b"\0\0\0", b"\0\0t", b"the", b"at ", b"xyz", b"\xff\xfe\xfd", b" ca", b"zca"])
def test_sums_to_one_over_all_next_bytes(context):
    codes = np.array([int.from_bytes(context + bytes([byte]), "big") for byte in range(256)], np.uint32)
    p = count_grams(TEXTS).probability(codes)
    assert p.min() > 0 and p.sum() == pytest.approx(1, abs=1e-12)


def test_beats_uniform_on_text_like_its_own_and_pays_for_noise():
    model, text, noise = count_grams([b"the cat sat on the mat. " * 20]), b"the mat sat", bytes(range(128, 160))
    assert model.bits(text) < 8 * (len(text) + 1) and model.bits(noise) > 8 * (len(noise) + 1)


def test_chunks_and_order_do_not_matter(monkeypatch):
    whole = count_grams(TEXTS)
    monkeypatch.setattr(baselines, "GRAMS_AT_A_TIME", 5)
    for texts in (TEXTS, TEXTS[::-1]):
        for one, other in zip(whole.orders, count_grams(texts).orders, strict=True):
            for column in vars(one):
                assert np.array_equal(getattr(one, column), getattr(other, column))


def test_xz_reads_all_texts_as_one_stream():
    texts = [text for text in TEXTS if text] * 3
    assert compressed_size(texts) == len(lzma.compress(b"".join(texts), preset=9))
