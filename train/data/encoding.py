"""Documents of one part encoded, by a thread for each processor: their tokens end to end, and whose they are."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from train.data.schema import SelectedDocument, TokenRange, columns_of, write_rows
from train.data.tokenizer import Tokenizer

DOCUMENTS_AHEAD, CHARACTERS_AHEAD = 256, 2**25  # that are encoded before they are written, at most


@dataclass(frozen=True)
class EncodedRange(TokenRange):
    """Where in its part's tokens those of a document lie."""

    split: str


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
