"""Stories written by a small grammar: a corpus that needs no network, for lessons, tests and the recipe `tiny`.

A story is a plot whose people, place and thing are drawn once and kept to the end. Its templates are in `stories.txt`:
one of each entry under `settled` is drawn when a story begins, those under `fresh` each time they are named. The hero
is {he} {him} {his}; the same words after `f_`, `k_`, `t_` are the friend, the kin, the trader.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from train.data.generated.grammar import Text, read_templates

TEMPLATES = read_templates(Path(__file__).with_suffix(".txt"))
PRONOUNS = (("she", "her", "her"), ("he", "him", "his"))
SMALL = {"a", "and", "at", "in", "of", "on", "that", "the", "to"}  # words without a capital in a title
DRAWS = 512  # far more than any story uses; running out would be a bug


def stories(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of `count` stories; story i depends on `seed` and i alone, on any machine."""
    for index in range(count):
        yield f"story-{index:06d}.txt", story(seed, index)


def story(seed: int, index: int) -> str:
    """One story of some hundred words: a title, a blank line, and paragraphs parted by blank lines."""
    text = Text(TEMPLATES["fresh"], f"{seed}:{index}", DRAWS)
    title, plot = text.pick(tuple(TEMPLATES["plots"].items()))
    settle(text)
    words = text.draw(title).split()
    title = " ".join(word if word in SMALL else word[0].upper() + word[1:] for word in words)
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", f"{title}\n\n{text.draw(plot)}\n")


def settle(text: Text) -> None:
    """Draw the people and things of one story. Hero and friend differ in pronoun, so it is clear who is meant."""
    settled, names = text.settled, TEMPLATES["names"]
    for name, template in TEMPLATES["settled"].items():
        settled[name] = text.draw(template)
    settled["question"], settled["answer"] = settled.pop("riddle").split("=")
    settled["thing"] = f"{settled['look']} {settled['noun']}"
    man = text.pick((0, 1))
    settled["hero"] = text.draw(names[("women", "men")[man]])
    settled["friend"] = text.draw(names[("men", "women")[man]])
    settled["one"], settled["f_one"] = ("girl", "boy")[man], ("boy", "girl")[man]
    elder, trader = text.pick((0, 1)), text.pick((0, 1))
    settled["kin"] = text.draw(names[("elder_women", "elder_men")[elder]])
    for prefix, who in (("", man), ("f_", 1 - man), ("k_", elder), ("t_", trader)):
        settled |= dict(zip((prefix + "he", prefix + "him", prefix + "his"), PRONOUNS[who], strict=True))
