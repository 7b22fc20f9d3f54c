"""Which files there are: paths of a release and what each stage leaves, by config and sources; each is canonical."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from train import initial
from train.artifact import as_json, file_digest, read_json
from train.config import read
from train.data.benchmarks import OWN_SET, set_name
from train.data.counts import SourceCounts
from train.data.dedup.minhash import BANDS
from train.data.documents import parts as parts_of
from train.data.duplicates import name as band_name
from train.data.ledger import SPLITS
from train.data.schema import ITEM, LEDGER, RANGES, SELECTED, rows_of, write_rows
from train.data.selected import name as part_name
from train.data.sources.spec import read_sources
from train.errors import UserError
from train.layout import ARTIFACTS, LOGS, placed
from train.release import bundle
from train.release.attest.dsse import PLACE
from train.release.differences import bytes_apart
from train.release.standards import reuse
from train.release.view import Release
from train.terminal import of_the_machine
from train.training.checkpoint import read_tensors, write_tensors
from train.training.steps import checkpoint_name, checkpoint_steps

# What another library or another key writes: learnt again, and opened with the key that signed it.
OTHERS = ("tokenizer.json", f"{initial.FOLDER}/{initial.TOKENIZER}", PLACE)
TABLES: Mapping[str, Any] = {  # folder -> schema of the Parquet files in it
    "data/documents/": SELECTED,
    "data/ledger/": LEDGER,
    "data/ranges/": RANGES,
    "evaluation/data/": ITEM,
}


def layout(release: Release) -> Iterator[str]:
    """Every path, and every product of every stage, is one that this config leads to, and none of them is missing."""
    of_config = products(release)
    for artifact, names in of_config.items():
        listed, path = release.provenance[artifact].products.keys(), f"provenance/{artifact}.json"
        yield from (f"{path}: {name}: no product of this config" for name in sorted(listed - names))
        yield from (f"{path}: {name}: is not listed" for name in sorted(names - listed))
    expected = {place for artifact, names in of_config.items() for name in names if (place := placed(artifact, name))}
    expected |= {"LICENSE", "report.html", *bundle.RESOLVED, *bundle.WRITTEN, *witnesses(release)}
    expected |= {f"provenance/{artifact}.json" for artifact in ARTIFACTS}
    if len(steps(release)) > 1:
        expected.add("checkpoints/next_step.json")
    here = [path for path in release.paths if not _free(release, path)]
    yield from (f"{path}: no release of this config holds it" for path in here if path not in expected)
    yield from (f"{path}: missing" for path in sorted(expected - set(here)))


def _free(release: Release, path: str) -> bool:
    """Whether a file is one that does not follow from the config: code, licence texts of all that, statements."""
    folder, _, name = path.partition("/")
    if path.startswith(PLACE):
        return path == f"{PLACE}{file_digest(release.path / path)[:16]}.json"
    return folder == "LICENSES" or (folder == "code" and bundle.belongs(name))


def products(release: Release) -> dict[str, set[str]]:
    """Artifact -> the paths of its products."""
    known = names(release)
    patterns = {name: chain(each.behind, *each.placed.values()) for name, each in ARTIFACTS.items()}
    return {name: set(filled(each, known)) for name, each in patterns.items()}


def witnesses(release: Release) -> list[str]:
    """The paths of what is true of one run only, but for statements."""
    return filled(LOGS, names(release))


def filled(patterns: Iterable[str], names: Mapping[str, Collection[str]]) -> list[str]:
    """The paths that patterns stand for, with each of the names for what is in braces."""
    paths = []
    for pattern in patterns:
        name = re.search(r"\{(\w+)\}", pattern)
        paths += [pattern.replace(name[0], each) for each in sorted(names[name[1]])] if name else [pattern]
    return paths


def names(release: Release) -> dict[str, Collection[str]]:
    """What may stand in the braces of a pattern."""
    records, sets = read_sources(release.path / "data/sources.json"), release.config.benchmarks
    extracting, others = release.config.data.documents, reuse.sets_of_others(release.path)
    set_names = [set_name(source.purl) for source in sets.raw.sources] if sets.raw else []
    return {
        "file": [f"{record.source.slug}/{file.path}" for record in records for file in record.files],
        "part": [part.stem for record in records for part in parts_of(extracting, record)],
        "licence": licence_texts(release),
        "set": [*set_names, *([OWN_SET] if sets.pairs else [])],
        "set_file": [f"{each.record.source.slug}/{file.path}" for each in others for file in each.record.files],
        "set_licence": {sha256 for each in others for sha256 in each.licences.values()},
        "set_record": ["sources.json"] if sets.raw else [],
        "fetched": ["raw", "benchmarks"] if sets.raw else ["raw"],
        "band": [band_name(band) for band in range(BANDS)],
        "hashed": [part_name(part) for part in range(release.config.data.selected.parts)],
        "split": SPLITS,
        "checkpoint": [checkpoint_name(step) for step in steps(release)],
        "initial": initial.FILES if release.config.training.init_from else [],
        "stage": ARTIFACTS,
    }


def steps(release: Release) -> list[int]:
    """The steps after which a checkpoint is a product."""
    training = release.config.training
    return checkpoint_steps(training.checkpoint_every, training.steps)


def licence_texts(release: Release) -> set[str]:
    """The digests of the texts that tell a licence: of each source, and where rows tell their own, theirs."""
    extracted = read(dict[str, SourceCounts], release.path / "data/extracted.json")
    known = {sha256 for counts in extracted.values() for sha256 in counts.licences.values()}
    if any(record.source.licence_by_row for record in read_sources(release.path / "data/sources.json")):
        folder = "data/licences/"
        texts = (Path(path).stem for path in release.paths if path.startswith(folder) and path.endswith(".txt"))
        known |= {text for text in texts if file_digest(release.path / folder / f"{text}.txt") == text}
    return known


# Canonical files -----------------------------------------------------------------------------------------------------


def canonical(release: Release) -> Iterator[str]:
    """Every file of JSON, Parquet and safetensors, written again from what is read in it, has the same bytes."""
    for path in release.paths:
        if not path.startswith(OTHERS) and (not path.startswith("code/") or path in bundle.RESOLVED):
            try:
                why = difference(release.path, path, release.scratch)
            except UserError as error:
                if of_the_machine(error):
                    raise
                why = str(error)
            if why:
                yield f"{path}: {why}"


def difference(root: Path, path: str, scratch: Path) -> str:
    """Why a file of JSON, Parquet or tensors is not what its writer makes of what it holds; empty if it is."""
    again, file = scratch / "again", root / path
    if path.endswith(".json"):
        return _bytes(file, as_json(read_json(file)))
    if path.endswith(".jsonl"):
        ascii_only = path.startswith("logs/")
        lines = [json.dumps(record, ensure_ascii=ascii_only) for record in read_json(file)]
        return _bytes(file, "".join(f"{line}\n" for line in lines).encode())
    if path.endswith(".parquet"):
        schema = next((schema for folder, schema in TABLES.items() if path.startswith(folder)), None)
        if schema is None:
            return "a table where none is written"
        write_rows(again, rows_of(file, path, schema.names, schema), schema)
    elif path.endswith(".safetensors"):
        write_tensors(again, read_tensors(file))
    else:
        return ""
    return "" if file_digest(again) == file_digest(file) else "not what its writer makes of what it holds"


def _bytes(file: Path, again: bytes) -> str:
    here = file.read_bytes()
    return "" if again == here else f"not spelt as its writer spells what it holds: {bytes_apart('', here, again)}"
