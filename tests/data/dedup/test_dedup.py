"""Words, n-grams, near duplicates and what gives away an evaluation."""

import hashlib
import random
import unicodedata

import numpy as np
import pytest

from train.data.dedup import minhash
from train.data.dedup.contamination import contaminated, evaluated
from train.data.dedup.minhash import COMPARED, NONE, ROWS, SIZE, WORDS, components, joined, pairs, similarity
from train.data.dedup.ngrams import Index, grouped, ngrams, rolling_ngrams, words

# Words and n-grams have fixed numbers; an index finds exactly what a search word by word finds -----------------------


@pytest.mark.parametrize(
    "keys, order",
    [
        ([], []),
        ([7, 9, 7], [0, 2, 1]),
        ([2**40, 2**41, 2**40], [0, 2, 1]),  # half of their bits are alike
        ([2**32 + 5, 5, 2**32 + 5, 5], [1, 3, 0, 2]),
    ],
)
def test_equal_numbers_stand_together_in_their_order(keys, order):
    assert grouped(np.array(keys, np.uint64)).tolist() == order


def test_words_are_letters_and_digits_in_lower_case():
    found = words("Straße 42: don't\n\tÉTÉ_x 日本 — end")
    assert [found.text[a:b] for a, b in zip(found.starts, found.ends, strict=True)] == [
        "straße", "42", "don", "t", "été", "x", "日", "本", "end",
    ]  # fmt: skip
    assert found.span(1, 3) == "42: don't" and found.span(3, 2) == "t été"


def split_up(text: str) -> list[str]:
    found = words(text)
    return [found.text[a:b] for a, b in zip(found.starts, found.ends, strict=True)]


@pytest.mark.parametrize(("text", "expected"), [
    ("हिन्दी में नमस्ते", ["हिन्दी", "में", "नमस्ते"]),  # Devanagari: vowel signs and viramas
    ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
    ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
    ("ภาษา", ["ภ", "า", "ษ", "า"]),  # Thai parts no words
    ("ที่นี่", ["ที่", "นี่"]),
    ("မြန်မာ", ["မြ", "န်", "မာ"]),
    ("ខ្មែរ", ["ខ្", "មែ", "រ"]),
    ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),  # Hebrew with points
    ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]),
    ("日本語ですABC漢字x1", ["日", "本", "語", "で", "す", "abc", "漢", "字", "x1"]),
    ("か\u3099き", ["が", "き"]),  # NFD of one syllable
    ("한국어 문장", ["한국어", "문장"]),  # Korean has blanks
    ("e\u0301te\u0301", ["été"]),
    ("አማርኛ፡ቋንቋ", ["አማርኛ", "ቋንቋ"]),
    ("Ελλάδα, Россия", ["ελλάδα", "россия"]),
    ("\u0301 x", ["\u0301", "x"]),  # a mark on nothing
])  # fmt: skip
def test_a_mark_belongs_to_its_letter_and_scripts_without_blanks_go_by_characters(text, expected):
    assert split_up(text) == expected
    assert words(unicodedata.normalize("NFD", text)).numbers.tolist() == words(text).numbers.tolist()


def test_equal_words_have_equal_numbers_wherever_they_stand_and_others_do_not():
    found = words("ab ba Ab b a aba ab")
    assert found.numbers[0] == found.numbers[2] == found.numbers[6] and len(set(found.numbers.tolist())) == 5


def test_numbers_are_pinned_for_they_decide_what_is_kept():
    numbers = [15494578800755060793, 13759720390998664211, 11766456102456819019]
    assert words("Pellucid été 42").numbers.tolist() == numbers
    assert ngrams(words("to be or not to be").numbers, 5).tolist() == [2247974746042204895, 3981981899352413076]


def test_a_text_without_words_has_none():
    for text in ("", " .\n!"):
        assert len(words(text).numbers) == 0
        assert [len(each) for each in rolling_ngrams(words(text).numbers, 3)] == [0, 0, 0]


def test_ngrams_are_equal_where_their_words_are():
    numbers = words("a b c a b c b a").numbers
    two = ngrams(numbers, 2)
    assert two[0] == two[3] and two[1] == two[4] and len(set(two.tolist())) == 5
    assert [len(each) for each in rolling_ngrams(numbers, 10)] == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


def naive(owners, text, longest):
    """Different n-grams of each owner that the text holds, by comparing tuples of words."""

    def grams(sequence, length):
        return {tuple(sequence[i : i + length]) for i in range(len(sequence) - length + 1)} if length else set()

    return [len(grams(o, min(longest, len(o))) & grams(text, min(longest, len(o)))) for o in owners]


def test_the_index_finds_what_a_naive_search_finds():
    draw = random.Random(0)
    owners = [draw.choices("abc", k=draw.randrange(12)) for _ in range(50)] + [list("abcab"), list("abcab")]
    index = Index([words(" ".join(owner)).numbers for owner in owners], 4)
    assert index.sizes.tolist() == naive(owners, draw.choices("abc", k=20000), 4)
    for _ in range(30):
        text = draw.choices("abcd", k=draw.randrange(30))
        found = list(index.find(words(" ".join(text)).numbers))
        assert index.shared({n: np.unique(rows) for n, _, rows in found}).tolist() == naive(owners, text, 4)
        for length, places, rows in found:
            grams = ngrams(words(" ".join(text)).numbers, length)
            assert (grams[places] == index.tables[length].grams[rows]).all()


def test_an_index_of_nothing_finds_nothing():
    for owners in ([], [words("").numbers]):
        index = Index(owners, 4)
        assert list(index.find(words("a b c").numbers)) == [] and index.shared({}).tolist() == [0] * len(owners)


# Known similarities are estimated, planted near duplicates found, and signatures are the same bytes for ever ---------


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


# A planted item is found by its words, whole or in part; documents that share a little with held-out ones stay -------


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
