"""The bill of materials: CycloneDX 1.7 of the model, its data sets and the packages, each with version and licence.

One is a product, a function of the release, with the packages of the lock. The other is a witness: the packages as they
were installed where the release was packed. Neither has a serial number or a clock's time.
"""

from collections.abc import Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

from train.artifact import file_digest, parse_json
from train.release.cards.facts import Facts
from train.release.cards.templates import data
from train.release.lock import pins

HEAD = {
    "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
    "bomFormat": "CycloneDX",
    "specVersion": "1.7",
    "version": 1,
}


def bill(release: Path) -> dict[str, Any]:
    """`provenance/bom.json`: the model with its digest and scores, each source as a data set, each package of the lock.

    It holds what the minimum elements of an SBOM for AI (G7, May 2026) have a place for in CycloneDX.
    """
    lock = (release / "code/requirements.lock").read_text(encoding="utf-8")
    packages = [component(pin.name, pin.version) for pin in pins(lock)]
    weights = file_digest(release / "model.safetensors")
    parts = parse_json(data("standards/bom.json.jinja", facts=Facts(release), packages=packages, weights=weights))
    depends = {"ref": "model", "dependsOn": [each["bom-ref"] for each in parts["components"]]}
    return {**HEAD, **parts, "dependencies": [depends]}


def installed() -> dict[str, Any]:
    """`logs/packages.json`: every package of this environment; a licence stands as its own metadata names it."""
    packages = {package["bom-ref"]: package for package in (_installed(*each) for each in distributions())}
    return bill_of_environment([packages[name] for name in sorted(packages)])


def distributions() -> Iterator[tuple[str, metadata.Distribution]]:
    """Each package of this environment with its name; what half an uninstallation leaves has none and is left out."""
    for distribution in metadata.distributions():
        about: Any = distribution.metadata
        if about is not None and about.get("Name") and about.get("Version"):
            yield about["Name"], distribution


def bill_of_environment(components: list[dict[str, Any]]) -> dict[str, Any]:
    """The bill of materials of an environment with these packages."""
    return {**HEAD, "metadata": {"component": {"type": "platform", "name": "environment"}}, "components": components}


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
