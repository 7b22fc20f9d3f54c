"""How fast the data stages are, each beside a peer in the same run: `python scripts/bench.py [NAME ...] [OVERRIDES]`.

It also runs the benchmarks of training, which stand in `scripts/bench_training.py`.

What it runs on is made by the pipeline where it is not there yet: the reference corpus, or what OVERRIDES say. Each
contestant runs in turn, several rounds of all, and its best counts: MB of text a second by the clock, and by the time
that the processors spent on it, in which other work on the machine does not count. Peers come with the extra `bench`;
one that is missing is left out, and said so.
"""

import dataclasses
import gzip
import importlib.util
import io
import multiprocessing
import runpy
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

if __name__ == "__main__":  # by the command, which tells in a line what is wrong
    runpy.run_path(__file__.removesuffix("bench.py") + "pellucid.py", {"VERB": "bench"}, __name__)

import bench_training  # type: ignore[import-not-found]
import numpy as np

from train import pipeline
from train.compose import compose
from train.config import build
from train.data import tokenizer
from train.data.candidates import together
from train.data.dedup import minhash
from train.data.dedup.ngrams import words_of
from train.data.filters.apply import apply_filters
from train.data.ledger import SPLITS
from train.data.schema import Document, read_records
from train.data.selected import kept_documents
from train.data.sources.places import obtain
from train.errors import UserError, did_you_mean
from train.machine import Machine
from train.world import Inputs, World

T = TypeVar("T")
Rates = dict[str, dict[str, float]]  # contestant -> unit -> value
ROUNDS = 3  # or one, of more than 100 MB
STORIES, TIMES = 4000, (1, 8, 32)  # of the smallest corpus, some 4 MB; and how many times as much


def extract(config: pipeline.Run) -> Rates:
    """Files to documents; and what only reading and unpacking the same bytes takes."""
    return beside_reading(config, "documents")


def preparation(config: pipeline.Run) -> Rates:
    """Files to what is kept: extraction, rules, near duplicates, writing."""
    return beside_reading(config, "selected")


def beside_reading(config: pipeline.Run, until: str) -> Rates:
    """The stages up to one, from files on, beside what only reading and unpacking the same bytes takes."""
    raw = pipeline.run(dataclasses.replace(config, until="raw"), quiet)["raw"]
    return speeds({**contestants(config, raw, until), "reading": reading}, raw, reading(raw), rounds=1)


def contestants(config: pipeline.Run, raw: Path, until: str) -> dict[str, Callable[[Path], None]]:
    """Our stages from `documents` on; and datatrove's, where all is JSON lines, which it reads."""
    stages = pipeline.STAGES[1 : pipeline.UP_TO_WEIGHTS.index(until) + 1]

    def ours(raw: Path) -> None:
        with tempfile.TemporaryDirectory() as home:
            artifacts = {"raw": raw}
            for stage in stages:
                artifacts[stage.name] = out = Path(home) / stage.name
                stage.make(stage.config(config), Inputs(**artifacts), out, World(0, 1, config.machine, obtain))

    def peer(raw: Path) -> None:
        from datatrove.pipeline.readers import JsonlReader
        from datatrove.pipeline.writers import ParquetWriter

        with tempfile.TemporaryDirectory() as home:
            documents = JsonlReader(str(raw), glob_pattern="*/*.jsonl").run()
            if until == "selected":
                kept = list(filtered(documents))
                dropped = dropped_by_datatrove([each.text for each in kept])
                documents = (each for place, each in enumerate(kept) if place not in dropped)
            deque(ParquetWriter(home).run(documents), 0)

    lines = any(raw.glob("*/*.jsonl")) and installed("datatrove", "orjson", "spacy")
    return {"pellucid": ours, **({"datatrove": peer} if lines else {})}


def reading(raw: Path) -> int:
    return sum(map(len, opened(raw)))


def opened(raw: Path) -> Iterator[bytes]:
    """The bytes of each source's file, unpacked if it is packed by gzip."""
    for path in sorted(raw.glob("*/**/*")):
        if path.is_file():
            yield gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def select(config: pipeline.Run) -> Rates:
    """The rules on every document, each beside as many of the published filters as datatrove has ready."""
    artifacts = pipeline.run(dataclasses.replace(config, until="documents"), quiet)
    rows = list(read_records(Document, sorted((artifacts["documents"] / "documents").glob("*.parquet"))))

    def ours(rows: Sequence[Document]) -> None:
        for some in together(rows, lambda each: len(each.text)):
            deque(apply_filters(config.data.selected, some), 0)

    contestants = {"pellucid": ours, **({"datatrove": datatrove} if installed("datatrove", "spacy") else {})}
    return speeds(contestants, rows, sum(len(document.text.encode()) for document in rows))


def datatrove(rows: Sequence[Document]) -> None:
    """datatrove's filters after Gopher, and its redaction of personal data."""
    from datatrove.data import Document as Text

    deque(filtered(Text(document.text, document.id) for document in rows), 0)


def filtered(documents: Iterable[Any]) -> Iterator[Any]:
    """datatrove's documents that its filters keep, redacted."""
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.formatters import PIIFormatter

    filters, formatter = (GopherRepetitionFilter(), GopherQualityFilter()), PIIFormatter()
    for document in documents:
        document.text = formatter.format(document.text)
        if all(each.filter(document) is True for each in filters):
            yield document


def near_duplicates(config: pipeline.Run) -> Rates:
    """Texts that are nearly the same as another, found in the corpus."""
    selected = pipeline.run(dataclasses.replace(config, until="selected"), quiet)["selected"]
    texts = [document.text for split in SPLITS for document in kept_documents(selected, split)]
    contestants: dict[str, Callable[[Sequence[str]], set[int]]] = {
        "pellucid": lambda texts: dropped_by_us(texts, config.data.selected.near_duplicates),
        **({"datatrove": dropped_by_datatrove} if installed("datatrove", "spacy") else {}),
    }
    return speeds(contestants, texts, sum(len(text.encode()) for text in texts), rounds=1)


def dropped_by_us(texts: Sequence[str], threshold: float) -> set[int]:
    """The places of the texts that are dropped."""
    marks = [minhash.signatures([text.numbers for text in words_of(some)]) for some in together(texts, len)]
    clusters = minhash.components(len(texts), minhash.pairs(np.concatenate(marks), threshold))
    return set(np.flatnonzero(clusters != np.arange(len(texts))).tolist())


def dropped_by_datatrove(texts: Sequence[str]) -> set[int]:
    """The places of the texts that the four stages of datatrove's MinHash drop, with as many bands and rows.

    It hashes by SHA-1 here: its xxhash is not that of the lock.
    """
    from datatrove.data import Document as Text
    from datatrove.pipeline.dedup import minhash as peer
    from datatrove.utils.hashing import HashConfig
    from loguru import logger

    logger.remove()
    hashing = HashConfig(hash_fc="sha1")
    config = peer.MinhashConfig(minhash.WORDS, minhash.BANDS, minhash.ROWS, hash_config=hashing)
    with tempfile.TemporaryDirectory() as home:
        documents = [Text(text, str(place)) for place, text in enumerate(texts)]
        peer.MinhashDedupSignature(f"{home}/signatures", config).run(documents, 0, 1)
        for band in range(minhash.BANDS):
            buckets = peer.MinhashDedupBuckets(f"{home}/signatures", f"{home}/buckets", config=config)
            buckets.run(None, band, minhash.BANDS)
        peer.MinhashDedupCluster(f"{home}/buckets", f"{home}/removed", config=config).run(None, 0, 1)
        kept = {int(each.id) for each in peer.MinhashDedupFilter(f"{home}/removed").run(iter(documents), 0, 1)}
    return set(range(len(texts))) - kept


def tokenizer_training(config: pipeline.Run) -> Rates:
    """A vocabulary from the training split."""
    artifacts = pipeline.run(dataclasses.replace(config, until="selected"), quiet)
    texts = [document.text for document in kept_documents(artifacts["selected"], "train")]

    def ours(texts: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory() as out:
            tokenizer.learn(config.tokenizer, Inputs(**artifacts), Path(out), World(0, 1, config.machine))

    def sentencepiece(texts: Sequence[str]) -> None:
        import sentencepiece

        lines = (line for text in texts for line in text.split("\n"))
        settings = {"model_type": "bpe", "vocab_size": config.tokenizer.vocabulary, "byte_fallback": True}
        settings |= {"sentence_iterator": lines, "model_writer": io.BytesIO(), "minloglevel": 2}
        sentencepiece.SentencePieceTrainer.train(**settings, character_coverage=0.98)  # or 512 do not suffice

    contestants = {"pellucid": ours, **({"sentencepiece": sentencepiece} if installed("sentencepiece") else {})}
    return speeds(contestants, texts, sum(len(text.encode()) for text in texts))


def encoding(config: pipeline.Run) -> Rates:
    """Text to tokens, all contestants to the same ones."""
    artifacts = pipeline.run(dataclasses.replace(config, until="tokenizer"), quiet)
    texts = [document.text for split in SPLITS for document in kept_documents(artifacts["selected"], split)]
    ours = tokenizer.load(artifacts["tokenizer"])

    def batch(texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in ours.library.encode_batch(texts, add_special_tokens=False)]

    def mapped(texts: Sequence[str]) -> list[list[int]]:
        import datasets

        datasets.disable_progress_bars()
        data = datasets.Dataset.from_dict({"text": texts})
        encoded = data.map(lambda some: {"ids": batch(some["text"])}, batched=True, load_from_cache_file=False)
        return encoded["ids"][:]  # type: ignore[no-any-return]

    assert batch(texts) == ours.encode(texts), "the two libraries disagree"
    contestants = {"pellucid": ours.encode, "tokenizers": batch, "datasets.map": mapped}
    return speeds(contestants, texts, sum(len(text.encode()) for text in texts))


def memory(config: pipeline.Run) -> dict[str, list[float]]:
    """The peak memory, in MB, of a worker in each data stage, on 1x, 8x and 32x of a corpus of stories.

    As much text is held out of each, since the index of held-out text stands in memory.
    """
    peaks: dict[str, list[float]] = {}
    for times in TIMES:
        count, held_out = f"data.raw.sources.0.count={STORIES * times}", f"data.selected.held_out={0.08 / times}"
        scaled = build(pipeline.Run, compose(["recipe=tiny", count, held_out]))
        with tempfile.TemporaryDirectory() as home:
            artifacts: dict[str, Path] = {}
            for stage in pipeline.STAGES[: pipeline.UP_TO_WEIGHTS.index("weights")]:
                artifacts[stage.name] = Path(home) / stage.name
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    task = pool.submit(peak, stage.make, stage.config(scaled), dict(artifacts), scaled.machine)
                    peaks.setdefault(stage.name, []).append(task.result())
    for name, row in peaks.items():
        print(f"{name:<11}" + "".join(f"{value:9.0f} MB" for value in row), flush=True)
    return peaks


def peak(make: Callable[..., None], config: Any, artifacts: dict[str, Path], machine: Machine) -> float:
    """The peak memory of this process, in MB, once it has made the last of some artifacts."""
    make(config, Inputs(**artifacts), list(artifacts.values())[-1], World(0, 1, machine))
    status = Path("/proc/self/status").read_text()  # what the system tells of a child begins with its parent's peak
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def quiet(line: str) -> None:
    """Say nothing of what the pipeline makes or keeps."""


def speeds(contestants: Mapping[str, Callable[[T], Any]], subject: T, size: int, rounds: int = ROUNDS) -> Rates:
    """The best MB/s of each, run in turn for some rounds; printed with how many times as fast the first one is."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds if size < 1e8 else 1):
        for name, run in contestants.items():
            clock, spent = time.monotonic(), time.process_time()
            run(subject)
            took = (time.monotonic() - clock, max(time.process_time() - spent, 1e-3))  # seconds, which it may not tell
            best[name] = min(took[0], best.get(name, took)[0]), min(took[1], best.get(name, took)[1])
    first = next(iter(best.values()))
    for name, (clock, spent) in best.items():
        rates = f"{size / 1e6 / clock:8.2f} MB/s {size / 1e6 / spent:8.2f} MB a processor second"
        print(f"{name:<14} {rates}   {clock / first[0]:6.2f}x {spent / first[1]:6.2f}x", flush=True)
    return {name: {"mb_per_second": size / 1e6 / clock, "mb_per_processor_second": size / 1e6 / spent}
            for name, (clock, spent) in best.items()}  # fmt: skip


def installed(*modules: str) -> bool:
    """Whether a peer can be run; says so when it cannot."""
    if missing := [module for module in modules if importlib.util.find_spec(module) is None]:
        print(f"not run: {', '.join(missing)} is not installed (the extra `bench` brings it)")
    return not missing


DATA = (extract, select, near_duplicates, tokenizer_training, encoding, preparation, memory)
BENCHMARKS: dict[str, Callable[..., Any]] = {each.__name__: each for each in (*DATA, *bench_training.BENCHMARKS)}


def main(arguments: list[str]) -> dict[str, Any]:
    """Run the benchmarks that are named, or all, on what the overrides say; returns what each of them measured."""
    config = build(pipeline.Run, compose([word for word in arguments if "=" in word]))
    names = [word for word in arguments if "=" not in word]
    for name in (name for name in names if name not in BENCHMARKS):
        hint = did_you_mean(name, list(BENCHMARKS)) or "; they are " + ", ".join(BENCHMARKS)
        raise UserError(f"{name}: no such benchmark{hint}")
    measured = {}
    for name in names or BENCHMARKS:
        print(f"\n{name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}", flush=True)
        measured[name] = BENCHMARKS[name](config)
    return measured
