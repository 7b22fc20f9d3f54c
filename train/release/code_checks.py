"""Checks of the code: that it is all here, that it made what is here, in which environment, from which commit."""

import ast
import re

from train.artifact import digest
from train.release import bundle
from train.release.contents import Release

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


def environment(release: Release) -> list[str]:
    """The libraries are pinned, and what the training ran on is recorded."""
    pinned = re.findall(r"^([\w.-]+)==\S", release.text("code/requirements.lock"), re.MULTILINE)
    problems = [f"code/requirements.lock: {name} is not pinned" for name in PINNED if name not in pinned]
    recorded = {**release.json("logs/weights/stack.json"), **release.json("logs/weights/run.json")}
    needed = ("torch", "threads", "capability", "device", "python", "platform", "packages")
    problems += [f"logs/weights: {key} is not recorded" for key in needed if not recorded.get(key)]
    return problems + [f"logs/weights: no version of {name}" for name in PINNED if name not in recorded["packages"]]


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
    return problems + [f"{path}: nothing made this" for path in others if not path.startswith(("code/", "LICENSES/"))]
