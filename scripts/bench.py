"""Speed and quality of data stages, each beside a peer in the same run: `python scripts/bench.py [NAME] [OVERRIDES]`.

What it runs on is made by the pipeline: the reference corpus, or what OVERRIDES after the name say. Times are of the
processor on one core, so that other work on the machine does not count. Peers come with the extra `bench`; one that
is missing is left out, and said so.
"""

import argparse
import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from run import compose  # type: ignore[import-not-found]

from train import pipeline
from train.config import build
from train.data import near_duplicates as minhash
from train.data.ngrams import Index, ngrams, words
from train.data.selected import SPLITS, kept_documents
from train.terminal import guarded

T = TypeVar("T")
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1)  # of the words of a planted near duplicate that are others
PLANTED = 100  # near duplicates of each kind, among twice as many texts


def near_duplicates(config: pipeline.Run) -> None:
    """Speed on the corpus, then recall and precision on near duplicates planted in it, at several similarities.

    Recall is the share of planted pairs that do not both stay; precision the share of dropped texts to which another
    one has at least the threshold's exact Jaccard similarity of word 5-grams.
    """
    selected = pipeline.run(config, say=lambda line: None)["selected"]
    texts = [row["text"] for split in SPLITS for row in kept_documents(selected, split)]
    threshold = config.data.selected.near_duplicates
    contestants: dict[str, Callable[[Sequence[str]], set[int]]] = {
        "pellucid": lambda texts: dropped_by_us(texts, threshold),
        **({"datatrove": dropped_by_datatrove} if installed("datatrove", "spacy") else {}),
    }
    say_speed(contestants, texts, sum(len(text.encode()) for text in texts))
    texts = [text for text in texts if len(text.split()) >= 200][: 2 * PLANTED]
    print(f"{'words changed':>14} {'similarity':>10}" + "".join(f"{name:>32}" for name in contestants))
    for share in SHARES:
        every = [*texts, *(changed(text, share) for text in texts[:PLANTED])]
        pairs = [(place, len(texts) + place) for place in range(min(PLANTED, len(texts)))]
        numbers = [words(text).numbers for text in every]
        index = Index([ngrams(each, minhash.WORDS) for each in numbers], 1)
        alike = [jaccard(index, numbers, other)[place] for place, other in pairs]
        line = f"{share:>14.1%} {np.mean(alike):>10.2f}"
        for find in contestants.values():
            dropped = find(every)
            recall = np.mean([bool({*pair} & dropped) for pair in pairs])
            precision = np.mean([jaccard(index, numbers, each).max() >= threshold for each in dropped] or [1])
            line += f"recall {recall:.2f} precision {precision:.2f}".rjust(32)
        print(line)


def dropped_by_us(texts: Sequence[str], threshold: float) -> set[int]:
    """The places of the texts that are dropped."""
    signatures = np.array([minhash.signature(words(text).numbers) for text in texts])
    kept = minhash.keep(signatures, np.array([len(text) for text in texts]), threshold)
    return set(np.flatnonzero(kept != np.arange(len(texts))).tolist())


def dropped_by_datatrove(texts: Sequence[str]) -> set[int]:
    """The places of the texts that the four stages of datatrove's MinHash drop, with as many bands and rows.

    It hashes by SHA-1 here: its xxhash is not that of the lock.
    """
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash as theirs
    from datatrove.utils.hashing import HashConfig
    from loguru import logger

    logger.remove()
    hashing = HashConfig(hash_fc="sha1")
    config = theirs.MinhashConfig(minhash.WORDS, minhash.BANDS, minhash.ROWS, hash_config=hashing)
    with tempfile.TemporaryDirectory() as home:
        documents = [Document(text, str(place)) for place, text in enumerate(texts)]
        theirs.MinhashDedupSignature(f"{home}/signatures", config).run(documents, 0, 1)
        for band in range(minhash.BANDS):
            buckets = theirs.MinhashDedupBuckets(f"{home}/signatures", f"{home}/buckets", config=config)
            buckets.run(None, band, minhash.BANDS)
        theirs.MinhashDedupCluster(f"{home}/buckets", f"{home}/removed", config=config).run(None, 0, 1)
        kept = {int(each.id) for each in theirs.MinhashDedupFilter(f"{home}/removed").run(iter(documents), 0, 1)}
    return set(range(len(texts))) - kept


def jaccard(index: Index, numbers: Sequence[Any], place: int) -> Any:
    """The exact similarity of one text to all, itself left out."""
    [(length, _, rows)] = index.find(ngrams(numbers[place], minhash.WORDS))
    shared = index.shared({length: np.unique(rows)})
    alike = shared / np.maximum(1, index.sizes + index.sizes[place] - shared)
    alike[place] = 0
    return alike


def changed(text: str, share: float) -> str:
    """The text with a share of its words replaced by others, at random."""
    draw, found = random.Random(text), text.split()
    for place in draw.sample(range(len(found)), max(1, round(share * len(found)))):
        found[place] = f"changed{place}"
    return " ".join(found)


def say_speed(contestants: Mapping[str, Callable[[T], Any]], subject: T, size: int) -> None:
    """Run each once; print MB/s, and how many times as fast the first is."""
    rates = {}
    for name, run in contestants.items():
        began = time.process_time()
        run(subject)
        rates[name] = size / 1e6 / (time.process_time() - began)
        print(f"{name:<12} {rates[name]:8.2f} MB/s   {rates[next(iter(rates))] / rates[name]:6.1f}x", flush=True)


def installed(*modules: str) -> bool:
    """Whether a peer can be run; says so when it cannot."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        print(f"not run: {', '.join(missing)} is not installed (the extra `bench` brings it)")
    return not missing


BENCHMARKS: dict[str, Callable[[pipeline.Run], None]] = {"near_duplicates": near_duplicates}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", nargs="?", choices=BENCHMARKS, default="near_duplicates")
    parser.add_argument("overrides", nargs="*", help="as for scripts/run.py")
    given = parser.parse_args(arguments)
    BENCHMARKS[given.name](build(pipeline.Run, compose([*given.overrides, "until=selected"])))


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
