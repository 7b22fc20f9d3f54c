"""Words and n-grams have fixed numbers; an index finds exactly what a search word by word finds."""

import random
import unicodedata

import numpy as np
import pytest

from train.data.dedup.ngrams import Index, ngrams, rolling_ngrams, words


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
