"""The Model Openness Framework (arXiv 2403.13784): its components by their paths here, and the class they reach.

The framework asks for no path, so a rating by it is often an assertion; here each component's path and licence exist.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.licences import standing
from train.release.cards.markdown import record, yaml
from train.release.standards import reuse

CLASSES = {"III": "Open Model", "II": "Open Tooling", "I": "Open Science"}  # each needs those before it
OPTIONAL = ("Sample model outputs", "Supporting libraries and tools", "Model metadata")
# (component, the class that asks for it, where it stands, what it is)
COMPONENTS = (
    ("Model architecture", "III", "code/train/model.py", "the transformer, whole"),
    ("Model parameters (Final)", "III", "model.safetensors", "the weights"),
    ("Evaluation results", "III", "evaluation/scores.json", "scores with intervals, beside baselines"),
    ("Model card", "III", "README.md", "what the model is, how good and how made"),
    ("Data card", "III", "data/README.md", "what the data is, whose, and how it was selected"),
    ("Technical report", "III", "code/README.md", "how the pipeline works; the cards have what it made"),
    ("Sample model outputs", "III", "evaluation/samples.json", "texts that the model wrote"),
    ("Training code", "II", "code/train/training", "loop, optimizer, numerics, checkpoints"),
    ("Inference code", "II", "code/train/inference/generate.py", "how the model writes"),
    ("Evaluation code", "II", "code/train/evaluation", "how it is measured"),
    ("Evaluation data", "II", "evaluation/data", "the sets that it is measured on"),
    ("Supporting libraries and tools", "II", "code/requirements.lock", "every library, pinned"),
    ("Datasets", "I", "data/documents", "every text that was trained on or held out"),
    ("Data preprocessing code", "I", "code/train/data", "from the sources to tokens"),
    ("Model parameters (Intermediate)", "I", "checkpoints", "weights along the way, with the optimizer's state"),
    ("Research paper", "I", "code/README.md", "none was written; the technical report stands in"),
    ("Model metadata", "I", "code/config.json", "every setting"),
)


def components(release: Path) -> list[dict[str, str]]:
    """Each component that is here, with its licence and where that licence's text stands."""
    entries = []
    ours = record(release, "code/config.json", "/release/licence")
    for name, _, path, what in COMPONENTS:
        if not (release / path).exists() and path != "README.md":  # which shows this class, and so comes after it
            continue
        licence, text = ours, "LICENSE"
        if name == "Datasets":
            licence, text = reuse.of_documents(release), "LICENSES"
        elif name == "Evaluation data" and (sets := {each["licence"] for each in reuse.sets_of_others(release)}):
            licence, text = " AND ".join(f"({each})" for each in (ours, *sorted(sets))), "LICENSES"
        about = {"name": name, "description": what, "license": licence}
        entries.append({**about, "license_path": text, "component_path": path})
    return entries


def mof_yml(release: Path) -> bytes:
    """`provenance/mof.yml`, as the framework's own tool reads it."""
    about, ours = record(release, "code/config.json", "/release"), {"name": "", "path": "LICENSE"}
    terms = {kind: {**ours, "name": about["licence"]} for kind in ("distribution", "code", "document")}
    terms["data"] = {"name": reuse.of_documents(release), "path": "LICENSES"}
    described = {
        "name": about["title"],
        "version": about["version"],
        "date": about["date"],
        "license": terms,
        "type": "language",
        "architecture": "transformer decoder",
        "treatment": "pre-trained",
        "origin": "trained from random numbers",
        "producer": ", ".join(about["authors"]),
        "contact": about["contact"],
        "repository": "code",
        "huggingface": "",
        "components": components(release),
    }
    framework = {"name": "Model Openness Framework", "version": "1.0", "date": "2024-12-15"}
    return yaml({"framework": framework, "release": described}).encode()


def mof_class(release: Path) -> dict[str, Any]:
    """The highest class of which, and of those before it, every component is here under an open licence."""
    held = {each["name"] for each in components(release) if is_open(release, each)}
    reached, missing = "none", list[str]()
    for name in CLASSES:
        needed = [part for part, least, _, _ in COMPONENTS if least == name and part not in OPTIONAL]
        missing = [part for part in needed if part not in held]
        if missing:
            break
        reached = name
    return {"class": reached, "name": CLASSES.get(reached, "not open"), "missing_for_the_next": missing}


def is_open(release: Path, component: Mapping[str, str]) -> bool:
    """Whether a component is under an OSI-approved or an open-data licence, whose text is here."""
    known = standing(component["license"]) != "not known to be open"
    return known and (release / component["license_path"]).exists()
