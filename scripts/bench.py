"""How fast the data stages are, each beside a peer in the same run: `python scripts/bench.py [NAME ...] [OVERRIDES]`.

It also runs the benchmarks of training, which stand in `scripts/bench_training.py`.

What it runs on is made by the pipeline where it is not there yet: the reference corpus, or what OVERRIDES say. Each
contestant runs in turn, several rounds of all, and its best counts: MB of text a second by the clock, and by the time
that the processors spent on it, in which other work on the machine does not count. Peers come with the extra `bench`;
one that is missing is left out, and said so.
"""

import argparse
import dataclasses
import importlib.util
import multiprocessing
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bench_training  # type: ignore[import-not-found]
import numpy as np

from train import pipeline
from train.compose import compose
from train.config import build
from train.data import tokenizer
from train.data.dedup import minhash
from train.data.dedup.ngrams import Index, ngrams, words
from train.data.documents import extract as extract_documents
from train.data.filters.apply import apply_filters
from train.data.ledger import SPLITS
from train.data.schema import Document, read_records
from train.data.selected import kept_documents
from train.data.sources.spec import StoriesSource
from train.terminal import guarded
from train.world import World

T = TypeVar("T")
ROUNDS = 3
GROWTH = 8
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1)  # of the words of a planted near duplicate that are others
PLANTED = 100  # near duplicates of each kind, among twice as many texts


def extract(config: pipeline.Run) -> None:
    """Source archives to documents with licences, by one worker; no peer takes the same in."""
    made = pipeline.run(dataclasses.replace(config, until="documents"), quiet)
    world = World(0, 1, config.machine)
    contestants = {
        "pellucid": lambda out: extract_documents(config.data.documents, {"raw": made["raw"]}, Path(out), world)
    }
    texts = sum(len(document.text.encode()) for document in documents(made))
    with tempfile.TemporaryDirectory() as out:
        say_speed(contestants, out, texts)


def select(config: pipeline.Run) -> None:
    """The rules on every document, each beside as many of the published filters as datatrove has ready."""
    made = pipeline.run(dataclasses.replace(config, until="documents"), quiet)
    rows = list(documents(made))

    def ours(rows: Sequence[Document]) -> None:
        for document in rows:
            apply_filters(config.data.selected, document)

    contestants = {"pellucid": ours, **({"datatrove": datatrove} if installed("datatrove", "spacy") else {})}
    say_speed(contestants, rows, sum(len(document.text.encode()) for document in rows))


def datatrove(rows: Sequence[Document]) -> None:
    """datatrove's filters after Gopher, and its redaction of personal data."""
    from datatrove.data import Document as Text
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.formatters import PIIFormatter

    filters, formatter = (GopherRepetitionFilter(), GopherQualityFilter()), PIIFormatter()
    for document in rows:
        formatter.format(document.text)
        for each in filters:
            each.filter(Text(document.text, document.id))


def near_duplicates(config: pipeline.Run) -> None:
    """Speed on the corpus, then recall and precision on near duplicates planted in it, at several similarities.

    Recall is the share of planted pairs that do not both stay; precision the share of dropped texts to which another
    one has at least the threshold's exact Jaccard similarity of word 5-grams.
    """
    selected = pipeline.run(dataclasses.replace(config, until="selected"), quiet)["selected"]
    texts = [document.text for split in SPLITS for document in kept_documents(selected, split)]
    threshold = config.data.selected.near_duplicates
    contestants: dict[str, Callable[[Sequence[str]], set[int]]] = {
        "pellucid": lambda texts: dropped_by_us(texts, threshold),
        **({"datatrove": dropped_by_datatrove} if installed("datatrove", "spacy") else {}),
    }
    say_speed(contestants, texts, sum(len(text.encode()) for text in texts), rounds=1)
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
    from datatrove.data import Document as Text
    from datatrove.pipeline.dedup import minhash as theirs
    from datatrove.utils.hashing import HashConfig
    from loguru import logger

    logger.remove()
    hashing = HashConfig(hash_fc="sha1")
    config = theirs.MinhashConfig(minhash.WORDS, minhash.BANDS, minhash.ROWS, hash_config=hashing)
    with tempfile.TemporaryDirectory() as home:
        documents = [Text(text, str(place)) for place, text in enumerate(texts)]
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


def tokenizer_training(config: pipeline.Run) -> None:
    """A vocabulary from the training split."""
    made = pipeline.run(dataclasses.replace(config, until="selected"), quiet)
    texts = [document.text for document in kept_documents(made["selected"], "train")]

    def ours(texts: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as out:
            tokenizer.learn(config.tokenizer, {"selected": made["selected"]}, Path(out), World(0, 1, config.machine))

    def sentencepiece(texts: Sequence[str]) -> None:
        import io

        import sentencepiece

        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts for line in text.split("\n")),
            model_writer=io.BytesIO(),
            model_type="bpe",
            vocab_size=config.tokenizer.vocabulary,
            byte_fallback=True,
            minloglevel=2,
        )

    contestants = {"pellucid": ours, **({"sentencepiece": sentencepiece} if installed("sentencepiece") else {})}
    say_speed(contestants, texts, sum(len(text.encode()) for text in texts))


def encoding(config: pipeline.Run) -> None:
    """Text to tokens, all contestants to the same ones."""
    made = pipeline.run(dataclasses.replace(config, until="tokenizer"), quiet)
    texts = [document.text for split in SPLITS for document in kept_documents(made["selected"], split)]
    ours = tokenizer.load(made["tokenizer"])

    def batch(texts: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in ours.library.encode_batch(texts, add_special_tokens=False)]

    def mapped(texts: Sequence[str]) -> list[list[int]]:
        import datasets

        datasets.disable_progress_bars()
        data = datasets.Dataset.from_dict({"text": texts})
        found = data.map(lambda some: {"ids": batch(some["text"])}, batched=True, load_from_cache_file=False)
        return found["ids"][:]

    wanted = ours.encode(texts)
    assert batch(texts) == wanted, "the two libraries disagree"
    contestants = {"pellucid": ours.encode, "encode_batch": batch, "datasets.map": mapped}
    say_speed(contestants, texts, sum(len(text.encode()) for text in texts))


def memory(config: pipeline.Run) -> None:
    """The most memory that each stage took, alone in a process, for generated stories and for several times as many."""
    stories = build(pipeline.Run, compose(["recipe=tiny", "machine.workers=1", "machine.progress=none"]))
    (source,) = stories.data.raw.sources
    assert isinstance(source, StoriesSource)
    names: tuple[pipeline.Artifact, ...] = ("raw", "documents", "selected", "tokenizer", "tokens")
    peaks = []
    with tempfile.TemporaryDirectory() as home:
        machine = dataclasses.replace(stories.machine, runs=Path(home))
        for times in (1, GROWTH):
            raw = dataclasses.replace(
                stories.data.raw, sources=(dataclasses.replace(source, count=source.count * times),)
            )
            data = dataclasses.replace(stories.data, raw=raw)
            grown = dataclasses.replace(stories, data=data, machine=machine)
            peaks.append([alone(dataclasses.replace(grown, until=name)) for name in names])
    print(f"{'stage':<12} {'1x':>9} {f'{GROWTH}x':>9}   growth")
    for name, small, large in zip(names, *peaks, strict=True):
        print(f"{name:<12} {small:5.0f} MiB {large:5.0f} MiB {large / small:7.2f}x")


def alone(config: pipeline.Run) -> float:
    """The peak of a new process that makes the last artifact of `config` from those before it, in MiB."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak, config).result()


def peak(config: pipeline.Run) -> float:
    """Make it; the most memory that this process has held, in MiB."""
    pipeline.run(config, quiet)
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def documents(made: Mapping[str, Path]) -> Any:
    return read_records(Document, sorted((made["documents"] / "documents").glob("*.parquet")))


def quiet(line: str) -> None:
    """Say nothing of what the pipeline makes or keeps."""


def say_speed(contestants: Mapping[str, Callable[[T], Any]], subject: T, size: int, rounds: int = ROUNDS) -> None:
    """Run each in turn, some rounds; print the best MB/s of each, and how many times as fast the first one is."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name, run in contestants.items():
            clock, spent = time.monotonic(), time.process_time()
            run(subject)
            took = (time.monotonic() - clock, time.process_time() - spent)
            best[name] = min(took[0], best.get(name, took)[0]), min(took[1], best.get(name, took)[1])
    first = next(iter(best.values()))
    for name, (clock, spent) in best.items():
        rates = f"{size / 1e6 / clock:8.2f} MB/s {size / 1e6 / spent:8.2f} MB a processor second"
        print(f"{name:<14} {rates}   {clock / first[0]:6.2f}x {spent / first[1]:6.2f}x", flush=True)


def installed(*modules: str) -> bool:
    """Whether a peer can be run; says so when it cannot."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        print(f"not run: {', '.join(missing)} is not installed (the extra `bench` brings it)")
    return not missing


BENCHMARKS: dict[str, Callable[[pipeline.Run], None]] = {
    "extract": extract,
    "select": select,
    "near_duplicates": near_duplicates,
    "tokenizer_training": tokenizer_training,
    "encoding": encoding,
    "memory": memory,
    **bench_training.BENCHMARKS,
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "words", nargs="*", help=f"{', '.join(BENCHMARKS)} (none: all); overrides as for scripts/run.py"
    )
    given = parser.parse_args(arguments).words
    config = build(pipeline.Run, compose([word for word in given if word not in BENCHMARKS]))
    for name in [word for word in given if word in BENCHMARKS] or BENCHMARKS:
        print(f"\n{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
        BENCHMARKS[name](config)


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
