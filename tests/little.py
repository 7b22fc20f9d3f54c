"""A corpus, a tokenizer and a model so small that they take no time."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from conftest import WORLD

from train.artifact import write_json
from train.data.schema import SELECTED, write_rows
from train.data.tokenizer import TokenizerConfig, learn
from train.model import ModelConfig, Transformer, hugging_face_config, weights_of
from train.training.checkpoint import WEIGHTS, write_tensors
from train.world import Inputs

MODEL = ModelConfig(2, 12, 3, 1, 4, 20, 8, 10000.0, 1e-6, True, 0.5, False)
TEXT = "the cat sat on the mat, \u00e9t\u00e9 and \U0001f600. " * 9


def write_selected(
    folder: Path, texts: Sequence[str], held_out: Collection[str] = (), parts: int = 1, sources: Mapping[str, str] = {}
) -> Path:
    """A `selected` artifact that holds `texts` in the order given (which no real one has), each of its source."""
    same = {**dict.fromkeys(SELECTED.names, "x"), "licence": "MIT"}
    rows = [{**same, "text": text, "source": sources.get(text, "x"), "split": split,
             "id": hashlib.sha256(text.encode()).hexdigest()}
            for split, some in (("train", texts), ("held_out", held_out)) for text in some]  # fmt: skip
    for part in range(parts):
        write_rows(folder / "documents" / f"part-{part:04d}.parquet", rows[part::parts], SELECTED)
    return folder


def write_tokenizer(folder: Path, vocabulary: int, *texts: str) -> Path:
    """The folder with a tokenizer that was learnt from these texts, which lie in `selected` there."""
    write_selected(folder / "selected", texts)
    learn(TokenizerConfig(vocabulary, None), Inputs(selected=folder / "selected"), folder, WORLD)
    return folder


def write_release(folder: Path) -> Path:
    """The folder with the three files of a release that a model is read from, and TEXT as its one document."""
    write_tokenizer(folder, 270, TEXT)
    write_tensors(folder / WEIGHTS, weights_of(Transformer(MODEL, 270, seed=1)))
    write_json(folder / "config.json", hugging_face_config(MODEL, 270, 0))
    return folder
