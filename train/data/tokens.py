"""Stage 6: each split as one flat array of tokens, and for each document where in it its tokens lie."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from train.artifact import whole, write_json
from train.data.encoding import EncodedRange, encode_part
from train.data.ledger import SPLITS, nested
from train.data.schema import RANGES, SelectedDocument, TokenRange, read_records, write_rows
from train.data.tokenizer import load
from train.errors import UserError
from train.world import Inputs, World


@dataclass(frozen=True)
class TokensConfig:
    """Nothing to choose: texts and tokenizer settle everything."""


def encode(config: TokensConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write `<split>.npy` and `ranges/<split>.parquet` for each split, and `tokens.json`.

    An array holds the documents in the order of their ids, each followed by the end-of-text mark; its numbers are
    16 bits wide where the vocabulary fits, else 32. Workers share the parts of `selected`, to be put together alone.
    """
    parts, tokenizer = sorted((inputs.selected / "documents").glob("*.parquet")), load(inputs.tokenizer)
    dtype = np.dtype("<u2" if tokenizer.vocabulary <= 2**16 else "<u4")
    encoded_parts = [out / "parts" / part.name for part in parts]
    for part, ranges in world.track(world.share(list(zip(parts, encoded_parts, strict=True))), "parts encoded"):
        if not (array := ranges.with_suffix(".tokens")).exists():
            with whole(array) as file:
                encode_part(tokenizer, read_records(SelectedDocument, [part]), file, ranges, dtype)
    if world.size == 1:
        write_json(out / "tokens.json", {split: join(encoded_parts, split, out, dtype) for split in SPLITS})
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


def join(parts: Sequence[Path], split: str, out: Path, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Write the array and the ranges of one split, from those of all parts; return its counts."""
    counts: Counter[tuple[str, ...]] = Counter()

    def joined(file: BinaryIO) -> Iterator[TokenRange]:
        end = 0
        for tokens, each in merge(*map(encoded_ranges, parts), key=lambda pair: pair[1].id):
            if each.split == split:
                tokens.seek(each.start * dtype.itemsize)
                file.write(tokens.read((each.end - each.start) * dtype.itemsize))
                start, end = end, end + each.end - each.start
                for group in ((), ("sources", each.source), ("licences", each.licence)):
                    for unit, number in (("documents", 1), ("bytes", each.bytes), ("tokens", end - start)):
                        counts[(*group, unit)] += number
                yield TokenRange(each.id, start, end, each.bytes, each.source, each.path, each.licence)

    def encoded_ranges(part: Path) -> Iterator[tuple[BinaryIO, EncodedRange]]:
        with part.with_suffix(".tokens").open("rb") as tokens:  # pages of a map would stay in memory
            yield from ((tokens, each) for each in read_records(EncodedRange, [part], len(parts)))

    with whole(out / f"{split}.npy") as file:
        write_header(file, dtype, 0)
        write_rows(ranges_path(out, split), joined(file), RANGES)
        file.seek(0)
        write_header(file, dtype, counts[("tokens",)])
    return {**nested(counts), "bytes_per_token": round(counts[("bytes",)] / counts[("tokens",)], 4)}


def write_header(file: BinaryIO, dtype: np.dtype[Any], tokens: int) -> None:
    """Write the head of an .npy file; its length is the same for any number, so it can be written again at the end."""
    np.lib.format.write_array_header_1_0(file, {"descr": dtype.str, "fortran_order": False, "shape": (tokens,)})
