"""Stage 6: each split as one flat array of tokens, and for each document where in it its tokens lie."""

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from train.artifact import whole, write_json
from train.data.ledger import SPLITS, nested
from train.data.schema import RANGES, SelectedDocument, TokenRange, write_rows
from train.data.selected import kept_documents
from train.data.tokenizer import Tokenizer, load
from train.errors import UserError
from train.world import World

DOCUMENTS_AHEAD, CHARACTERS_AHEAD = 256, 2**25  # that are encoded before they are written, at most


@dataclass(frozen=True)
class TokensConfig:
    """Nothing to choose: texts and tokenizer settle everything."""


def encode(config: TokensConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `<split>.npy` and `ranges/<split>.parquet` for each split, and `tokens.json`.

    An array holds the documents in the order of their ids, each followed by the end-of-text mark; its numbers are
    16 bits wide where the vocabulary fits, else 32.
    """
    tokenizer = load(inputs["tokenizer"])
    counts = {}
    for split in SPLITS:
        documents = world.track(kept_documents(inputs["selected"], split), f"{split} documents encoded")
        counts[split] = encode_split(tokenizer, documents, out / f"{split}.npy", ranges_path(out, split))
    write_json(out / "tokens.json", counts)


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


def encode_split(
    tokenizer: Tokenizer, documents: Iterator[SelectedDocument], array: Path, ranges: Path
) -> dict[str, Any]:
    """Write the array and the ranges of one split, document by document; return its counts."""
    dtype = np.dtype("<u2" if tokenizer.vocabulary <= 2**16 else "<u4")
    counts: Counter[tuple[str, ...]] = Counter()

    def ranges_written(file: BinaryIO) -> Iterator[TokenRange]:
        start = 0
        for document, tokens in encoded(tokenizer, documents):
            file.write(np.append(tokens, np.uint32(tokenizer.end_of_text)).astype(dtype).tobytes())
            end, size = start + len(tokens) + 1, len(document.text.encode())
            for group in ((), ("sources", document.source), ("licences", document.licence)):
                for unit, number in (("documents", 1), ("bytes", size), ("tokens", end - start)):
                    counts[(*group, unit)] += number
            yield TokenRange(document.id, start, end, size, document.source, document.path, document.licence)
            start = end

    with whole(array) as file:
        write_header(file, dtype, 0)
        write_rows(ranges, ranges_written(file), RANGES)
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
