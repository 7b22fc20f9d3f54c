import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import WORLD, refusal

from train.artifact import inventory
from train.data import encoding
from train.data.encoding import encoded
from train.data.generated.stories import stories
from train.data.schema import SELECTED, SelectedDocument, read_rows, write_rows
from train.data.tokenizer import TokenizerConfig, learn, load
from train.data.tokens import TokensConfig, encode, read_tokens, write_header
from train.world import Inputs

TEXTS = [*(text for _, text in stories(2, 80)), "a <|endoftext|> in the text", "é 👩‍👧\n"]
ROWS = [
    {
        **dict.fromkeys(SELECTED.names, "x"), "id": hashlib.sha256(text.encode()).hexdigest(), "text": text,
        "source": f"pkg:generic/s@{number % 2}", "path": f"{number}.txt",
        "licence": "MIT" if number % 4 else "Apache-2.0", "split": "train" if number % 5 else "held_out",
    }
    for number, text in enumerate(TEXTS)
]  # fmt: skip


def made(folder, parts=3):
    """Tokenizer and tokens of ROWS, which lie in some parts."""
    rows = sorted(ROWS, key=lambda row: row["id"])
    for part in range(parts):
        write_rows(folder / "selected" / "documents" / f"part-{part:04d}.parquet", rows[part::parts], SELECTED)
    inputs = Inputs(selected=folder / "selected", tokenizer=folder / "tokenizer")
    learn(TokenizerConfig(500, None), inputs, folder / "tokenizer", WORLD)
    encode(TokensConfig(), inputs, folder / "tokens", WORLD)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("tokens"))


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_ranges_cover_the_array_and_lead_back_to_the_text(folder, split):
    tokens, tokenizer = read_tokens(folder / "tokens", split), load(folder / "tokenizer")
    ranges = list(read_rows([folder / "tokens" / "ranges" / f"{split}.parquet"]))
    rows = sorted((row for row in ROWS if row["split"] == split), key=lambda row: row["id"])
    assert [entry["start"] for entry in ranges] == [0, *(entry["end"] for entry in ranges[:-1])]
    assert ranges[-1]["end"] == len(tokens)
    for entry, row in zip(ranges, rows, strict=True):
        *document, end = tokens[entry["start"] : entry["end"]].tolist()
        assert (tokenizer.decode(document), end) == (row["text"], 0) and 0 not in document
        assert entry["bytes"] == len(row["text"].encode())
        assert all(entry[key] == row[key] for key in ("id", "source", "path", "licence"))


def test_counts_agree_with_arrays_and_texts(folder):
    counts = json.loads((folder / "tokens" / "tokens.json").read_text())
    for split, count in counts.items():
        rows = [row for row in ROWS if row["split"] == split]
        assert count["documents"] == len(rows) and count["bytes"] == sum(len(row["text"].encode()) for row in rows)
        assert count["tokens"] == len(read_tokens(folder / "tokens", split))
        assert count["bytes_per_token"] == round(count["bytes"] / count["tokens"], 4)
        for table in ("sources", "licences"):
            for unit in ("documents", "bytes", "tokens"):
                assert sum(entry[unit] for entry in count[table].values()) == count[unit]
    assert set(counts) == {"train", "held_out"}


def test_parts_do_not_change_tokens(folder, tmp_path):
    again = made(tmp_path, parts=1)
    assert inventory(again / "tokens") == inventory(folder / "tokens")


@pytest.mark.parametrize("size", [2, 3])
def test_workers_share_the_parts_in_any_order_and_make_those_that_are_missing(folder, tmp_path, size):
    inputs = Inputs(**{name: folder / name for name in ("selected", "tokenizer")})
    for world in [*(replace(WORLD, rank=rank, size=size) for rank in reversed(range(size))), WORLD]:
        encode(TokensConfig(), inputs, tmp_path, world)
        if world.rank == 1:
            (tmp_path / "parts" / "part-0001.tokens").unlink()  # of a worker that was killed
    assert inventory(tmp_path) == inventory(folder / "tokens")


def test_arrays_are_as_narrow_as_the_vocabulary_allows_and_hold_no_pickle(folder):
    tokens = np.load(folder / "tokens" / "train.npy", allow_pickle=False)
    assert (tokens.dtype.str, tokens.ndim) == ("<u2", 1)
    assert sorted(inventory(folder / "tokens")) == [
        "held_out.npy", "ranges/held_out.parquet", "ranges/train.parquet", "tokens.json", "train.npy",
    ]  # fmt: skip


@pytest.mark.parametrize("most", [{"DOCUMENTS_AHEAD": 3}, {"CHARACTERS_AHEAD": 3000}])
def test_documents_are_encoded_ahead_in_their_order_and_few_at_a_time(folder, monkeypatch, most):
    for name, number in most.items():
        monkeypatch.setattr(encoding, name, number)
    taken = []
    documents = (taken.append(text) or SelectedDocument(*[text] * 9) for text in TEXTS)
    tokenizer = load(folder / "tokenizer")
    for number, (document, tokens) in enumerate(encoded(tokenizer, documents)):
        assert document.text == TEXTS[number] == tokenizer.decode(tokens.tolist())
        ahead = taken[number:]
        assert len(ahead) <= 4 if "DOCUMENTS_AHEAD" in most else sum(map(len, ahead[:-1])) <= 3000
    assert taken == TEXTS


def test_the_header_is_as_long_for_any_number_of_tokens(tmp_path):
    lengths = set()
    for tokens in (0, 9, 10**6, 10**18):
        with (tmp_path / "header").open("wb") as file:
            write_header(file, np.dtype("<u4"), tokens)
            lengths.add(file.tell())
    assert len(lengths) == 1


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00v\x00{", b"text", "torn"])
def test_a_missing_or_damaged_array_is_one_clear_line(folder, tmp_path, content):
    if content is not None:
        whole = (folder / "tokens" / "train.npy").read_bytes()
        (tmp_path / "train.npy").write_bytes(whole[:-7] if content == "torn" else content)
    refusal(read_tokens, tmp_path, "train", match="cannot be read as an array of tokens")
