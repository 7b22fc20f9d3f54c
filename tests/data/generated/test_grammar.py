"""Texts made by a grammar: the same on any machine, filled in to the last word, and different from one another."""

import hashlib
import re
import subprocess
import sys
from collections import Counter

import pytest

from train.data.generated.grammar import Text, parse
from train.data.generated.pairs import PHENOMENA, pairs
from train.data.generated.stories import DRAWS, TEMPLATES, settle, stories, story

PAIRS = list(pairs(3, 200))
STORIES = [text for _, text in stories(3, 2000)]


@pytest.mark.parametrize("made, sha256", [
    (lambda: "\n".join("|".join(pair) for pair in pairs(1, 50)), "1fdbd19757869a0c"),
    (lambda: repr(list(stories(1, 50))), "c41e7d84a7dbeb87"),
], ids=["pairs", "stories"])  # fmt: skip
def test_texts_are_pinned(made, sha256):
    assert hashlib.sha256(made().encode()).hexdigest()[:16] == sha256


def test_the_same_stories_in_another_process_with_another_hash_seed():
    code = "from train.data.generated.stories import stories; print(repr(list(stories(1, 50))))"
    environment = {"PYTHONHASHSEED": "77", "PATH": ""}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout == repr(list(stories(1, 50))) + "\n"


def test_a_text_depends_on_seed_and_number_alone():
    assert [text for _, text in stories(3, 3)] == STORIES[:3] and story(3, 9) == STORIES[9]
    assert story(8, 0) != STORIES[0] and [name for name, _ in stories(3, 2)] == ["story-000000.txt", "story-000001.txt"]
    few, many = list(pairs(1, 3)), list(pairs(1, 9))
    assert [pair for pair in few if pair not in many] == [] and sum(pair in many for pair in pairs(2, 3)) < len(few) / 2


def test_choices_nest_and_words_take_capitals():
    assert parse("a [b|c\n  [d|e]] f") == (("a ", (("b",), ("c ", (("d",), ("e",)))), " f"),)
    text = Text({}, "any", 0)
    text.draws, text.settled = iter([0, 1, 1, 0]), {"hero": "ann"}
    assert text.draw("{Hero}: [b|c [d|e]]") == "Ann: c e"


def test_every_word_in_every_template_is_known():
    text = Text(TEMPLATES["fresh"], "any", DRAWS)
    settle(text)
    sections = (TEMPLATES[name] for name in ("plots", "settled", "fresh"))
    templates = [template for section in sections for template in (*section, *section.values())]
    words = {word.lower() for template in templates for word in re.findall(r"\{(\w+)\}", template)}
    assert words <= text.settled.keys() | TEMPLATES["fresh"].keys()


def test_stories_are_of_readable_length_and_none_twice():
    words = [len(text.split()) for text in STORIES]
    assert min(words) >= 80 and max(words) <= 260 and len(set(STORIES)) == len(STORIES)
    assert len({text.split("\n")[0] for text in STORIES}) > 100
    assert all(text.endswith("\n") and text.count("\n\n") >= 3 for text in STORIES)


@pytest.mark.parametrize("fault", [
    r"[{}\[\]|=]|  | [,.?!]|,,|\.\.", r"\b[Aa] [aeiouAEIOU]|\b[Aa]n (?!hour|honest)[^aeiouAEIOU]",
    r"[.?!] [a-z]|\n[a-z]",
], ids=["a template's mark", "an article that does not fit", "a sentence that starts with a small letter"])  # fmt: skip
def test_no_story_holds(fault):
    assert not re.search(fault, "\n".join(STORIES))


def test_hero_and_friend_differ_in_pronoun():
    women, men = ({name.strip() for name in TEMPLATES["names"][who].split("|")} for who in ("women", "men"))
    assert not women & men
    for seed in range(50):
        text = Text(TEMPLATES["fresh"], str(seed), DRAWS)
        settle(text)
        assert text.settled["he"] != text.settled["f_he"]
        assert (text.settled["he"] == "he") == (text.settled["hero"] in men) == (text.settled["friend"] in women)


def test_as_many_pairs_as_asked_for_of_each_phenomenon_none_twice():
    assert len(PHENOMENA) >= 8 and Counter(phenomenon for phenomenon, _, _ in PAIRS) == dict.fromkeys(PHENOMENA, 200)
    assert len({(phenomenon, good) for phenomenon, good, _ in PAIRS}) == len(PAIRS)
    assert not {good for _, good, _ in PAIRS} & {bad for _, _, bad in PAIRS}
    sentences = [sentence for _, *pair in PAIRS for sentence in pair]
    assert all(re.fullmatch(r"[A-Z][A-Za-z ]+\.", sentence) for sentence in sentences)
