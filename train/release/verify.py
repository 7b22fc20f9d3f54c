"""Does a release hold what it says? Every claim is a check with a name that stays; every failure is collected.

The release was written by somebody else. Nothing in it is run: the checks are this checkout's own code. `quick` needs
the standard library alone. The deeper checks make again what can be made again, and compare bytes.
"""

import json
import os
import re
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from train.artifact import check, digest, file_digest, product_digest, read_json
from train.config import UserError
from train.release import openness

Level = Literal["quick", "full"]
PLACEHOLDER = re.compile(r"\b(TODO|TBD|FIXME|XXX|CHANGEME)\b|\[More Information Needed\]|[Ll]orem ipsum")
MACHINE_PATH = re.compile(r"""(?:^|[\s"'=(:])(?:file://|/(?:home|root|Users|tmp|var|mnt|work|opt)/|[A-Za-z]:\\)""")
LOGIT_TOLERANCE = 0.001


@dataclass(frozen=True)
class Result:
    name: str
    ok: bool
    detail: str


class Release:
    """A release that is being checked, and what can be made from it again; each thing is made once."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self.path, self.scratch = path, scratch
        self.manifest = read_json(path / "MANIFEST.json")
        self.paths = sorted(name for name in walk(path) if name != "MANIFEST.json")

    def json(self, name: str) -> Any:
        return read_json(self.path / name)

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.json("code/config.json")

    @cached_property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """The manifest of each artifact."""
        from train.release.bundle import ARTIFACTS

        return {name: self.json(f"provenance/{name}.json") for name in ARTIFACTS}

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The rows of the Parquet files in `data/<table>`."""
        from train.data.tables import read_rows

        return read_rows(sorted((self.path / "data" / table).glob("*.parquet")))

    @cached_property
    def views(self) -> dict[str, Path]:
        """Each artifact as the stages want to see it: its manifest, and links to what the release holds of it."""
        from train.release.bundle import placed

        found = {}
        for name, record in self.provenance.items():
            found[name] = self.scratch / "views" / name
            found[name].mkdir(parents=True)
            (found[name] / "manifest.json").symlink_to((self.path / "provenance" / f"{name}.json").resolve())
            for product in record["products"]:
                place = placed(name, product)
                if place in self.paths:
                    (found[name] / product).parent.mkdir(parents=True, exist_ok=True)
                    (found[name] / product).symlink_to((self.path / place).resolve())
        return found

    @cached_property
    def tokens(self) -> Path:
        """The artifact `tokens`, made again from the documents and the tokenizer that the release holds."""
        from train.data.tokens import encode

        made = self.scratch / "tokens"
        made.mkdir()
        encode(None, self.views, made, self.world)  # type: ignore[arg-type]
        return made

    @cached_property
    def world(self) -> Any:
        from train.world import Machine, World

        places = {"cache": self.scratch, "runs": self.scratch, "releases": self.scratch}
        return World(0, 1, Machine("cpu", None, 1, progress="none", wandb="disabled", **places))


Check = Callable[[Release], list[str]]  # returns problems, a line each
CHECKS: dict[str, tuple[Level, Check]] = {}


def checks(level: Level) -> Callable[[Check], Check]:
    """Enter a function into the table of checks, under its own name."""

    def enter(function: Check) -> Check:
        CHECKS[function.__name__] = level, function
        return function

    return enter


def verify(path: Path, level: Level) -> list[Result]:
    """Run every check of `level` ("full" holds "quick") on the release at `path`. Never writes below it.

    Raises UserError when `path` is no release or cannot be read at all.
    """
    if not (path / "MANIFEST.json").is_file() or (path / "MANIFEST.json").is_symlink():
        raise UserError(f"{path}: not a release: it has no MANIFEST.json; give the folder that holds one")
    with tempfile.TemporaryDirectory() as scratch:
        release = Release(path.resolve(), Path(scratch))
        results = [_run(release, name) for name, (at, _) in CHECKS.items() if at == "quick"]
        if level == "quick":
            return results
        deeper = [name for name, (at, _) in CHECKS.items() if at != "quick"]
        if unsafe(release.path):  # reading on could lead anywhere, or never end
            return results + [Result(name, False, "not run: see integrity") for name in deeper]
        return results + [_run(release, name) for name in deeper]


def _run(release: Release, name: str) -> Result:
    try:
        problems = CHECKS[name][1](release)
    except (KeyboardInterrupt, SystemExit):
        raise
    except UserError as error:
        problems = [str(error).replace(f"{release.path}/", "")]
    except BaseException as error:  # libraries in Rust raise panics that are no Exception
        problems = [f"could not be checked: {type(error).__name__}: {' '.join(str(error).split())[:200]}"]
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return Result(name, not problems, "; ".join(problems[:3]).replace("\n", " ") + more)


def walk(root: Path) -> Iterator[str]:
    """Every file below `root` as a relative path; links are not followed."""
    for folder, _, names in os.walk(root):
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in names)


def unsafe(root: Path) -> list[str]:
    """What is neither a plain file nor a folder."""
    found = []
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            mode = (Path(folder) / name).lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                found.append(f"{(Path(folder) / name).relative_to(root).as_posix()}: neither a file nor a folder")
    return found


# Quick: the standard library is enough -------------------------------------------------------------------------------


@checks("quick")
def integrity(release: Release) -> list[str]:
    """Every file is as MANIFEST.json says, none is missing or added, and the identity is the products' digest."""
    if problems := unsafe(release.path):
        return problems
    products, witnesses = release.manifest["products"], release.manifest["witnesses"]
    listed = {**products, **witnesses}
    problems = [f"{name}: missing" for name in sorted(listed.keys() - set(release.paths))]
    problems += [f"{name}: not in MANIFEST.json" for name in release.paths if name not in listed]
    problems += [f"{name}: a witness among the products" for name in products if name.startswith(openness.WITNESSES)]
    problems += [f"{n}: a product among the witnesses" for n in witnesses if not n.startswith(openness.WITNESSES)]
    for name in release.paths:
        if name in listed:
            found = {"sha256": file_digest(release.path / name), "bytes": (release.path / name).stat().st_size}
            if found != listed[name]:
                problems.append(f"{name}: changed")
    if release.manifest["identity"] != digest({name: entry["sha256"] for name, entry in products.items()}):
        problems.append("identity: not the digest over the products")
    return problems


@checks("quick")
def completeness(release: Release) -> list[str]:
    """Everything that the definition requires has its evidence here."""
    needed = {name for row in openness.ROWS if row.importance == "must" for name in row.evidence.split()}
    needed |= {"openness.json", "generation_config.json", "CITATION.cff", "provenance/facts.json"}
    return [f"{name}: missing" for name in sorted(needed) if not openness.files(name, release.paths)]


# The rows of the table -----------------------------------------------------------------------------------------------


@checks("full")
def provenance(release: Release) -> list[str]:
    """Each source has purl, licence, digest and retrieval; each document and token range leads to a listed source."""
    from packageurl import PackageURL

    sources = {source["purl"]: source for source in release.json("data/sources.json")}
    extracted, retrieved = release.json("data/extracted.json"), release.json("logs/raw/retrieved.json")
    problems = [f"{purl}: in data/extracted.json alone" for purl in extracted.keys() - sources.keys()]
    for purl, source in sources.items():
        PackageURL.from_string(purl)
        if not source["licence"] or not source["attribution"]:
            problems.append(f"{purl}: no licence or no attribution")
        if not source["files"] or not all(re.fullmatch("[0-9a-f]{64}", file["sha256"]) for file in source["files"]):
            problems.append(f"{purl}: no digest of its files")
        if source["kind"] == "pypi" and not retrieved.get(source["slug"], {}).get("retrieved"):
            problems.append(f"{purl}: when it was retrieved is not recorded")
        for name, sha256 in extracted[purl]["licences"].items():
            text = f"data/licences/{sha256}.txt"
            if text not in release.paths or file_digest(release.path / text) != sha256:
                problems.append(f"{purl}: {text}, its {name}, is missing or changed")
    end: dict[str, int] = {}
    for table in ("documents", "ranges"):
        strangers = {row["source"] for row in release.rows(table)} - sources.keys()
        problems += [f"data/{table}: source {purl} is not listed" for purl in sorted(strangers)]
    for row in release.rows("documents"):
        source = sources.get(row["source"], {})
        if any(row[key] != source.get(key) for key in ("licence", "attribution", "language")):
            problems.append(f"document {row['id'][:12]}: licence, attribution or language is not its source's")
        elif row["evidence"] not in extracted[row["source"]]["licences"].values():
            problems.append(f"document {row['id'][:12]}: no such licence text in its source")
    for split in ("train", "held_out"):
        from train.data.tables import read_rows

        end[split] = 0
        for row in read_rows([release.path / "data" / "ranges" / f"{split}.parquet"]):
            if row["start"] != end[split]:
                problems.append(f"data/ranges/{split}: a gap before document {row['id'][:12]}")
            end[split] = row["end"]
        if end[split] != release.json("data/tokens.json")[split]["tokens"]:
            problems.append(f"data/ranges/{split}: the ranges end at {end[split]}, which is not the count of tokens")
    return problems


@checks("full")
def statistics(release: Release) -> list[str]:
    """The statistics, counted again from the documents."""
    return _written(release, "data/statistics.json")


@checks("full")
def counts(release: Release) -> list[str]:
    """Documents and bytes chain without a gap from extraction to tokens, reason by reason."""
    import hashlib

    told, extracted, tokens = (release.json(f"data/{name}.json") for name in ("counts", "extracted", "tokens"))
    kept: Counter[str] = Counter()
    kept_by: dict[str, Counter[str]] = {}
    problems = []
    for row in release.rows("documents"):
        encoded = row["text"].encode()
        if hashlib.sha256(encoded).hexdigest() != row["id"]:
            problems.append(f"document {row['id'][:12]}: its id is not the digest of its text")
        for each in (kept, kept_by.setdefault(row["split"], Counter())):
            each.update(documents=1, bytes=len(encoded))
    found: dict[tuple[str, str], Counter[str]] = {}
    for row in release.rows("ledger"):
        here = found.setdefault((row["action"], row["reason"]), Counter())
        here.update(documents=1)
        if row["action"] == "dropped":
            here.update(bytes=row["bytes"])
        else:
            here.update(occurrences=int(row["detail"].split()[0]))

    def same(what: str, counted: Any, recorded: Any) -> None:
        if counted != recorded:
            problems.append(f"{what}: counted {counted}, recorded {recorded}")

    for action, units in (("dropped", ("documents", "bytes")), ("redacted", ("documents", "occurrences"))):
        for reason, numbers in told[action].items():
            counter = found.pop((action, reason), Counter())
            for unit in units:
                same(f"{reason}, {unit}", counter[unit], numbers[unit])
    problems += [f"{' '.join(key)}: in the ledger and not in data/counts.json" for key in found]
    taken = {"documents": 0, "bytes": sum(entry["bytes"] for entry in told["redacted"].values())}
    for unit in ("documents", "bytes"):
        dropped = sum(entry[unit] for entry in told["dropped"].values())
        same(f"kept {unit}", kept[unit], told["kept"][unit])
        same(f"extracted {unit}", kept[unit] + dropped + taken[unit], told["raw"][unit])
        same(f"{unit} of all sources", sum(entry[unit] for entry in extracted.values()), told["raw"][unit])
        for split, numbers in told["splits"].items():
            same(f"{split} {unit}", kept_by.get(split, Counter())[unit], numbers[unit])
            same(f"{split} {unit} with tokens", tokens[split][unit], numbers[unit])
    here = {path: entry["sha256"] for path, entry in release.manifest["products"].items()}
    for name, record in release.provenance.items():
        for path, sha256 in record["code"].items():
            if here.get(f"code/{path}") != sha256:
                problems.append(f"{name}: was made by another {path} than code/ holds")
    return problems


@checks("full")
def labelling(release: Release) -> list[str]:
    """The data card tells how data was labelled, or why it was not."""
    reason = release.config["release"]["not_used"].get("4")
    card = (release.path / "data" / "README.md").read_text()
    found = re.search(r"^## Labelling\n+(.+)", card, re.MULTILINE)
    if not found or (reason is not None and (not reason.strip() or reason not in card)):
        return ["data/README.md: says nothing about labelling; state it, or why there is none"]
    return []


@checks("full")
def split(release: Release) -> list[str]:
    """What was held out, decided again from the texts."""
    from train.config import build
    from train.data.selected import SelectedConfig
    from train.data.selected import split as decide

    config = build(SelectedConfig, release.config["data"]["selected"])
    return [
        f"document {row['id'][:12]}: is in {row['split']}, its hash says {decide(config, row['id'])}"
        for row in release.rows("documents")
        if row["split"] != decide(config, row["id"])
    ]


@checks("full")
def tokens(release: Release) -> list[str]:
    """The documents, encoded again, give the recorded tokens."""
    return _made_again(release, "tokens", release.tokens)


@checks("full")
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


@checks("full")
def data_terms(release: Release) -> list[str]:
    """What describes the data is under an OSI-approved licence; the documents' own licences are open and told."""
    from train.release.licences import by_file, standing

    information = [path for path in release.paths if path.startswith("data/") and not path.startswith(_OTHERS)]
    found = by_file(release.path, information)
    problems = [f"{path}: {licence}" for path, licence in found.items() if standing(licence or "") != "OSI-approved"]
    told = {name: terms["standing"] for name, terms in release.json("openness.json")["documents"].items()}
    for licence in sorted({row["licence"] for row in release.rows("documents")}):
        if standing(licence) == "not known to be open":
            problems.append(f"documents under {licence}: not known to be open")
        if told.get(licence) != standing(licence):
            problems.append(f"documents under {licence}: {standing(licence)}, which openness.json does not say")
    return problems


@checks("full")
def components(release: Release) -> list[str]:
    """The source code has each part that the definition names, and each is a program that can be read."""
    import ast

    problems = [
        f"code/{path}: missing, which {item} asks for"
        for item, path in COMPONENTS
        if f"code/{path}" not in release.paths
    ]
    for path in release.paths:
        if path.startswith("code/") and path.endswith(".py"):
            try:
                ast.parse((release.path / path).read_bytes())
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                problems.append(f"{path}: not a Python program ({error})")
    if not release.config["release"]["not_used"].get("hyper-parameter search", "").strip():
        problems.append("hyper-parameter search: neither there nor declared as not used")
    return problems


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


@checks("full")
def settings(release: Release) -> list[str]:
    """The resolved config builds, and each stage's part of it is what the stage's manifest says was used."""
    from train.config import build, plain
    from train.data.documents import DocumentsConfig
    from train.data.raw import RawConfig
    from train.data.selected import SelectedConfig
    from train.data.tokenizer import TokenizerConfig
    from train.evaluation.measure import MeasureConfig
    from train.release.bundle import ReleaseConfig
    from train.training.loop import FitConfig

    config = release.config
    build(ReleaseConfig, config["release"])
    parts: dict[str, tuple[Any, Any]] = {
        "raw": (RawConfig, config["data"]["raw"]),
        "documents": (DocumentsConfig, config["data"]["documents"]),
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


@checks("full")
def tokenizer(release: Release) -> list[str]:
    """The tokenizer, learnt again from the documents, has the same bytes, and gives every text back."""
    from itertools import islice

    from train.config import build
    from train.data.tokenizer import TokenizerConfig, learn, load

    made = release.scratch / "tokenizer"
    made.mkdir()
    learn(build(TokenizerConfig, release.config["tokenizer"]), release.views, made, release.world)
    words = load(release.path)
    lost = [
        r["id"]
        for r in islice(release.rows("documents"), 200)
        if words.decode(words.encode([r["text"]])[0]) != r["text"]
    ]
    return _made_again(release, "tokenizer", made) + [f"document {id[:12]}: is not given back" for id in lost]


@checks("full")
def scores(release: Release) -> list[str]:
    """The evaluation, run again on the weights, gives the recorded scores and samples."""
    from train.config import build
    from train.evaluation.measure import MeasureConfig, measure

    made = release.scratch / "evaluation"
    made.mkdir()
    parts = {name: release.config[name] for name in ("model", "evaluation")}
    inputs = {**release.views, "tokens": release.tokens}
    measure(build(MeasureConfig, parts), inputs, made, release.world)
    return _made_again(release, "evaluation", made)


@checks("full")
def code_terms(release: Release) -> list[str]:
    """All code is under an OSI-approved licence, whose text is there."""
    from train.release.licences import by_file, standing

    found = by_file(release.path, [path for path in release.paths if path.startswith("code/")])
    problems = [f"{path}: {licence}" for path, licence in found.items() if standing(licence or "") != "OSI-approved"]
    if (release.path / "code" / "LICENSE").read_bytes() != (release.path / "LICENSE").read_bytes():
        problems.append("code/LICENSE: differs from LICENSE")
    return problems


@checks("full")
def environment(release: Release) -> list[str]:
    """The libraries are pinned, and what the training ran on is recorded."""
    problems = []
    lock = (release.path / "code" / "requirements.lock").read_text()
    for package in ("torch", "tokenizers", "safetensors", "numpy", "pyarrow"):
        if not re.search(rf"^{package}==\S+", lock, re.MULTILINE):
            problems.append(f"code/requirements.lock: {package} is not pinned")
    stack, run = release.json("logs/weights/stack.json"), release.json("logs/weights/run.json")
    for record, keys in (
        (stack, ("torch", "threads", "capability", "device")),
        (run, ("python", "platform", "packages")),
    ):
        problems += [f"logs/weights: {key} is not recorded" for key in keys if not record.get(key)]
    if not run["packages"].get("torch"):
        problems.append("logs/weights/run.json: the version of torch is not recorded")
    return problems


@checks("full")
def weights(release: Release) -> list[str]:
    """The weights load, fit the config in every shape, are finite, and are those of the last checkpoint."""
    from train.release.bundle import checkpoints_of, model_of

    problems = _written(release, "config.json") + _written(release, "generation_config.json")
    model_of(release.path)
    last = checkpoints_of(release.path)[-1] / "model.safetensors"
    if file_digest(last) != file_digest(release.path / "model.safetensors"):
        problems.append(f"model.safetensors: differs from {last.relative_to(release.path)}")
    return problems + _written(release, "provenance/facts.json")


@checks("full")
def logits(release: Release) -> list[str]:
    """For the recorded prompts the model gives the recorded logits."""
    from train.release.bundle import logits as compute

    told, found = release.json("evaluation/logits.json"), compute(release.path)
    if [record["tokens"] for record in told] != [record["tokens"] for record in found]:
        return ["evaluation/logits.json: the prompts or their tokens differ"]
    pairs = [pair for t, f in zip(told, found, strict=True) for pair in zip(t["next"], f["next"], strict=True)]
    apart = [abs(a["logit"] - b["logit"]) for a, b in pairs]
    return [f"logits differ by up to {max(apart)}"] if max(apart) > LOGIT_TOLERANCE else []


@checks("full")
def checkpoints(release: Release) -> list[str]:
    """A checkpoint stands at every step that the config says; each loads, belongs to this run, and is finite."""
    import torch

    from train.release.bundle import checkpoints_of
    from train.training.checkpoint import load

    training, steps = release.config["training"], []
    owner = {
        "config": digest({name: release.config[name] for name in ("model", "training")}),
        "data": product_digest(release.views["tokens"]),
    }
    problems = []
    for folder in checkpoints_of(release.path):
        found = load(folder, owner)
        steps.append(found.step)
        bad = [n for n, t in {**found.weights, **found.optimizer}.items() if not bool(torch.isfinite(t).all())]
        problems += [f"{folder.name}: {name} is not finite" for name in bad]
        if folder.name != f"step-{found.step:06d}":
            problems.append(f"{folder.name}: holds step {found.step}")
    expected = sorted(
        {*range(training["checkpoint_every"], training["steps"], training["checkpoint_every"]), training["steps"]}
    )
    return problems + ([f"checkpoints of steps {steps}, expected {expected}"] if steps != expected else [])


@checks("full")
def optimizer_state(release: Release) -> list[str]:
    """One more step after the first checkpoint leads to the recorded digests."""
    from train.release.bundle import next_step

    path = "checkpoints/next_step.json"
    told = release.json(path) if path in release.paths else None
    found = next_step(release.path, release.tokens)
    if release.config["training"]["numerics"]["contract"] != "portable" and found and told:
        found = {**found, "files": told["files"]}  # which only the recorded stack can compare
    return [] if found == told else [f"{path}: one more step gives {found}, recorded is {told}"]


@checks("full")
def parameter_terms(release: Release) -> list[str]:
    """The parameters are under an OSI-approved licence, and the card says that they are free for all."""
    from train.release.licences import by_file, standing

    ours = [p for p in release.paths if p.endswith(".safetensors") or p == "README.md"]
    found = by_file(release.path, ours)
    problems = [f"{path}: {licence}" for path, licence in found.items() if standing(licence or "") != "OSI-approved"]
    card = " ".join((release.path / "README.md").read_text().split())
    if "The parameters are freely available to all, for any purpose, under Apache-2.0" not in card:
        problems.append("README.md: the statement that the parameters are freely available to all is missing")
    if "Apache License" not in (release.path / "LICENSE").read_text():
        problems.append("LICENSE: not the text of Apache-2.0")
    return problems


@checks("full")
def use_restrictions(release: Release) -> list[str]:
    """No licence, by name or in its text, reserves some uses."""
    from train.release.licences import by_file, restriction

    names = {licence for licence in by_file(release.path, release.paths).values() if licence}
    names |= {source["licence"] for source in release.json("data/sources.json")}
    names |= {row["licence"] for row in release.rows("documents")}
    problems = [f"{name}: {found}" for name in sorted(names) if (found := restriction(name, name=True))]
    for path in release.paths:
        if path.startswith(("LICENSES/", "data/licences/")) or path in ("LICENSE", "NOTICE", "README.md"):
            text = " ".join((release.path / path).read_text(errors="replace").split())
            if found := restriction(text, name=False):
                problems.append(f"{path}: {found!r}")
    return problems


# Beyond the rows -----------------------------------------------------------------------------------------------------


@checks("full")
def chain(release: Release) -> list[str]:
    """Keys and digests lead from each artifact to the next, and to every product that is here."""
    from train.release.bundle import WRITTEN, placed

    here = {path: entry["sha256"] for path, entry in release.manifest["products"].items()}
    problems, accounted = [], {*WRITTEN, "LICENSE", "checkpoints/next_step.json"}
    for name, record in release.provenance.items():
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
            place = placed(name, product)
            accounted.add(place or "")
            if place and here.get(place) != entry["sha256"]:
                problems.append(f"{place}: not what {name} made")
    ours = ("code/", "provenance/", "LICENSES/")
    problems += [f"{path}: nothing made this" for path in here if path not in accounted and not path.startswith(ours)]
    return problems


@checks("full")
def licences(release: Release) -> list[str]:
    """Every file has a licence, and the text of every licence is there, as it came."""
    from train.release.licences import by_file, identifiers, texts

    problems = _written(release, "REUSE.toml") + _written(release, "NOTICE")
    found = by_file(release.path, release.paths)
    problems += [f"{path}: no licence" for path, licence in found.items() if not licence]
    needed = {i for licence in set(found.values()) if licence for i in identifiers(licence)}
    expected = texts(release.path)
    problems += [f"LICENSES/{i}.txt: missing" for i in sorted(needed) if f"LICENSES/{i}.txt" not in expected]
    for path in sorted(expected.keys() | {p for p in release.paths if p.startswith("LICENSES/")}):
        if path not in release.paths or (release.path / path).read_bytes() != expected.get(path):
            problems.append(f"{path}: not the text that came with the sources")
    return problems


@checks("full")
def cards(release: Release) -> list[str]:
    """Both cards and the citation, written again from the records, have the same bytes."""
    return [p for path in ("README.md", "data/README.md", "CITATION.cff") for p in _written(release, path)]


@checks("full")
def osaid(release: Release) -> list[str]:
    """openness.json follows from what is here, and says that every must item is there."""
    problems = _written(release, "openness.json")
    for row in release.json("openness.json")["rows"]:
        if row["class"] == "must" and row["status"].startswith("absent"):
            problems.append(f"{row['id']} ({row['requirement']}): {row['status']}")
    return problems


@checks("full")
def placeholders(release: Release) -> list[str]:
    """Nobody left a blank to be filled in later. Indented blocks are skipped: there the model or a source speaks."""
    texts = ("README.md", "data/README.md", "NOTICE", "CITATION.cff", "REUSE.toml", "openness.json", "code/config.json")
    problems = []
    for path in texts:
        lines = (release.path / path).read_text().split("\n")
        spoken = [line for line in lines if path.endswith(".json") or not line.startswith("    ")]
        problems += [f"{path}: {found[0]!r}" for line in spoken if (found := PLACEHOLDER.search(line))]
    return problems


@checks("full")
def machine_paths(release: Release) -> list[str]:
    """No record holds a path of the machine that it was made on. Texts of sources and samples are not records."""
    skipped = ("code/", "evaluation/samples.json", "tokenizer.json", openness.WITNESSES)
    records = [p for p in release.paths if p.endswith((".json", ".toml", ".cff")) and not p.startswith(skipped)]
    problems = []
    for path in [*records, "code/config.json", "code/overrides.json"]:
        problems += [
            f"{path}: {s!r}"
            for s in _strings(release.json(path) if path.endswith(".json") else (release.path / path).read_text())
            if MACHINE_PATH.search(s)
        ]
    return problems


_OTHERS = ("data/documents/", "data/licences/")


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


def _written(release: Release, path: str) -> list[str]:
    """The file at `path`, written again from the release's records, has the same bytes."""
    from train.release.bundle import WRITTEN, paths_of

    made = WRITTEN[path](release.path, paths_of(release.path))
    return [] if made == (release.path / path).read_bytes() else [f"{path}: not what its records give"]


def _made_again(release: Release, name: str, made: Path) -> list[str]:
    """The products in the folder `made` are those that the manifest of the artifact `name` lists."""
    (made / "manifest.json").write_text(json.dumps(release.provenance[name]))
    return [f"{name} made again: {problem}" for problem in check(made)]
