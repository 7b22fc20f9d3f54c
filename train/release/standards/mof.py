"""The Model Openness Framework (arXiv 2403.13784): its components by their paths here, and the class they reach.

The framework asks for no path, so a rating by it is often an assertion; here each component's path and licence exist.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import read_json
from train.licences import standing
from train.release.cards.templates import data
from train.release.standards import reuse
from train.release.standards.osaid import begun_with


@dataclass(frozen=True)
class Class:
    """A class of the framework: its name, and the components that it asks for."""

    name: str
    components: list[list[str]]  # of each its name, its path here, and what it is


@dataclass(frozen=True)
class Component:
    """A component that is here, as the framework's own tool reads it."""

    name: str
    description: str
    license: str
    license_path: str
    component_path: str


TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CLASSES = {name: Class(**each) for name, each in TABLE["classes"].items()}


def components(release: Path) -> list[Component]:
    """Each component that is here, with its licence and where that licence's text stands."""
    entries = []
    ours = read_json(release / "code/config.json", "/release/licence")
    for name, path, what in (component for each in CLASSES.values() for component in each.components):
        if not (release / path).exists() and path != "README.md":  # which shows this class, and so comes after it
            continue
        licence, text = ours, "LICENSE"
        if name == "Datasets":
            licence, text = reuse.of_documents(release), "LICENSES"
        elif name == "Evaluation data" and (sets := {s.record.source.licence for s in reuse.sets_of_others(release)}):
            licence, text = " AND ".join(f"({each})" for each in (ours, *sorted(sets))), "LICENSES"
        entries.append(Component(name, what, licence, text, path))
    return entries


def mof_yml(release: Path) -> bytes:
    """`provenance/mof.yml`, as the framework's own tool reads it."""
    about, documents = read_json(release / "code/config.json", "/release"), reuse.of_documents(release)
    facts = {"documents": documents, "components": list(map(vars, components(release))), "begun": begun_with(release)}
    return data("standards/mof.yml.jinja", about=about, **facts).encode()


def mof_class(release: Path) -> dict[str, Any]:
    """The highest class of which, and of those before it, every component is here under an open licence."""
    held = {each.name for each in components(release) if is_open(release, each)}
    held -= {"Datasets"} if begun_with(release) else set()  # of which those it read before are not here
    reached, missing = {"class": "none", "name": "not open"}, list[str]()
    for name, each in CLASSES.items():
        missing = [part for part, _, _ in each.components if part not in held and part not in TABLE["optional"]]
        if missing:
            break
        reached = {"class": name, "name": each.name}
    return {**reached, "missing_for_the_next": missing}


def is_open(release: Path, component: Component) -> bool:
    """Whether a component is under an OSI-approved or an open-data licence, whose text is here."""
    known = standing(component.license) != "not known to be open"
    return known and (release / component.license_path).exists()
