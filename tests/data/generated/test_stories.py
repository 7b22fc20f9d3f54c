import hashlib
import re
import struct
import subprocess
import sys

from train.data.generated.stories import FRESH, MEN, PLOTS, SETTLED, WOMEN, _parse, _settle, _tell, stories, story


def test_a_story_depends_on_seed_and_number_alone():
    ten = list(stories(7, 10))
    assert list(stories(7, 3)) == ten[:3]
    assert story(7, 9) == ten[9][1]
    assert next(stories(8, 1))[1] != ten[0][1]
    assert [name for name, _ in ten[:2]] == ["story-000000.txt", "story-000001.txt"]


def test_the_same_stories_in_another_process_with_another_hash_seed():
    code = "from train.data.generated.stories import stories; print(repr(list(stories(1, 50))))"
    environment = {"PYTHONHASHSEED": "77", "PATH": ""}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout == repr(list(stories(1, 50))) + "\n"


def test_stories_are_of_readable_length_and_hardly_ever_the_same():
    texts = [text for _, text in stories(1, 2000)]
    words = [len(text.split()) for text in texts]
    assert min(words) >= 80
    assert max(words) <= 260
    assert len(set(texts)) == len(texts)
    assert len({text.split("\n")[0] for text in texts}) > 100
    assert all(text.endswith("\n") and text.count("\n\n") >= 3 for text in texts)


def test_every_template_is_filled_in_and_articles_fit():
    text = "\n".join(text for _, text in stories(3, 1000))
    assert not re.search(r"[{}\[\]|=]|  | [,.?!]|,,|\.\.", text)
    assert not re.search(r"\b[Aa] [aeiouAEIOU]|\b[Aa]n (?!hour|honest)[^aeiouAEIOU]", text)
    assert not re.search(r"[.?!] [a-z]|\n[a-z]", text), "a sentence starts with a small letter"


def test_every_word_in_every_template_is_known():
    draws = iter(struct.unpack("<4096I", hashlib.shake_256(b"any").digest(4 * 4096)))
    settled = _settle(draws)
    for template in (*PLOTS, *PLOTS.values(), *FRESH.values(), *SETTLED.values()):
        for word in re.findall(r"\{(\w+)\}", template):
            assert word.lower() in settled.keys() | FRESH.keys(), word


def test_choices_nest_and_words_take_capitals():
    draws = iter([0, 1, 1, 0])
    assert _parse("a [b|c\n  [d|e]] f") == (("a ", (("b",), ("c ", (("d",), ("e",)))), " f"),)
    assert _tell("{Hero}: [b|c [d|e]]", {"hero": "ann"}, draws) == "Ann: c e"


def test_hero_and_friend_differ_in_pronoun():
    women, men = set(WOMEN.split()), set(MEN.split())
    assert not women & men
    for index in range(50):
        draws = iter(struct.unpack("<256I", hashlib.shake_256(bytes([index])).digest(4 * 256)))
        settled = _settle(draws)
        assert settled["he"] != settled["f_he"]
        assert (settled["he"] == "he") == (settled["hero"] in men) == (settled["friend"] in women)
