"""The bill of materials: CycloneDX 1.7 of the model, its data sets and the packages, each with version and licence.

One is a product, a function of the release, with the packages of the lock. The other is a witness: the packages as they
were installed where the release was packed, with the licence that each one names and the digest of its list of files.
Neither has a serial number or a clock's time, so both are the same bytes whenever they are written.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from train.artifact import file_digest, read_json
from train.release.lock import pins


def bill(release: Path) -> dict[str, Any]:
    """`provenance/bom.json`: the model with its digest and scores, each source as a data set, each package of the lock.

    It holds what the minimum elements of an SBOM for AI (G7, May 2026) have a place for in CycloneDX.
    """
    about = read_json(release / "code/config.json")["release"]
    project = tomllib.loads((release / "code/pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (release / "code/requirements.lock").read_text(encoding="utf-8")
    packages = [component(pin.name, pin.version) for pin in pins(lock)]
    kept = read_json(release / "data/statistics.json")["sources"]
    sources = [_source(each, kept.get(each["purl"], {})) for each in read_json(release / "data/sources.json")]
    told = bill_of(_model(release, about, sources), [*sources, *packages])
    told["metadata"] |= {
        "timestamp": f"{about['date']}T00:00:00Z",  # the day that its publishers gave the release: no clock is read
        "lifecycles": [{"phase": "post-build"}],
        "tools": {"components": [{"type": "application", "name": project["name"], "version": project["version"]}]},
        "authors": [{"name": name} for name in about["authors"]],
    }
    return {**told, "dependencies": [{"ref": "model", "dependsOn": [each["bom-ref"] for each in told["components"]]}]}


def _source(source: Mapping[str, Any], kept: Mapping[str, int]) -> dict[str, Any]:
    files = [{"type": "dataset", "name": file["path"], "contents": {"url": file["path"]}, "classification": "public"}
             for file in source["files"]]  # fmt: skip
    return {
        "type": "data",
        "bom-ref": source["purl"],
        "name": source["purl"].split("@")[0].split("/", 1)[-1],
        "purl": source["purl"],
        "licenses": [{"expression": source["licence"]}],
        "copyright": source["attribution"],
        "data": files,
        "hashes": [{"alg": "SHA-256", "content": file["sha256"]} for file in source["files"]],
        "properties": [{"name": f"kept {unit}", "value": str(number)} for unit, number in kept.items()],
    }


def _model(release: Path, about: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    pages = {"model-card": "README.md", "documentation": "data/README.md", "license": "LICENSE"}
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "manufacturer": {"name": ", ".join(about["authors"])},
        "name": read_json(release / "code/config.json")["name"],
        "version": about["version"],
        "description": about["description"],
        "licenses": [{"license": {"id": about["licence"]}}],
        "hashes": [{"alg": "SHA-256", "content": file_digest(release / "model.safetensors")}],
        "externalReferences": [{"type": kind, "url": path} for kind, path in pages.items()],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "self-supervised"},
                "task": "text-generation",
                "architectureFamily": "transformer",
                "datasets": [{"ref": source["bom-ref"]} for source in sources],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(read_json(release / "evaluation/scores.json"))},
            "considerations": {"useCases": [about["intended_use"]], "technicalLimitations": [about["limits"]]},
        },
    }


def _metrics(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    metrics = []
    for name, score in scores.items():
        bounds = {"lowerBound": str(score["low"]), "upperBound": str(score["high"])} if "low" in score else {}
        interval = {"confidenceInterval": bounds} if bounds else {}
        metrics.append({"type": f"{name}, {score['unit']}", "value": str(score["value"]), **interval})
    return metrics


def installed() -> dict[str, Any]:
    """`logs/packages.json`: every package of this environment; a licence stands as its own metadata names it."""
    packages = {package["bom-ref"]: package for package in (_installed(*each) for each in distributions())}
    return bill_of({"type": "platform", "name": "environment"}, [packages[name] for name in sorted(packages)])


def distributions() -> Iterator[tuple[str, metadata.Distribution]]:
    """Each package of this environment with its name; what half an uninstallation leaves has none and is left out."""
    for distribution in metadata.distributions():
        about: Any = distribution.metadata
        if about is not None and about.get("Name") and about.get("Version"):
            yield about["Name"], distribution


def bill_of(subject: dict[str, Any], components: list[dict[str, Any]]) -> dict[str, Any]:
    """The bill of materials of what `components` make up."""
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
    }
    return {**head, "version": 1, "metadata": {"component": subject}, "components": components}


def component(name: str, version: str) -> dict[str, Any]:
    """A package of the index as a component, without licences and digests."""
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _installed(name: str, distribution: metadata.Distribution) -> dict[str, Any]:
    about: Any = distribution.metadata
    expression, named = about.get("License-Expression"), about.get("License")
    record, package = distribution.read_text("RECORD"), component(name, distribution.version)
    if expression or named:
        word = " ".join((expression or named).split())[:80]
        package["licenses"] = [{"expression": expression} if expression else {"license": {"name": word}}]
    if record:
        package["hashes"] = [{"alg": "SHA-256", "content": sha256(record.encode()).hexdigest()}]
    return package
