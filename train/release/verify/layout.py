"""Which files there are: the paths of a release, and what each stage leaves, as functions of config and sources."""

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from pathlib import Path

from train import initial
from train.artifact import file_digest
from train.data.benchmarks import OWN_SET, set_name
from train.data.dedup.minhash import BANDS
from train.data.documents import parts as parts_of
from train.data.duplicates import name as band_name
from train.data.ledger import SPLITS
from train.data.selected import name as part_name
from train.data.sources.spec import read_sources
from train.layout import ARTIFACTS, LOGS, placed
from train.release import bundle
from train.release.attest.dsse import PLACE
from train.release.standards import reuse
from train.release.view import Release
from train.training.steps import checkpoint_name, checkpoint_steps


def layout(release: Release) -> list[str]:
    """Every path, and every product of every stage, is one that this config leads to, and none of them is missing."""
    of_config, problems = products(release), []
    for artifact, names in of_config.items():
        listed, path = release.provenance[artifact].products.keys(), f"provenance/{artifact}.json"
        problems += [f"{path}: {name}: no product of this config" for name in sorted(listed - names)]
        problems += [f"{path}: {name}: is not listed" for name in sorted(names - listed)]
    expected = {place for artifact, names in of_config.items() for name in names if (place := placed(artifact, name))}
    expected |= {"LICENSE", "report.html", *bundle.RESOLVED, *bundle.WRITTEN, *witnesses(release)}
    expected |= {f"provenance/{artifact}.json" for artifact in ARTIFACTS}
    if len(steps(release)) > 1:
        expected.add("checkpoints/next_step.json")
    here = [path for path in release.paths if not _free(release, path)]
    problems += [f"{path}: no release of this config holds it" for path in here if path not in expected]
    return problems + [f"{path}: missing" for path in sorted(expected - set(here))]


def _free(release: Release, path: str) -> bool:
    """Whether a file is one that does not follow from the config: code, licence texts of all that, statements."""
    folder, _, name = path.partition("/")
    if path.startswith(PLACE):
        return path.endswith(".json")
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
    known = {sha256 for entry in release.json("data/extracted.json").values() for sha256 in entry["licences"].values()}
    if any(record.source.licence_by_row for record in read_sources(release.path / "data/sources.json")):
        folder = "data/licences/"
        texts = (Path(path).stem for path in release.paths if path.startswith(folder) and path.endswith(".txt"))
        known |= {text for text in texts if file_digest(release.path / folder / f"{text}.txt") == text}
    return known
