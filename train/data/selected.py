"""Stage 4: the documents we keep, and for each one we drop or change, why.

Each worker filters its share of the documents and partitions them by the hash of their text as it would be kept, so
equal texts, in whatever normal form of Unicode, meet in one part, and exact duplicates and the held-out split are
decided there. Whoever is last finds what all have filtered, compares the signatures of all that is left, of both splits
together, and writes every part.
Nothing depends on the order of the input or on the number of workers.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from train.artifact import WITNESS, read_json, whole, write_json
from train.config import Share
from train.data.dedup.contamination import Evaluated, contaminated, evaluated, items_of
from train.data.dedup.minhash import SIZE, Signatures, representatives, signature, similarity
from train.data.dedup.ngrams import Numbers, words
from train.data.filters import rules
from train.data.filters.apply import FilterConfig, Judgement, apply_filters, reasons_beside_text
from train.data.ledger import Judged, add, check_counts, count, ledger_rows
from train.data.schema import LEDGER, SELECTED, Document, Origin, SelectedDocument, read_records, write_rows
from train.errors import UserError
from train.letters import canonical
from train.world import World


@dataclass(frozen=True)
class SelectedConfig(FilterConfig):
    """The filters' settings, and what is decided here; `rules.py` says what each rule finds."""

    # Fixed, so that any number of workers writes the same files; one part must fit in memory, and all are open at once.
    parts: Annotated[int, Ge(1), Le(512)]
    held_out: Annotated[float, Gt(0), Lt(1)]  # share of documents
    licences: Annotated[tuple[str, ...], MinLen(1)]  # SPDX identifiers, of what may be kept
    near_duplicates: Share  # least similarity, as MinHash estimates it
    contaminated: Share  # share of word 13-grams

    def __post_init__(self) -> None:
        super().__post_init__()
        for licence in self.licences:
            if problem := rules.licences(licence, [licence]):
                raise ValueError(f"licences: expected SPDX identifiers one by one: {problem}")


@dataclass
class Candidate(Judged):
    """A filtered document on its way to its part."""

    canonical_id: str
    signature: list[int]  # (SIZE,) uint32; empty if the document is dropped

    @property
    def kept(self) -> bool:
        return not self.judgement.dropped

    @property
    def title(self) -> str:
        """How the ledger names the document."""
        return f"{self.document.path} of {self.document.source}"

    def to_json(self) -> bytes:
        return json.dumps(vars(self), default=vars).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> "Candidate":
        fields = json.loads(line)
        document, judgement = SelectedDocument(**fields.pop("document")), Judgement(**fields.pop("judgement"))
        return cls(document, judgement, **fields)


def select(config: SelectedConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `documents/`, `ledger/` and `counts/` part by part, then their sum `counts.json`.

    Raises UserError when a source's licence is not allowed, when an entry of `excluded` names nothing that is there,
    when nothing is kept, and when a split is empty.
    """
    paths = sorted((inputs["documents"] / "documents").glob("*.parquet"))
    check_excluded(config, paths)
    check_licences(config, paths)
    # Texts on their way to their part; no product, and like all that is named so gone when the artifact is sealed.
    aside = out / WITNESS / ".judged.tmp"
    workers = [[aside / f"{name(part)}.{rank}-of-{world.size}" for part in range(config.parts)]
               for rank in range(world.size)]  # fmt: skip
    share = islice(read_records(Document, paths), world.rank, None, world.size)
    partition(config, world.track(share, "documents judged"), workers[world.rank])
    # Whoever is last finds what all have filtered; should two be last at once, they write the same bytes.
    if not all(path.is_file() for files in workers for path in files):
        return
    parts = list(zip(*workers, strict=True))
    near_duplicates, held_out = compare(config, parts)
    items = items_of(inputs["benchmarks"])
    for part, files in enumerate(world.track(parts, "parts written")):
        candidates = dedup_exact(files)
        for candidate in filter(lambda each: each.kept, candidates):
            drop_compared(config, candidate, near_duplicates, items, held_out)
        write_part(candidates, out, part)
    total = add(*(read_json(out / "counts" / f"{name(part)}.json") for part in range(config.parts)))
    check_counts(config.held_out, total)
    write_json(out / "counts.json", total)


def kept_documents(selected: Path, split: str) -> Iterator[SelectedDocument]:
    """The documents of a split (`train` or `held_out`) of the artifact `selected`, in the order of their ids."""
    parts = sorted((selected / "documents").glob("*.parquet"))
    documents = merge(*(read_records(SelectedDocument, [part]) for part in parts), key=lambda each: each.id)
    return (document for document in documents if document.split == split)


def name(part: int) -> str:
    """The stem of a part's files."""
    return f"part-{part:04d}"


def check_excluded(config: SelectedConfig, paths: list[Path]) -> None:
    """Refuse entries of `config.excluded` that match no document: somebody's wish would pass unheeded."""
    documents = read_records(Origin, paths) if config.excluded else ()
    matched = {name for document in documents for name in rules.names(document)}
    problems = [
        f"data.selected.excluded: {name} matches no document as extracted; give an id, a source's purl, or purl#path "
        "(the ledger's `became` leads from the id of a redacted document to this one), or take the entry out"
        for name in config.excluded
        if name not in matched
    ]
    if problems:
        raise UserError("\n".join(problems))


def check_licences(config: SelectedConfig, paths: list[Path]) -> None:
    """Refuse sources whose licence is not among `config.licences`, but for documents that are dropped unlicensed."""
    documents = (each for each in read_records(Origin, paths) if not any(reasons_beside_text(config, each)))
    sources = sorted({(each.source, each.licence) for each in documents})
    verdicts = {licence: rules.licences(licence, config.licences) for licence in {licence for _, licence in sources}}
    problems = [
        f"{source}: licence {problem}; accept it in data.selected.licences, leave the source out of data.raw, or give "
        "NOASSERTION where no licence is known: such documents are dropped"
        for source, licence in sources
        if (problem := verdicts[licence])
    ]
    if problems:
        raise UserError("\n".join(problems))


def partition(config: SelectedConfig, documents: Iterable[Document], parts: Sequence[Path]) -> None:
    """Filter every document and write it, with the judgement and a kept text's signature, to the file of its part."""
    with ExitStack() as stack:
        files = [stack.enter_context(whole(path)) for path in parts]
        for document in documents:
            filtered, judgement = apply_filters(config, document)
            text_id = canonical_id(filtered.text)
            marks = [] if judgement.dropped else signature(words(filtered.text).numbers).tolist()
            selected = SelectedDocument(**vars(filtered), split=split(config, text_id))
            candidate = Candidate(selected, judgement, text_id, marks)
            files[int(text_id[:8], 16) % config.parts].write(candidate.to_json())


def canonical_id(text: str) -> str:
    """What equal texts have in common, in whatever normal form of Unicode each is: SHA-256 of the text in NFC."""
    return hashlib.sha256(canonical(text).encode()).hexdigest()


def split(config: SelectedConfig, canonical_id: str) -> str:
    """The split of a text: a hash of its `canonical_id`, salted so that it has nothing to do with the part."""
    draw = int(hashlib.sha256(f"held_out:{canonical_id}".encode()).hexdigest()[:16], 16)
    return "held_out" if draw < config.held_out * 2**64 else "train"


def dedup_exact(files: Sequence[Path]) -> list[Candidate]:
    """The filtered documents of one part in the order of their ids, with one of each text kept."""
    lines = (line for file in files for line in file.read_bytes().splitlines())
    candidates = sorted(map(Candidate.from_json, lines), key=lambda each: order(each, "id", "source", "path"))
    first: dict[str, Candidate] = {}
    for each in sorted(candidates, key=lambda each: order(each, "source", "path", "id")):
        if each.kept and (other := first.setdefault(each.canonical_id, each)) is not each:
            each.judgement.dropped = ("exact_duplicates", str(rules.exact_duplicates(other.title)))
    return candidates


def order(candidate: Candidate, *fields: str) -> tuple[str, ...]:
    return tuple(getattr(candidate.document, field) for field in fields)


@dataclass(frozen=True)
class Remaining:
    """What a text that no rule has dropped is compared by."""

    id: str
    title: str  # with the id
    length: int  # characters
    signature: Signatures
    words: Numbers | None  # of a held-out text


def remaining(files: Sequence[Path]) -> Iterator[Remaining]:
    """The texts of a part that are left, once exact duplicates are gone."""
    for candidate in filter(lambda each: each.kept, dedup_exact(files)):
        document = candidate.document
        held_out = words(document.text).numbers if document.split == "held_out" else None
        marks = np.array(candidate.signature, np.uint32)
        yield Remaining(document.id, f"{candidate.title} ({document.id})", len(document.text), marks, held_out)


def compare(config: SelectedConfig, parts: Sequence[Sequence[Path]]) -> tuple[dict[str, str], Evaluated]:
    """Near duplicates among all that is left (id -> of what, how near), and the held-out texts that are to be kept."""
    texts = sorted((text for files in parts for text in remaining(files)), key=lambda text: text.id)
    signatures = np.array([text.signature for text in texts], np.uint32).reshape(len(texts), SIZE)
    kept = representatives(signatures, np.array([text.length for text in texts]), config.near_duplicates)
    near_duplicates: dict[str, str] = {}
    for number, text in enumerate(texts):
        alike = similarity(signatures[number], signatures[kept[number]])
        if detail := rules.near_duplicates(text.title, texts[kept[number]].title, float(alike)):
            near_duplicates[text.id] = detail
    left = (text for text in texts if text.id not in near_duplicates)
    return near_duplicates, evaluated((text.title, text.words) for text in left if text.words is not None)


def drop_compared(
    config: SelectedConfig,
    candidate: Candidate,
    near_duplicates: Mapping[str, str],
    items: Evaluated,
    held_out: Evaluated,
) -> None:
    """Drop a document that is like another one, or that gives away what a model is evaluated on."""
    document = candidate.document
    if detail := near_duplicates.get(document.id):
        candidate.judgement.dropped = ("near_duplicates", detail)
    elif document.split == "train" and (
        detail := contaminated(words(document.text), config.contaminated, items, held_out)
    ):
        candidate.judgement.dropped = ("contaminated", detail)


def write_part(candidates: Sequence[Candidate], out: Path, part: int) -> None:
    """Write the documents, the ledger and the counts of one part."""
    kept = (candidate.document for candidate in candidates if candidate.kept)
    write_rows(out / "documents" / f"{name(part)}.parquet", kept, SELECTED)
    rows = (row for candidate in candidates for row in ledger_rows(candidate))
    write_rows(out / "ledger" / f"{name(part)}.parquet", rows, LEDGER)
    write_json(out / "counts" / f"{name(part)}.json", count(candidates))
