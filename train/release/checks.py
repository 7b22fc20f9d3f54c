"""The checks that make again what can be made again, and compare: one function a claim, which returns problems.

Each takes a release and returns a line a problem, none when the claim holds. A check's name is its function's, and
stays: `openness.ROWS` refers to it.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from packageurl import PackageURL

from train.artifact import check, digest, file_digest, product_digest, read_json
from train.config import build, plain
from train.data.benchmarks import BenchmarksConfig
from train.data.contamination import contaminated, evaluated, items_of
from train.data.documents import DocumentsConfig, spdx
from train.data.near_duplicates import clusters, signature
from train.data.ngrams import words
from train.data.raw import RawConfig
from train.data.selected import SPLITS, SelectedConfig
from train.data.selected import split as split_of
from train.data.tables import read_rows
from train.data.tokenizer import TokenizerConfig, learn
from train.data.tokenizer import load as load_tokenizer
from train.data.tokens import TokensConfig, encode
from train.evaluation.measure import MeasureConfig, measure
from train.evaluation.overlap import overlap as find_overlap
from train.release import bundle, openness
from train.release.licences import by_file, identifiers, restriction, standing
from train.release.licences import texts as licence_texts
from train.training.checkpoint import WEIGHTS, load
from train.training.loop import FitConfig
from train.world import Machine, World

PLACEHOLDER = re.compile(r"\b(TODO|TBD|FIXME|XXX|CHANGEME)\b|\[More Information Needed\]|[Ll]orem ipsum")
MACHINE_PATH = re.compile(r"""(?:^|[\s"'=(:])(?:file://|/(?:home|root|Users|tmp|var|mnt|work|opt)/|[A-Za-z]:\\)""")
LOGIT_TOLERANCE = 0.001
ROUND_TRIPS = 200  # documents
PINNED = ("torch", "tokenizers", "safetensors", "numpy", "pyarrow")  # what the products pass through
COMPONENTS = (
    ("C1 processing", "train/data/documents.py"),
    ("C1 filtering", "train/data/selected.py"),
    ("C2 training", "train/training/loop.py"),
    ("C2 arguments", "scripts/run.py"),
    ("C3 validation and testing", "train/evaluation/measure.py"),
    ("C4 tokenizer", "train/data/tokenizer.py"),
    ("C5 inference", "train/evaluation/sample.py"),
    ("C6 architecture", "train/model.py"),
)
PROSE = (
    "README.md", "data/README.md", "data/croissant.json", "provenance/eu_training_summary.md", "NOTICE", "CITATION.cff",
    "REUSE.toml", "openness.json", "code/config.json",
)  # fmt: skip
NOT_OURS = ("data/documents/", "data/licences/")  # which keep the licences of their sources


class Release:
    """A release that is being checked, and what can be made from it again; each thing is made once."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self.path, self.scratch = path, scratch
        self.paths = [name for name in openness.regular_files(path) if name != "MANIFEST.json"]

    def json(self, name: str) -> Any:
        return read_json(self.path / name)

    def text(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8")

    def bytes(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    @cached_property
    def products(self) -> dict[str, str]:
        """The SHA-256 of each file that is a product."""
        return {path: file_digest(self.path / path) for path in self.paths if not path.startswith(openness.WITNESSES)}

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.json("code/config.json")

    @cached_property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """The manifest of each artifact."""
        return {name: self.json(f"provenance/{name}.json") for name in bundle.ARTIFACTS}

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The rows of the Parquet files in `data/<table>`."""
        return read_rows(sorted((self.path / "data" / table).glob("*.parquet")))

    @cached_property
    def views(self) -> dict[str, Path]:
        """Each artifact as the stages want to see it: its manifest, and links to what the release holds of it."""
        found = {}
        for name, record in self.provenance.items():
            found[name] = self.scratch / "views" / name
            found[name].mkdir(parents=True)
            (found[name] / "manifest.json").symlink_to((self.path / "provenance" / f"{name}.json").resolve())
            for product in record["products"]:
                place = bundle.placed(name, product)
                if place in self.paths:
                    (found[name] / product).parent.mkdir(parents=True, exist_ok=True)
                    (found[name] / product).symlink_to((self.path / place).resolve())
        return found

    @cached_property
    def tokens(self) -> Path:
        """The artifact `tokens`, made again from the documents and the tokenizer that the release holds."""
        made = self.scratch / "tokens"
        encode(TokensConfig(), self.views, made, self.world)
        return made

    @cached_property
    def world(self) -> World:
        machine = Machine(
            device="cpu",
            threads=None,
            micro_batches=1,
            compile=False,
            cache=self.scratch,
            runs=self.scratch,
            releases=self.scratch,
            progress="none",
            wandb="disabled",
            workers=1,
            engine="processes",
        )
        return World(0, 1, machine)


def provenance(release: Release) -> list[str]:
    """Each source has purl, licence, digest and retrieval; each document and token range leads to a listed source."""
    sources = {source["purl"]: source for source in release.json("data/sources.json")}
    extracted, retrieved = release.json("data/extracted.json"), release.json("logs/raw/retrieved.json")
    problems = [f"{purl}: in data/extracted.json alone" for purl in extracted.keys() - sources.keys()]
    for purl, source in sources.items():
        PackageURL.from_string(purl)
        if not source["licence"] or not source["attribution"]:
            problems.append(f"{purl}: no licence or no attribution")
        if not source["files"] or not all(re.fullmatch("[0-9a-f]{64}", file["sha256"]) for file in source["files"]):
            problems.append(f"{purl}: no digest of its files")
        if source["kind"] in ("pypi", "hub") and not retrieved.get(source["slug"], {}).get("retrieved"):
            problems.append(f"{purl}: when it was retrieved is not recorded")
        for name, sha256 in extracted[purl]["licences"].items():
            text = f"data/licences/{sha256}.txt"
            if text not in release.paths or file_digest(release.path / text) != sha256:
                problems.append(f"{purl}: {text}, its {name}, is missing or changed")
    for table in ("documents", "ranges"):
        strangers = {row["source"] for row in release.rows(table)} - sources.keys()
        problems += [f"data/{table}: source {purl} is not listed" for purl in sorted(strangers)]
    for row in release.rows("documents"):
        source = sources.get(row["source"], {})
        text = f"data/licences/{row['evidence']}.txt"
        told = release.bytes(text).decode(errors="replace") if text in release.paths else None
        texts = set(extracted.get(row["source"], {}).get("licences", {}).values())
        if problem := origin_problem(row, source, texts, told):
            problems.append(f"document {row['id'][:12]}: {problem}")
    for name in SPLITS:
        end = 0
        for row in read_rows([release.path / "data" / "ranges" / f"{name}.parquet"]):
            if row["start"] != end:
                problems.append(f"data/ranges/{name}: a gap before document {row['id'][:12]}")
            end = row["end"]
        if end != release.json("data/tokens.json")[name]["tokens"]:
            problems.append(f"data/ranges/{name}: the ranges end at {end}, which is not the count of tokens")
    return problems


def origin_problem(row: dict[str, Any], source: dict[str, Any], texts: set[str], told: str | None) -> str | None:
    """Why the row of a document does not follow from its source; None if it does.

    `texts` are the digests of the source's licence texts, `told` is what stands in the document's evidence.
    """
    columns = source.get("columns") or {}  # what rows may tell themselves
    same = {"language"} | ({"attribution"} if not columns.get("attribution") else set())
    if row["evidence"] in texts:
        same.add("licence")
    elif told is None or not columns.get("licence"):
        return "no such licence text in its source"
    elif spdx(told, columns["licence_names"]) != row["licence"]:
        return f"its licence is not what its row said, {told!r}"
    if any(row[key] != source.get(key) for key in same):
        return "licence, attribution or language is not its source's"
    return None


def statistics(release: Release) -> list[str]:
    """The statistics, counted again from the documents."""
    return _written(release, "data/statistics.json")


def counts(release: Release) -> list[str]:
    """Documents and bytes chain without a gap from extraction to tokens, reason by reason."""
    told, extracted, tokens = (release.json(f"data/{name}.json") for name in ("counts", "extracted", "tokens"))
    kept: Counter[tuple[str, str]] = Counter()  # of (split, unit)
    found: dict[tuple[str, str], Counter[str]] = {}  # (action, reason) -> unit -> number
    problems = []

    def same(what: str, counted: int, recorded: int) -> None:
        if counted != recorded:
            problems.append(f"{what}: counted {counted}, recorded {recorded}")

    for row in release.rows("documents"):
        encoded = row["text"].encode()
        if hashlib.sha256(encoded).hexdigest() != row["id"]:
            problems.append(f"document {row['id'][:12]}: its id is not the digest of its text")
        kept[row["split"], "documents"] += 1
        kept[row["split"], "bytes"] += len(encoded)
    for row in release.rows("ledger"):
        here = found.setdefault((row["action"], row["reason"]), Counter())
        here["documents"] += 1
        if row["action"] == "dropped":
            here["bytes"] += row["bytes"]
        else:
            here["occurrences"] += int(row["detail"].split()[0])
    for action, units in (("dropped", ("documents", "bytes")), ("redacted", ("documents", "occurrences"))):
        for reason, numbers in told[action].items():
            counter = found.pop((action, reason), Counter())
            for unit in units:
                same(f"{reason}, {unit}", counter[unit], numbers[unit])
    problems += [f"{' '.join(key)}: in the ledger and not in data/counts.json" for key in found]
    taken = {"documents": 0, "bytes": sum(entry["bytes"] for entry in told["redacted"].values())}
    for unit in ("documents", "bytes"):
        dropped = sum(entry[unit] for entry in told["dropped"].values())
        total = sum(number for (_, of), number in kept.items() if of == unit)
        same(f"kept {unit}", total, told["kept"][unit])
        same(f"extracted {unit}", total + dropped + taken[unit], told["raw"][unit])
        same(f"{unit} of all sources", sum(entry[unit] for entry in extracted.values()), told["raw"][unit])
        for name, numbers in told["splits"].items():
            same(f"{name} {unit}", kept[name, unit], numbers[unit])
            same(f"{name} {unit} with tokens", tokens[name][unit], numbers[unit])
    return problems


def labelling(release: Release) -> list[str]:
    """The data card tells how data was labelled, or why it was not."""
    reason = release.config["release"]["not_used"].get("4")
    found = re.search(r"^#+ Labelling\n+[^#\s]", release.text("data/README.md"), re.MULTILINE)
    problems = [] if found else ["data/README.md: says nothing under 'Labelling'; describe it, or why there is none"]
    if reason is not None and not reason.strip():
        problems.append("code/config.json: labelling is declared as not used without a reason")
    return problems


def split(release: Release) -> list[str]:
    """What was held out, decided again from the texts."""
    config = build(SelectedConfig, release.config["data"]["selected"])
    return [
        f"document {row['id'][:12]}: is in {row['split']}, its hash says {split_of(config, row['id'])}"
        for row in release.rows("documents")
        if row["split"] != split_of(config, row["id"])
    ]


def selection(release: Release) -> list[str]:
    """No two texts are near duplicates, and no training text gives away an evaluation item or a held-out text."""
    config = build(SelectedConfig, release.config["data"]["selected"])
    rows = list(release.rows("documents"))
    numbers = [words(row["text"]).numbers for row in rows]
    found = clusters(np.array([signature(each) for each in numbers]), config.near_duplicates)
    held_out = evaluated((row["id"], each) for row, each in zip(rows, numbers, strict=True) if row["split"] != "train")
    items = items_of(release.views["benchmarks"])
    problems = []
    for place, (row, first) in enumerate(zip(rows, found, strict=True)):
        if first != place:
            problems.append(f"document {row['id'][:12]}: is nearly the same as {rows[first]['id'][:12]}")
        saw = row["split"] == "train" and contaminated(words(row["text"]), config.contaminated, items, held_out)
        problems += [f"document {row['id'][:12]}: {saw}"] if saw else []
    return problems


def tokens(release: Release) -> list[str]:
    """The documents, encoded again, give the recorded tokens."""
    return _made_again(release, "tokens", release.tokens)


def source_kinds(release: Release) -> list[str]:
    """Each source tells where it can be had, and its texts are here: all of them are open."""
    problems = []
    held = Counter(row["source"] for row in release.rows("documents"))
    told = release.json("data/counts.json")["sources"]
    for source in release.json("data/sources.json"):
        if source["kind"] not in ("pypi", "files", "stories"):
            problems.append(f"{source['purl']}: unknown kind {source['kind']!r}")
        if source["kind"] == "pypi" and not source.get("filename"):
            problems.append(f"{source['purl']}: which file it is is not said")
        if held[source["purl"]] != told[source["purl"]]["kept"]["documents"]:
            problems.append(f"{source['purl']}: {held[source['purl']]} documents are here, not all that were kept")
    return problems


def data_terms(release: Release) -> list[str]:
    """What describes the data is under an OSI-approved licence; the documents' own licences are open and told."""
    information = [path for path in release.paths if path.startswith("data/") and not path.startswith(NOT_OURS)]
    problems = _not_approved(release, information)
    told = {name: terms["standing"] for name, terms in release.json("openness.json")["documents"].items()}
    for licence in sorted({row["licence"] for row in release.rows("documents")}):
        if standing(licence) == "not known to be open":
            problems.append(f"documents under {licence}: not known to be open")
        if told.get(licence) != standing(licence):
            problems.append(f"documents under {licence}: {standing(licence)}, which openness.json does not say")
    return problems


def components(release: Release) -> list[str]:
    """The source code has each part that the definition names, and each is a program that can be read."""
    needed = ((item, f"code/{path}") for item, path in COMPONENTS)
    problems = [f"{path}: missing, which {item} asks for" for item, path in needed if path not in release.paths]
    for name, record in release.provenance.items():
        for path, sha256 in record["code"].items():
            if release.products.get(f"code/{path}") != sha256:
                problems.append(f"{name}: was made by another {path} than code/ holds")
    for path in release.paths:
        if path.startswith("code/") and path.endswith(".py"):
            try:
                ast.parse(release.bytes(path))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                problems.append(f"{path}: not a Python program ({error})")
    if not release.config["release"]["not_used"].get("hyper-parameter search", "").strip():
        problems.append("hyper-parameter search: neither there nor declared as not used")
    return problems


def settings(release: Release) -> list[str]:
    """The resolved config builds, and each stage's part of it is what the stage's manifest says was used."""
    config = release.config
    build(bundle.ReleaseConfig, config["release"])
    parts: dict[str, tuple[Any, Any]] = {
        "raw": (RawConfig, config["data"]["raw"]),
        "documents": (DocumentsConfig, config["data"]["documents"]),
        "benchmarks": (BenchmarksConfig, config["benchmarks"]),
        "selected": (SelectedConfig, config["data"]["selected"]),
        "tokenizer": (TokenizerConfig, config["tokenizer"]),
        "weights": (FitConfig, {"model": config["model"], "training": config["training"]}),
        "evaluation": (MeasureConfig, {"model": config["model"], "evaluation": config["evaluation"]}),
    }
    problems = []
    for name, (kind, part) in parts.items():
        used = {key: value for key, value in release.provenance[name]["config"].items() if key != "stack"}
        if plain(build(kind, part)) != used:
            problems.append(f"{name}: code/config.json differs from the config in provenance/{name}.json")
    if not all(isinstance(override, str) for override in release.json("code/overrides.json")):
        problems.append("code/overrides.json: not a list of overrides")
    return problems


def tokenizer(release: Release) -> list[str]:
    """The tokenizer, learnt again from the documents, has the same bytes, and gives every text back."""
    made = release.scratch / "tokenizer"
    learn(build(TokenizerConfig, release.config["tokenizer"]), release.views, made, release.world)
    words = load_tokenizer(release.path)
    problems = _made_again(release, "tokenizer", made)
    for row in islice(release.rows("documents"), ROUND_TRIPS):
        if words.decode(words.encode([row["text"]])[0]) != row["text"]:
            problems.append(f"document {row['id'][:12]}: is not given back")
    return problems


def scores(release: Release) -> list[str]:
    """The evaluation, run again on the weights, gives the recorded scores and samples."""
    made = release.scratch / "evaluation"
    parts = {name: release.config[name] for name in ("model", "evaluation")}
    inputs = {**release.views, "tokens": release.tokens}
    measure(build(MeasureConfig, parts), inputs, made, release.world)
    return _made_again(release, "evaluation", made)


def overlap(release: Release) -> list[str]:
    """The overlap of training text with what is evaluated on, found again."""
    path = "data/overlap.json"
    made = bundle.as_json(find_overlap({**release.views, "tokens": release.tokens}, release.world))
    return [] if made == release.bytes(path) else [f"{path}: not what documents and evaluation sets give"]


def code_terms(release: Release) -> list[str]:
    """All code is under an OSI-approved licence, whose text is there."""
    problems = _not_approved(release, [path for path in release.paths if path.startswith("code/")])
    if release.bytes("code/LICENSE") != release.bytes("LICENSE"):
        problems.append("code/LICENSE: differs from LICENSE")
    return problems


def environment(release: Release) -> list[str]:
    """The libraries are pinned, and what the training ran on is recorded."""
    pinned = re.findall(r"^([\w.-]+)==\S", release.text("code/requirements.lock"), re.MULTILINE)
    problems = [f"code/requirements.lock: {name} is not pinned" for name in PINNED if name not in pinned]
    recorded = {**release.json("logs/weights/stack.json"), **release.json("logs/weights/run.json")}
    needed = ("torch", "threads", "capability", "device", "python", "platform", "packages")
    problems += [f"logs/weights: {key} is not recorded" for key in needed if not recorded.get(key)]
    return problems + [f"logs/weights: no version of {name}" for name in PINNED if name not in recorded["packages"]]


def weights(release: Release) -> list[str]:
    """The weights load, fit the config in every shape, are finite, and are those of the last checkpoint."""
    problems = _written(release, "config.json") + _written(release, "generation_config.json")
    bundle.model_of(release.path)
    last = bundle.checkpoints_of(release.path)[-1]
    if file_digest(last / WEIGHTS) != file_digest(release.path / WEIGHTS):
        problems.append(f"{WEIGHTS}: differs from checkpoints/{last.name}")
    return problems + _written(release, "provenance/facts.json")


def logits(release: Release) -> list[str]:
    """For the recorded prompts the model gives the recorded logits."""
    told, found = release.json("evaluation/logits.json"), bundle.logits(release.path)
    if [record["tokens"] for record in told] != [record["tokens"] for record in found]:
        return ["evaluation/logits.json: the prompts or their tokens differ"]
    pairs = [pair for t, f in zip(told, found, strict=True) for pair in zip(t["next"], f["next"], strict=True)]
    apart = [abs(a["logit"] - b["logit"]) for a, b in pairs]
    return [f"logits differ by up to {max(apart)}"] if max(apart) > LOGIT_TOLERANCE else []


def checkpoints(release: Release) -> list[str]:
    """A checkpoint stands at every step that the config says; each loads, belongs to this run, and is finite."""
    steps: list[int] = []
    owner = {
        "config": digest({name: release.config[name] for name in ("model", "training")}),
        "data": product_digest(release.views["tokens"]),
    }
    problems = []
    for folder in bundle.checkpoints_of(release.path):
        found = load(folder, owner)
        steps.append(found.step)
        bad = [n for n, t in {**found.weights, **found.optimizer}.items() if not bool(torch.isfinite(t).all())]
        problems += [f"{folder.name}: {name} is not finite" for name in bad]
        if folder.name != f"step-{found.step:06d}":
            problems.append(f"{folder.name}: holds step {found.step}")
    every, end = (release.config["training"][name] for name in ("checkpoint_every", "steps"))
    expected = [*range(every, end, every), end]
    return problems + ([f"checkpoints of steps {steps}, expected {expected}"] if steps != expected else [])


def optimizer_state(release: Release) -> list[str]:
    """One more step after the first checkpoint leads to the recorded digests."""
    path = "checkpoints/next_step.json"
    told = release.json(path) if path in release.paths else None
    found = bundle.next_step(release.path, release.tokens)
    if release.config["training"]["numerics"]["contract"] != "portable" and found and told:
        found = {**found, "files": told["files"]}  # which only the recorded stack can compare
    return [] if found == told else [f"{path}: one more step gives {found}, recorded is {told}"]


def parameter_terms(release: Release) -> list[str]:
    """The parameters are under an OSI-approved licence, and the card says that they are free for all."""
    ours = [p for p in release.paths if p.endswith(".safetensors") or p == "README.md"]
    problems = _not_approved(release, ours)
    card = " ".join(release.text("README.md").split())
    if "The parameters are freely available to all, for any purpose, under Apache-2.0" not in card:
        problems.append("README.md: the statement that the parameters are freely available to all is missing")
    if "Apache License" not in release.text("LICENSE"):
        problems.append("LICENSE: not the text of Apache-2.0")
    return problems


def use_restrictions(release: Release) -> list[str]:
    """No licence, by name or in its text, reserves some uses."""
    names = {licence for licence in by_file(release.path, release.paths).values() if licence}
    names |= {source["licence"] for source in release.json("data/sources.json")}
    names |= {row["licence"] for row in release.rows("documents")}
    problems = [f"{name}: {found}" for name in sorted(names) if (found := restriction(name, name=True))]
    for path in release.paths:
        if path.startswith(("LICENSES/", "data/licences/")) or path in ("LICENSE", "NOTICE", "README.md"):
            text = " ".join(release.bytes(path).decode(errors="replace").split())
            if found := restriction(text, name=False):
                problems.append(f"{path}: {found!r}")
    return problems


# Beyond the rows -----------------------------------------------------------------------------------------------------


def chain(release: Release) -> list[str]:
    """Keys and digests lead from each artifact to the next, and to every product that is here."""
    problems, accounted = [], {*bundle.WRITTEN, "LICENSE", "checkpoints/next_step.json"}
    for name, record in release.provenance.items():
        accounted.add(f"provenance/{name}.json")
        keys = {each: entry["key"] for each, entry in record["inputs"].items()}
        told = {"stage": name, "config": record["config"], "code": digest(record["code"]), "inputs": keys}
        if digest(told) != record["key"]:
            problems.append(f"{name}: its key is not the digest of stage, config, code and inputs")
        for each, entry in record["inputs"].items():
            made = release.provenance[each]
            products = digest({path: product["sha256"] for path, product in made["products"].items()})
            if (made["key"], products) != (entry["key"], entry["products"]):
                problems.append(f"{name}: was made from another {each}")
        for product, entry in record["products"].items():
            place = bundle.placed(name, product)
            if place:
                accounted.add(place)
                if release.products.get(place) != entry["sha256"]:
                    problems.append(f"{place}: not what {name} made")
    others = [path for path in release.products if path not in accounted]
    problems += _written(release, "provenance/chain.json")
    return problems + [f"{path}: nothing made this" for path in others if not path.startswith(("code/", "LICENSES/"))]


def licences(release: Release) -> list[str]:
    """Every file has a licence, and the text of every licence is there, as it came."""
    problems = _written(release, "REUSE.toml") + _written(release, "NOTICE")
    found = by_file(release.path, release.paths)
    problems += [f"{path}: no licence" for path, licence in found.items() if not licence]
    needed = {i for licence in set(found.values()) if licence for i in identifiers(licence)}
    expected = licence_texts(release.path)
    problems += [f"LICENSES/{i}.txt: missing" for i in sorted(needed) if f"LICENSES/{i}.txt" not in expected]
    for path in sorted(expected.keys() | {p for p in release.paths if p.startswith("LICENSES/")}):
        if path not in release.paths or release.bytes(path) != expected.get(path):
            problems.append(f"{path}: not the text that came with the sources")
    return problems


def cards(release: Release) -> list[str]:
    """Both cards and the citation, written again from the records, have the same bytes."""
    return [p for path in ("README.md", "data/README.md", "CITATION.cff") for p in _written(release, path)]


def metadata(release: Release) -> list[str]:
    """The description for machines, the bill of materials, and the summary for the European Union."""
    paths = ("data/croissant.json", "provenance/bom.json", "provenance/eu_training_summary.md")
    return [problem for path in paths for problem in _written(release, path)]


def osaid(release: Release) -> list[str]:
    """openness.json follows from what is here, and says that every must item is there."""
    problems = _written(release, "openness.json")
    for row in release.json("openness.json")["rows"]:
        if row["class"] == "must" and row["status"].startswith("absent"):
            problems.append(f"{row['id']} ({row['requirement']}): {row['status']}")
    return problems


def placeholders(release: Release) -> list[str]:
    """Nobody left a blank to be filled in later. Indented blocks are skipped: there the model or a source speaks."""
    problems = []
    for path in PROSE:
        lines = release.text(path).split("\n")
        spoken = [line for line in lines if path.endswith(".json") or not line.startswith("    ")]
        problems += [f"{path}: {found[0]!r}" for line in spoken if (found := PLACEHOLDER.search(line))]
    return problems


def machine_paths(release: Release) -> list[str]:
    """No record holds a path of the machine that it was made on. Texts of sources and samples are not records."""
    skipped = ("code/", "evaluation/samples.json", "tokenizer.json", openness.WITNESSES)
    records = [p for p in release.paths if p.endswith((".json", ".toml", ".cff")) and not p.startswith(skipped)]
    problems = []
    for path in [*records, "code/config.json", "code/overrides.json"]:
        texts = _strings(release.json(path) if path.endswith(".json") else release.text(path))
        problems += [f"{path}: {text!r}" for text in texts if MACHINE_PATH.search(text)]
    return problems


def _strings(value: Any) -> Iterator[str]:
    """Every string in plain data, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (key, *_strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _not_approved(release: Release, paths: list[str]) -> list[str]:
    found = by_file(release.path, paths).items()
    return [f"{path}: {name or 'no licence'}" for path, name in found if not name or standing(name) != "OSI-approved"]


def _written(release: Release, path: str) -> list[str]:
    """The file at `path`, written again from the release's records, has the same bytes."""
    made = bundle.WRITTEN[path](release.path)
    return [] if made == release.bytes(path) else [f"{path}: not what its records give"]


def _made_again(release: Release, name: str, made: Path) -> list[str]:
    """The products in the folder `made` are those that the artifact's manifest lists and those that stand here."""
    (made / "manifest.json").write_bytes(release.bytes(f"provenance/{name}.json"))
    problems = [f"{name} made again: {problem}" for problem in check(made)]
    for product in openness.regular_files(made):
        place = bundle.placed(name, product)
        if place in release.products and release.products[place] != file_digest(made / product):
            problems.append(f"{place}: differs from what was made again")
    return problems


CHECKS = (
    provenance, statistics, counts, labelling, split, selection, tokens, source_kinds, data_terms, components, settings,
    tokenizer, scores, overlap, code_terms, environment, weights, logits, checkpoints, optimizer_state, parameter_terms,
    use_restrictions, chain, licences, cards, metadata, osaid, placeholders, machine_paths,
)  # fmt: skip
