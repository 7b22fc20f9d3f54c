"""A release that somebody else made, as the checks read it, and what can be made again from what it holds."""

import builtins
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from train import initial
from train.artifact import Manifest, file_digest, read_json, read_manifest
from train.config import read
from train.data.schema import LedgerRow, SelectedDocument, read_records
from train.data.tokens import TokensConfig, encode
from train.errors import UserError
from train.layout import ARTIFACTS, WITNESSES, folder_of, listed_files
from train.machine import Machine
from train.release import bundle
from train.release.differences import bytes_apart, products_apart
from train.release.resolved import Resolved
from train.world import Inputs, World

T = TypeVar("T")


def on_stack(weights: Manifest, here: Mapping[str, Any]) -> bool:
    """Whether the key of some weights holds the stack that they were trained on, and `here` is that one."""
    promised = weights.config.get("stack")
    return bool(promised) and promised == {name: here.get(name) for name in promised}


@dataclass(eq=False)
class Release:
    """A release that is being checked, and what can be made from it again; each thing is made once."""

    path: Path
    scratch: Path
    cache: Path | None = None  # of downloads, the verifier's
    folder: Path | None = None  # with files of sources, the verifier's
    whole: bool = False  # compute everything again, whatever it costs
    nonce: str | None = None  # by which a sample is drawn in place of what costs too much; one is made if none is given
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int | None = None
    overrides_of: Callable[[Any], list[str]] | None = None  # composes from this clone's files of configs
    notes: list[str] = field(default_factory=list)  # what a check that holds has to say of how much it could look at

    def __post_init__(self) -> None:
        self.nonce = self.nonce or os.urandom(8).hex()
        self.paths = listed_files(self.path)

    def json(self, name: str, pointer: str = "") -> Any:
        return read_json(self.path / name, pointer)

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def bytes(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    @cached_property
    def products(self) -> dict[str, str]:
        """The SHA-256 of each file that is a product."""
        return {path: file_digest(self.path / path) for path in self.paths if not path.startswith(WITNESSES)}

    @cached_property
    def config(self) -> Resolved:
        return read(Resolved, self.path / "code/config.json")

    @cached_property
    def provenance(self) -> dict[str, Manifest]:
        """The manifest of each artifact."""
        return {name: read_manifest(self.path / "provenance" / f"{name}.json") for name in ARTIFACTS}

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The records of the training, one a step; UserError when a line is none."""
        path = "logs/weights/log.jsonl"
        records = self.json(path)
        if not all(isinstance(record, dict) and type(record.get("step")) is int for record in records):
            raise UserError(f"{path}: a record without its step")
        return records  # type: ignore[no-any-return]

    def records(self, record: type[T], table: str) -> Iterator[T]:
        """The rows of the Parquet files in `data/<table>`."""
        return read_records(record, sorted((self.path / "data" / table).glob("*.parquet")))

    def documents(self) -> Iterator[SelectedDocument]:
        """The kept documents; UserError when no table of them is here, for then nothing is known of them."""
        if not any((self.path / "data" / "documents").glob("*.parquet")):
            raise UserError("data/documents: holds no table")
        return self.records(SelectedDocument, "documents")

    def ledger(self) -> Iterator[LedgerRow]:
        return self.records(LedgerRow, "ledger")

    def inputs(self, **again: Path) -> Inputs:
        """Each artifact as the stages want to see it, but for its manifest: where it stands here, or was made again."""
        return Inputs(**{name: folder_of(self.path, name) for name in ARTIFACTS} | again)

    @cached_property
    def tokens(self) -> Path:
        """The artifact `tokens`, made again from the documents and the tokenizer that the release holds."""
        folder = self.scratch / "tokens"
        encode(TokensConfig(), self.inputs(), folder, self.world)
        return folder

    @cached_property
    def world(self) -> World:
        machine = Machine(
            device=self.device, threads=self.threads, micro_batches=1, compile=False, sharded=False, patience=600,
            save_every=None, keep_saves=1, cache=self.cache or self.scratch, runs=self.scratch, releases=self.scratch,
            progress="none", wandb="disabled", workers=1, engine="processes", init_from=self.path / initial.FOLDER,
        )  # fmt: skip
        return World(0, 1, machine)

    def written(self, *paths: str) -> list[str]:
        """Which of these files have other bytes when they are written again, and where they first differ."""
        return [line for path in paths for line in self.same(path, bundle.WRITTEN[path](self.path))]

    def same(self, path: str, again: builtins.bytes) -> list[str]:
        """The file at `path` has the bytes that were made; else a line tells where they first differ."""
        recorded = self.bytes(path)
        return [] if again == recorded else [f"{path}: {bytes_apart(path, recorded, again)}"]

    def made_again(self, name: str, folder: Path) -> list[str]:
        """How the artifact in `folder`, made again, differs from what is recorded of it and what stands here."""
        return products_apart(self.path, name, folder)


Check = Callable[[Release], Iterable[str]]  # a line a problem, none when the claim holds
