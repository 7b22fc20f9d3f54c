"""A corpus, a tokenizer and a model so small that they take no time; keys that sign, and a stand-in of wandb."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
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


def costs(model: Transformer, tokens: list[int]) -> tuple[list[float], list[bool]]:
    """Nats of each token after the first and whether it is the likeliest, a window at a time, straight from logits."""
    nats, likeliest = [], []
    for start in range(0, len(tokens) - 1, model.config.context):
        window = torch.tensor(tokens[start : start + model.config.context + 1])
        with torch.no_grad():
            logits = model(window[None, :-1])[0]
        nats += torch.nn.functional.cross_entropy(logits, window[1:], reduction="none").tolist()
        likeliest += (logits.argmax(1) == window[1:]).tolist()
    return nats, likeliest


class Tracker:
    """A run of wandb that keeps what it gets, and may fail in one of its methods."""

    def __init__(self, where: str | None = None) -> None:
        self.where, self.kept, self.summary = where, [], self

    def keep(self, where: str, what: object) -> None:
        if self.where == where:
            raise RuntimeError("no connection")
        self.kept.append(what)

    def init(self, *, project, mode, dir, config, settings):
        self.keep("init", config)
        return self

    def log(self, record, step):
        self.keep("log" if step == 2 else "", record)

    def update(self, products):
        self.keep("update", products)

    def finish(self):
        self.keep("finish", "end")


def write_key(path: Path, key: Any = None) -> tuple[Path, Path]:
    """The paths of the private and the public half of a key, which is drawn unless given."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key, public = key or Ed25519PrivateKey.generate(), path.with_suffix(".pub")
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path, public


def write_release(folder: Path) -> Path:
    """The folder with the three files of a release that a model is read from, and TEXT as its one document."""
    write_tokenizer(folder, 270, TEXT)
    write_tensors(folder / WEIGHTS, weights_of(Transformer(MODEL, 270, seed=1)))
    write_json(folder / "config.json", hugging_face_config(MODEL, 270, 0))
    return folder
