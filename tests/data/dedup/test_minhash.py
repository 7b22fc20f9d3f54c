"""Known similarities are estimated, planted near duplicates found, and signatures are the same bytes for ever."""

import hashlib
import random

import numpy as np
import pytest

from train.data.dedup import minhash
from train.data.dedup.minhash import COMPARED, NONE, ROWS, SIZE, WORDS, components, joined, pairs, similarity
from train.data.dedup.ngrams import ngrams, words

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgklmnpr" for b in "aeiou" for c in "lmnrst"]


def text(seed, length=400):
    return " ".join(random.Random(seed).choices(VOCABULARY, k=length))


def changed(original, share, seed=0):
    """The text with a share of its words replaced by words that it does not hold."""
    draw, found = random.Random(seed), original.split()
    for place in draw.sample(range(len(found)), round(share * len(found))):
        found[place] = f"changed{place}"
    return " ".join(found)


def signatures(*texts):
    return minhash.signatures([words(each).numbers for each in texts])


def clusters(found, threshold):
    """For each text the first one of its cluster."""
    return components(len(found), pairs(found, threshold))


def jaccard(one, other):
    a, b = (set(ngrams(words(each).numbers, WORDS).tolist()) for each in (one, other))
    return len(a & b) / len(a | b)


def test_signatures_are_pinned_for_they_decide_what_is_kept():
    found = signatures("The quick brown fox jumps over the lazy dog, and naïve Ωmega runs.")[0]
    assert found.dtype == np.uint32 and found.shape == (SIZE,)
    digest = "0505e4e1bc27560bfcbb451254b25c46ea0664fae4a8ae218e69e4b4209ea7c7"
    assert hashlib.sha256(found.astype("<u4").tobytes()).hexdigest() == digest


@pytest.mark.parametrize("share", [0.0, 0.01, 0.03, 0.1, 1.0])
def test_the_estimate_is_near_the_jaccard_similarity(share):
    exact, found = [], []
    for seed in range(8):
        pair = text(seed), changed(text(seed), share, seed)
        exact.append(jaccard(*pair))
        found.append(similarity(*signatures(*pair)))
    assert np.mean(found) == pytest.approx(np.mean(exact), abs=0.04)  # three standard deviations of the mean of eight


def test_case_and_punctuation_do_not_tell_texts_apart():
    one, other = signatures("One two, three four -- five six.", "ONE two three (four) five; six!")
    assert (one == other).all()


def test_a_text_has_the_same_signature_alone_and_among_others():
    texts = ["", text(1, 3), text(2, 4), text(3, 5), "", text(4, 5000), text(5, 6), "!"]
    assert (signatures(*texts) == np.concatenate([signatures(each) for each in texts])).all()


def test_planted_near_duplicates_are_found_and_nothing_else():
    texts = [text(seed) for seed in range(40)]
    planted = [changed(texts[number], 0.01, number) for number in range(20)]
    found = clusters(signatures(*texts, *planted), 0.8)
    assert found.tolist() == [*range(40), *range(20)]


def test_what_is_less_alike_than_the_threshold_is_no_duplicate():
    pair = text(1), changed(text(1), 0.02)
    assert 0.8 < jaccard(*pair) < 0.86 and clusters(signatures(*pair), 0.7).tolist() == [0, 0]
    assert clusters(signatures(*pair), 0.95).tolist() == [0, 1]


def test_a_chain_is_one_cluster():
    first = text(1)
    second, third = changed(first, 0.012, 1), changed(changed(first, 0.012, 1), 0.012, 2)
    found = signatures(first, second, third, text(2))
    assert similarity(found[0], found[2]) < 0.85 < min(similarity(found[0], found[1]), similarity(found[1], found[2]))
    assert clusters(found, 0.85).tolist() == [0, 0, 0, 3]


def test_texts_of_too_few_words_are_like_nothing():
    found = signatures("one two three four", "one two three four", "!!", "!!")
    assert (found == NONE).all() and clusters(found, 0.5).tolist() == [0, 1, 2, 3]


def test_what_is_joined_does_not_depend_on_texts_that_are_missing():
    middle = text(1)
    one, other = (changed(middle, 0.02, seed) for seed in (1, 2))
    found = signatures(one, middle, other)
    assert similarity(found[0], found[2]) < 0.8 < min(similarity(found[1], each) for each in found[::2])
    assert clusters(found, 0.8).tolist() == [0, 0, 0] and clusters(found[::2], 0.8).tolist() == [0, 1]


def test_the_clusters_do_not_depend_on_the_order_of_the_texts():
    texts = [text(seed) for seed in range(10)] + [changed(text(seed), 0.01, seed) for seed in range(10)]
    order = random.Random(1).sample(range(20), 20)
    found = clusters(signatures(*texts), 0.8)
    mixed = clusters(signatures(*(texts[i] for i in order)), 0.8)
    for i, one in enumerate(order):
        assert [found[one] == found[other] for other in order] == (mixed[i] == mixed).tolist()


def test_unlike_texts_that_share_a_band_are_compared_in_linear_time():
    """Each comparison has a row of the table that it asks for; 5,000 texts, two by two, would be 12 million."""
    found = np.random.default_rng(0).integers(0, 2**32, (5_000, SIZE), np.uint32)
    found[:, :ROWS] = 7
    found[COMPARED] = found[0]
    compared = 0

    class Counted(np.ndarray):
        def __array_ufunc__(self, function, method, *inputs, **options):
            nonlocal compared
            inputs = [np.asarray(each) for each in inputs]
            compared += len(inputs[0]) if function is np.equal else 0
            return getattr(function, method)(*inputs, **options)

    joins = list(joined(np.arange(len(found), dtype=np.uint64), lambda some: found[some].view(Counted), 0.7, 0))
    assert joins == [(0, COMPARED)] and compared <= COMPARED * len(found)
