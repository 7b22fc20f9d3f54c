"""Stage 6: each split as one flat array of tokens, and for each document where in it its tokens lie."""

import os
import shutil
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from train.artifact import whole, write_json
from train.data.candidates import mapped
from train.data.ledger import SPLITS, nested
from train.data.schema import RANGES, SelectedDocument, TokenRange, columns_of, read_records, write_rows
from train.data.tokenizer import Tokenizer, load
from train.errors import UserError
from train.world import World

DOCUMENTS_AHEAD, CHARACTERS_AHEAD = 256, 2**25  # that are encoded before they are written, at most


@dataclass(frozen=True)
class EncodedRange(TokenRange):
    """Where in its part's tokens those of a document lie."""

    split: str


@dataclass(frozen=True)
class TokensConfig:
    """Nothing to choose: texts and tokenizer settle everything."""


def encode(config: TokensConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `<split>.npy` and `ranges/<split>.parquet` for each split, and `tokens.json`.

    An array holds the documents in the order of their ids, each followed by the end-of-text mark; its numbers are
    16 bits wide where the vocabulary fits, else 32. Workers share the parts of `selected`, to be put together alone.
    """
    parts, tokenizer = sorted((inputs["selected"] / "documents").glob("*.parquet")), load(inputs["tokenizer"])
    dtype = np.dtype("<u2" if tokenizer.vocabulary <= 2**16 else "<u4")
    encoded_parts = [out / "parts" / part.name for part in parts]
    for part, ranges in world.track(world.share(list(zip(parts, encoded_parts, strict=True))), "parts encoded"):
        if not (array := ranges.with_suffix(".tokens")).exists():
            with whole(array) as file:
                encode_part(tokenizer, read_records(SelectedDocument, [part]), file, ranges, dtype)
    if world.size == 1:
        counts = {
            split: join(encoded_parts, split, out / f"{split}.npy", ranges_path(out, split), dtype) for split in SPLITS
        }
        write_json(out / "tokens.json", counts)
        shutil.rmtree(out / "parts", ignore_errors=True)


def ranges_path(artifact: Path, split: str) -> Path:
    """The table of a split's token ranges in an artifact `tokens`."""
    return artifact / "ranges" / f"{split}.parquet"


def read_tokens(artifact: Path, split: str) -> NDArray[np.unsignedinteger]:
    """The (tokens,) array of a split, mapped into memory; UserError when it is missing or damaged."""
    path = artifact / f"{split}.npy"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as an array of tokens ({error})") from None


def encode_part(
    tokenizer: Tokenizer, documents: Iterable[SelectedDocument], file: BinaryIO, ranges: Path, dtype: np.dtype[Any]
) -> None:
    """Write the tokens of documents, one after another, and where in them those of each are."""

    def written() -> Iterator[EncodedRange]:
        end = 0
        for each, tokens in encoded(tokenizer, documents):
            file.write(np.append(tokens, np.uint32(tokenizer.end_of_text)).astype(dtype).tobytes())
            start, end, size = end, end + len(tokens) + 1, len(each.text.encode())
            yield EncodedRange(each.id, start, end, size, each.source, each.path, each.licence, each.split)

    write_rows(ranges, written(), columns_of(EncodedRange))


def join(parts: Sequence[Path], split: str, array: Path, ranges: Path, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Write the array and the ranges of one split, from those of all parts; return its counts."""
    counts: Counter[tuple[str, ...]] = Counter()

    def joined(file: BinaryIO) -> Iterator[TokenRange]:
        end = 0
        for tokens, each in merge(*map(encoded_ranges, parts), key=lambda pair: pair[1].id):
            if each.split == split:
                file.write(tokens[each.start : each.end].tobytes())
                start, end = end, end + each.end - each.start
                for group in ((), ("sources", each.source), ("licences", each.licence)):
                    for unit, number in (("documents", 1), ("bytes", each.bytes), ("tokens", end - start)):
                        counts[(*group, unit)] += number
                yield TokenRange(each.id, start, end, each.bytes, each.source, each.path, each.licence)

    def encoded_ranges(part: Path) -> Iterator[tuple[NDArray[np.unsignedinteger], EncodedRange]]:
        tokens = mapped(part.with_suffix(".tokens"), dtype)
        return ((tokens, each) for each in read_records(EncodedRange, [part], len(parts)))

    with whole(array) as file:
        write_header(file, dtype, 0)
        write_rows(ranges, joined(file), RANGES)
        file.seek(0)
        write_header(file, dtype, counts[("tokens",)])
    return {**nested(counts), "bytes_per_token": round(counts[("bytes",)] / counts[("tokens",)], 4)}


def encoded(
    tokenizer: Tokenizer, documents: Iterable[SelectedDocument]
) -> Iterator[tuple[SelectedDocument, NDArray[np.uint32]]]:
    """Each document with its tokens; a thread for each processor goes ahead of whoever takes them."""
    ahead: deque[tuple[SelectedDocument, Future[NDArray[np.uint32]]]] = deque()
    held = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for document in documents:
            ahead.append((document, pool.submit(tokenizer.tokens, document.text)))
            held += len(document.text)
            while len(ahead) > DOCUMENTS_AHEAD or held > CHARACTERS_AHEAD:
                first, tokens = ahead.popleft()
                held -= len(first.text)
                yield first, tokens.result()
        yield from ((document, tokens.result()) for document, tokens in ahead)


def write_header(file: BinaryIO, dtype: np.dtype[Any], tokens: int) -> None:
    """Write the head of an .npy file; its length is the same for any number, so it can be written again at the end."""
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": (tokens,)})
