"""Minimal pairs written by a small grammar: two sentences of which one is English and the other, by one change, not.

After BLiMP (Warstadt et al. 2020, arXiv 1912.00582): a model that knows the phenomenon finds the good sentence more
probable. In the templates of `pairs.txt` `<good/bad>` is the change, `{word}` is drawn once a sentence from the list
of that name (`{word2}` is another draw from the list `word`), and a drawn word may itself be `good/bad`. Words are
everyday ones. The two templates of a phenomenon are used in turn, so that no word is always the good one.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from train.data.generated.grammar import Text, parse, read_templates

TEMPLATES = read_templates(Path(__file__).with_suffix(".txt"))
PHENOMENA = TEMPLATES["phenomena"]
DRAWS = 16  # more than a template has words
TRIES = 100  # at another sentence than all before


class Sentence(Text):
    """A text in which each word is drawn once, and no two alike."""

    def word(self, name: str) -> str:
        if name not in self.settled:
            words = map(self.fill, parse(self.templates[name.rstrip("2")]))
            self.settled[name] = self.pick([word for word in words if word not in self.settled.values()])
        return self.settled[name]


def pairs(seed: int, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield (phenomenon, good sentence, bad sentence), `count` of each phenomenon, no good sentence twice.

    They depend on `seed` alone, on any machine; the first pairs of a larger `count` are the same.
    """
    for phenomenon in PHENOMENA:
        before: set[str] = set()
        for number in range(count):
            tries = (pair(seed, phenomenon, number, attempt) for attempt in range(TRIES))
            good, bad = next(pair for pair in tries if pair[0] not in before)
            before.add(good)
            yield phenomenon, good, bad


def pair(seed: int, phenomenon: str, number: int, attempt: int) -> tuple[str, str]:
    """One good and one bad sentence."""
    sentence = Sentence(TEMPLATES["words"], f"{seed}:{phenomenon}:{number}:{attempt}", DRAWS)
    both = sentence.fill(parse(PHENOMENA[phenomenon])[number % 2])
    good, bad = (re.sub(r"<([^</>]*)/([^/>]*)>", rf"\{side}", both) for side in (1, 2))
    return good, bad
