"""What a stage took and what it made, in a line for the terminal: read from its artifact, and in no key."""

import json
import math
import shlex
from collections.abc import Mapping
from itertools import islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from train.artifact import WITNESS, read_json
from train.config import read
from train.data.candidates import DROPPED, INDEX
from train.data.counts import SelectionCounts, SourceCounts
from train.data.documents import left_out_summary
from train.data.filters.rules import unjudged
from train.data.ledger import SPLITS
from train.data.raw import RawConfig, passed_over
from train.data.schema import read_rows
from train.data.sources.spec import read_sources
from train.data.text.file_types import HEAD, file_type
from train.data.text.readers import REASONS
from train.world import Inputs, World

SHOWN = 3  # reasons


def raw(artifact: Path, inputs: Inputs, config: RawConfig, world: World) -> str:
    """How many files, and what lies beside them in a folder of one's own."""
    files = [file for record in read_sources(artifact / "sources.json") for file in record.files]
    kept = f"{counted(len(files), 'file')}, {sum(file.bytes for file in files):,} bytes"
    return "; passed over: ".join([kept, *passed_over(config, world)])


def documents(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many texts became documents, and what the others are."""
    sources = read(dict[str, SourceCounts], artifact / "counts.json").values()
    files, documents = sum(source.files for source in sources), sum(source.documents for source in sources)
    of_each = {reason: sum(getattr(source, reason) for source in sources) for reason in REASONS}
    reasons = {reason: count for reason, count in of_each.items() if count}
    kept = f"{documents:,} of {counted(documents + sum(reasons.values()), 'text')} in {counted(files, 'file')}"
    if unlicensed := sum(sum(source.unlicensed.values()) for source in sources):
        kept += f"; without a licence {unlicensed:,}"
    if not reasons:
        return kept
    return f"{kept}; left out: {left_out_summary(reasons, examples(artifact, inputs.raw, len(reasons)))}"


def examples(artifact: Path, raw: Path, reasons: int) -> dict[str, str]:
    """Of each of the `reasons`, the first text that it left out, with what its first bytes tell."""
    first: dict[str, str] = {}
    for path in sorted((artifact / "left_out").glob("*.jsonl")):
        with path.open("rb") as lines:
            for name, reason in map(itemgetter("path", "reason"), map(json.loads, lines)):
                if reason not in first:
                    first[reason] = ": ".join(filter(None, (name, held(raw / path.stem / name))))
                if len(first) == reasons:
                    return first
    return first


def held(path: Path) -> str | None:
    """What a file of a source holds, if it is a text of its own and its first bytes tell."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file_type(file.read(HEAD))


def judged(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many documents pass the rules, and which of these cannot judge a language."""
    rows = [np.fromfile(path, INDEX)["split"] != DROPPED for path in artifact.glob("index/**/*.rows")]
    line = f"{sum(map(np.count_nonzero, rows)):,} of {counted(sum(map(len, rows)), 'document')} pass the rules"
    paths = (inputs.documents / "documents").rglob("*.parquet")
    tags = {row["language"] for path in paths for row in islice(read_rows([path], ["language"]), 1)}  # one a source
    off = (f"{', '.join(names)} cannot judge {tag}" for tag, names in unjudged(vars(config), tags).items())
    return "; switched off: ".join([line, *off])


def duplicates(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many texts are in clusters."""
    pairs = np.concatenate([np.fromfile(path, "<u8") for path in artifact.glob("pairs/*.u64")])
    return f"{counted(len(np.unique(pairs)), 'document')} nearly the same as another"


def selected(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many documents and bytes are kept, and the rules that dropped most."""
    counts = read(SelectionCounts, artifact / "counts.json")
    before, kept = counts.raw, counts.kept
    few = 2 * kept.documents < before.documents or 2 * kept.bytes < before.bytes
    line = f"{'less than half: ' if few else ''}{kept.documents:,} of {counted(before.documents, 'document')}, "
    line += f"{kept.bytes:,} of {before.bytes:,} bytes"
    reasons = {name: size.documents for name, size in counts.dropped.items()}
    examples = f"; examples: .venv/bin/python -m train explore --from {shlex.quote(str(artifact))} dropped"
    return line + commonest("; dropped most by ", reasons) + (examples if any(reasons.values()) else "")


def tokens(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many tokens there are to train on and to evaluate on."""
    counts = read_json(artifact / "tokens.json")

    def split(name: str) -> str:
        tokens, documents = itemgetter("tokens", "documents")(counts[name])
        return f"{name} {tokens:,} tokens of {counted(documents, 'document')}"

    return ", ".join(map(split, SPLITS))


def benchmarks(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """The evaluation sets, and how many items each has."""
    sets = [f"{each['name']}: {counted(each['items'], 'item')}" for each in read_json(artifact / "sets.json")]
    return ", ".join(sets) or "none: our minimal pairs are in English, and switched off where no text is"


def tokenizer(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many tokens it knows."""
    return counted(len(read_json(artifact / "tokenizer.json", "/model/vocab")), "token")


def weights(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """How many weights were trained on how many tokens, and the losses at the end."""
    with (artifact / "model.safetensors").open("rb") as file:
        tensors = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    size = sum(math.prod(tensor["shape"]) for name, tensor in tensors.items() if name != "__metadata__")
    last = json.loads((artifact / WITNESS / "log.jsonl").read_bytes().splitlines()[-1])
    losses = ", ".join(f"{name} {last[key]:.3f}" for name, key in LOSSES.items() if key in last)
    return f"{size:,} parameters, {last['tokens']:,} tokens in {counted(last['step'], 'step')}: {losses}"


LOSSES = {"loss": "loss", "held out": "held_out_loss"}


def evaluation(artifact: Path, inputs: Inputs, config: object, world: World) -> str:
    """Bits per byte of the held-out text, of the model and of what is simpler."""
    scores = read_json(artifact / "scores.json")
    values = {name: score["value"] for name, score in scores.items() if score["unit"].startswith("bits per byte")}
    model = values.pop("bits_per_byte")
    others = "".join(f", {name} {value:.3f}" for name, value in values.items())
    return f"{model:.3f} bits per byte of held-out text{others}"


def commonest(before: str, reasons: Mapping[str, int]) -> str:
    """The reasons that stand for most, after `before`; empty where there are none."""
    most = [(reason, count) for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])) if count]
    listed = ", ".join(f"{reason} {count:,}" for reason, count in most[:SHOWN])
    return before + listed + (", ..." if most[SHOWN:] else "") if listed else ""


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
