"""Stage 4: every document as it would be kept, with what the rules found in it, and what it is compared by.

Each file of documents gives four files of its name, so files are what workers share:

* `texts/`, JSON lines: a `Candidate` each, in the order of the documents;
* `index/`, an INDEX row for each line, in runs of RUN rows that are sorted by part, id, source and path;
* `nodes/`, a NODE for each text that no rule drops and that has any n-gram: what near duplicates are found by;
* `bands/`, for each band of the signatures the keys of all nodes in order, then the nodes in that order.

A text belongs to the part that its hash says, so equal texts, in whatever normal form of Unicode, meet in one part.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from train.artifact import whole
from train.data.candidates import DROPPED, INDEX, NODE, RUN, Candidate, files_of, together
from train.data.dedup.minhash import BANDS, NONE, SIZE, Signatures, band_key, signatures
from train.data.dedup.ngrams import NO_NUMBERS, words_of
from train.data.filters import rules
from train.data.filters.apply import FilterConfig, Judgement, apply_filters, reasons_beside_text
from train.data.ledger import SPLITS
from train.data.schema import Document, Origin, SelectedDocument, read_records
from train.errors import UserError
from train.unicode import canonical
from train.world import Inputs, World

Parts = Annotated[int, Ge(1), Le(512)]
HeldOut = Annotated[float, Gt(0), Lt(1)]
NOTHING = np.full(SIZE, NONE)  # the signature of a text that is not compared


@dataclass(frozen=True)
class JudgedConfig(FilterConfig):
    """The filters' settings, and what is decided of each document alone; `rules.py` says what each rule finds."""

    parts: Parts  # fixed, so that any number of workers writes the same files
    held_out: HeldOut  # share of documents
    licences: Annotated[tuple[str, ...], MinLen(1)]  # SPDX identifiers, of what may be kept

    def __post_init__(self) -> None:
        super().__post_init__()
        for licence in self.licences:
            if problem := rules.licences(licence, [licence]):
                raise ValueError(f"licences: expected SPDX identifiers one by one: {problem}")


def judge(config: JudgedConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write the four files of each file of documents.

    Raises UserError when a source's licence is not allowed, and when an entry of `excluded` names nothing that is here.
    """
    folder = inputs.documents / "documents"
    paths = sorted(folder.rglob("*.parquet"))
    files = {path: files_of(out, path.relative_to(folder).with_suffix("")) for path in world.share(paths)}
    left = [path for path, forms in files.items() if not forms["bands"].exists()]  # written last
    check_licences(config, left)
    if left and world.rank == 0:
        check_excluded(config, paths)
    for path in world.track(left, "files of documents judged"):
        with ExitStack() as stack:
            opened = {form: stack.enter_context(whole(files[path][form])) for form in ("texts", "index", "nodes")}
            judge_file(config, path, opened)
        with whole(files[path]["bands"]) as bands:
            write_bands(files[path]["nodes"], bands)


def judge_file(config: JudgedConfig, path: Path, files: Mapping[str, BinaryIO]) -> None:
    """Write the candidates of one file of documents, their index and their nodes."""
    nodes, rows = 0, []
    for filtered, judgement, marks in signed(config, read_records(Document, [path])):
        text_id, dropped = canonical_id(filtered.text), judgement.dropped is not None
        chosen = SelectedDocument(**vars(filtered), split=split(config, text_id))
        start, line = files["texts"].tell(), Candidate(chosen, judgement).to_json()
        files["texts"].write(line)
        about = (start, len(line), bytes.fromhex(text_id))
        named = (marks != NONE).any()
        if named:
            files["nodes"].write(np.array((*about, len(canonical(filtered.text)), marks), NODE).tobytes())
        state = DROPPED if dropped else SPLITS.index(chosen.split)
        part = int(text_id[:8], 16) % config.parts
        row = (*about, nodes if named else -1, 0, part, state, bytes.fromhex(chosen.id))
        rows.append((part, chosen.id, chosen.source, chosen.path, judgement.id, row))
        nodes += int(named)
        if len(rows) == RUN:
            write_run(rows, files["index"])
    write_run(rows, files["index"])


def signed(config: JudgedConfig, documents: Iterable[Document]) -> Iterator[tuple[Document, Judgement, Signatures]]:
    """Each document and the judgement on it with its signature, NOTHING if it is dropped."""
    for some in together(documents, lambda each: len(each.text)):
        judged = list(apply_filters(config, some))
        passing = words_of([document.text for document, judgement in judged if not judgement.dropped])
        marks = iter(signatures([text.numbers for text in passing]))
        yield from ((*each, NOTHING if each[1].dropped else next(marks)) for each in judged)


def write_run(rows: list[tuple[Any, ...]], file: BinaryIO) -> None:
    """Write a run of index rows, each behind what it is sorted by, and forget them."""
    file.write(np.array([row for *_, row in sorted(rows)], INDEX).tobytes())
    rows.clear()


def write_bands(nodes: Path, file: BinaryIO) -> None:
    """Write the keys of each band, in order, with the nodes that have them."""
    for band in range(BANDS):
        some = (np.fromfile(nodes, NODE, RUN, offset=at) for at in range(0, nodes.stat().st_size, RUN * NODE.itemsize))
        keys = np.concatenate([NO_NUMBERS, *(band_key(rows["signature"], band) for rows in some)])
        order = np.argsort(keys, kind="stable").astype("<u8")
        file.write(keys[order].astype("<u8").tobytes() + order.tobytes())


def check_excluded(config: JudgedConfig, paths: list[Path]) -> None:
    """Refuse entries of `config.excluded` that match no document: somebody's wish would pass unheeded."""
    documents = read_records(Origin, paths) if config.excluded else ()
    matched = {name for document in documents for name in rules.names(document) if name in config.excluded}
    problems = [
        f"data.selected.excluded: {name} matches no document as extracted; give an id, a source's purl, or purl#path "
        "(the ledger's `became` leads from the id of a redacted document to this one), or take the entry out"
        for name in config.excluded
        if name not in matched
    ]
    if problems:
        raise UserError("\n".join(problems))


def check_licences(config: JudgedConfig, paths: Sequence[Path]) -> None:
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


def canonical_id(text: str) -> str:
    """What equal texts have in common, in whatever normal form of Unicode each is: SHA-256 of the text in NFC."""
    return hashlib.sha256(canonical(text).encode()).hexdigest()


def split(config: JudgedConfig, canonical_id: str) -> str:
    """The split of a text: a hash of its `canonical_id`, salted so that it has nothing to do with the part."""
    draw = int(hashlib.sha256(f"held_out:{canonical_id}".encode()).hexdigest()[:16], 16)
    return "held_out" if draw < config.held_out * 2**64 else "train"
