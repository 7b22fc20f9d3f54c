"""Which files there are: the paths of a release, and what each stage leaves, as functions of config and sources."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train import initial
from train.artifact import file_digest
from train.data.benchmarks import OURS, BenchmarksConfig, set_name
from train.data.candidates import FORMS
from train.data.dedup.minhash import BANDS
from train.data.documents import DocumentsConfig
from train.data.documents import parts as parts_of
from train.data.duplicates import name as band_name
from train.data.ledger import SPLITS
from train.data.selected import SelectedConfig
from train.data.selected import name as part_name
from train.data.sources.spec import read_sources
from train.layout import ARTIFACTS, placed
from train.release import bundle
from train.release.attest.dsse import PLACE
from train.release.view import Release
from train.training.checkpoint import OPTIMIZER, STATE, WEIGHTS
from train.training.loop import FitConfig
from train.training.steps import checkpoint_name, checkpoint_steps

RECORDS = ("commitment.json", "run.json")  # witnesses that every stage leaves
WITNESSES = """
    logs/packages.json logs/release/commit.json logs/release/asked.json logs/raw/retrieved.json
    logs/evaluation/compressed.json logs/weights/loss.svg
    logs/weights/log.jsonl logs/weights/resources.jsonl logs/weights/operations.json logs/weights/stack.json
"""


def layout(release: Release) -> list[str]:
    """Every path, and every product of every stage, is one that this config leads to, and none of them is missing."""
    of_config, problems = products(release), []
    for artifact, names in of_config.items():
        listed, path = release.provenance[artifact]["products"].keys(), f"provenance/{artifact}.json"
        problems += [f"{path}: {name}: no product of this config" for name in sorted(listed - names)]
        problems += [f"{path}: {name}: is not listed" for name in sorted(names - listed)]
    expected = {place for artifact, names in of_config.items() for name in names if (place := placed(artifact, name))}
    expected |= {"LICENSE", "report.html", *bundle.RESOLVED, *bundle.WRITTEN, *witnesses(release)}
    expected |= {f"provenance/{artifact}.json" for artifact in ARTIFACTS}
    if len(steps(release)) > 1:
        expected.add("checkpoints/next_step.json")
    here = [path for path in release.paths if not _apart(release, path)]
    problems += [f"{path}: no release of this config holds it" for path in here if path not in expected]
    return problems + [f"{path}: missing" for path in sorted(expected - set(here))]


def _apart(release: Release, path: str) -> bool:
    """Whether a file is one that does not follow from the config: code, licence texts of all that, statements."""
    folder, _, name = path.partition("/")
    if path.startswith(PLACE):
        return path.endswith(".json")
    return folder == "LICENSES" or (folder == "code" and bundle.belongs(name))


def products(release: Release) -> dict[str, set[str]]:
    """Artifact -> the paths of its products."""
    records = read_sources(release.path / "data/sources.json")
    extracting = release.settings(DocumentsConfig)
    stems = [part.stem for record in records for part in parts_of(extracting, record)]
    sets = release.settings(BenchmarksConfig)
    parts = [part_name(part) for part in range(release.settings(SelectedConfig).parts)]
    others = [each for each in release.json("evaluation/data/sets.json") if each["name"] != OURS["name"]]
    names = [OURS["name"]] if sets.pairs else []
    names += [set_name(source.purl) for source in sets.raw.sources] if sets.raw else []
    checkpoints = {f"checkpoints/{checkpoint_name(step)}/{name}" for step in steps(release)
                   for name in (WEIGHTS, OPTIMIZER, STATE)}  # fmt: skip
    if config["training"]["init_from"]:
        checkpoints |= {f"{initial.FOLDER}/{name}" for name in initial.FILES}
    return {
        "raw": {"sources.json", *(f"{each.source.slug}/{file.path}" for each in records for file in each.files)},
        "documents": {"counts.json", *licence_texts(release), *(f"documents/{stem}.parquet" for stem in stems),
                      *(f"left_out/{stem}.jsonl" for stem in stems), *(f"counts/{stem}.json" for stem in stems)},
        "benchmarks": {"sets.json", *(f"{name}.parquet" for name in names), *_files(others),
                       *(["sources.json"] if sets.raw else []),
                       *(f"licences/{sha256}.txt" for each in others for sha256 in each["licences"].values())},
        "judged": {f"{form}/{stem}.{suffix}" for form, suffix in FORMS.items() for stem in stems},
        "duplicates": {f"pairs/{band_name(band)}.u64" for band in range(BANDS)},
        "selected": {"counts.json", *(f"documents/{part}.parquet" for part in parts),
                     *(f"ledger/{part}.parquet" for part in parts), *(f"counts/{part}.json" for part in parts)},
        "tokenizer": {"tokenizer.json"},
        "tokens": {"tokens.json", *(name for split in SPLITS for name in (f"{split}.npy", f"ranges/{split}.parquet"))},
        "weights": {WEIGHTS, *checkpoints},
        "evaluation": {f"{name}.json" for name in
                       ("documents", "scores", "pairs", "minimal_pairs", "choices", "multiple_choice", "samples",
                        "overlap")},
    }  # fmt: skip


def steps(release: Release) -> list[int]:
    """The steps after which a checkpoint is a product."""
    training = release.settings(FitConfig).training
    return checkpoint_steps(training.checkpoint_every, training.steps)


def licence_texts(release: Release) -> set[str]:
    """The texts that tell a licence: those of each source, and where rows, kept or dropped, tell their own, theirs."""
    known = {sha256 for entry in release.json("data/extracted.json").values() for sha256 in entry["licences"].values()}
    if any(record.source.licence_by_row for record in read_sources(release.path / "data/sources.json")):
        folder = "data/licences/"
        texts = (Path(path).stem for path in release.paths if path.startswith(folder) and path.endswith(".txt"))
        known |= {text for text in texts if file_digest(release.path / folder / f"{text}.txt") == text}
    return {f"licences/{sha256}.txt" for sha256 in known}


def witnesses(release: Release) -> Iterable[str]:
    """The paths of what is true of one run only, but for statements."""
    yield from WITNESSES.split()
    yield from (f"logs/{artifact}/{name}" for artifact in ARTIFACTS for name in RECORDS)
    if release.settings(BenchmarksConfig).raw:
        yield "logs/benchmarks/retrieved.json"


def _files(sources: Iterable[Mapping[str, Any]]) -> set[str]:
    return {f"{source['slug']}/{file['path']}" for source in sources for file in source["files"]}
