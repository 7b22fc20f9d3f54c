"""Checks of the terms: each file has a licence, its text is here, and none reserves some uses."""

from collections.abc import Iterator

from train.data.sources.spec import read_sources
from train.licences import OTHER_TEXT, OURS_TEXT, claim_problem, restriction, standing
from train.release.standards.reuse import by_file, evidence
from train.release.standards.reuse import texts as licence_texts
from train.release.view import Release
from train.spdx import identifiers

NOT_OURS = ("data/documents/", "data/licences/")  # which keep the licences of their sources


def data_terms(release: Release) -> Iterator[str]:
    """What describes the data is under an OSI-approved licence; the documents' own licences are open and told."""
    information = [path for path in release.paths if path.startswith("data/") and not path.startswith(NOT_OURS)]
    yield from not_approved(release, information)
    said = release.json("openness.json", "/documents")
    for licence in sorted({document.licence for document in release.documents()}):
        if standing(licence) == "not known to be open":
            yield f"documents under {licence}: not known to be open"
        if said.get(licence, {}).get("standing") != standing(licence):
            yield f"documents under {licence}: {standing(licence)}, which openness.json does not say"


def code_terms(release: Release) -> list[str]:
    """All code is under an OSI-approved licence, whose text is there."""
    problems = not_approved(release, [path for path in release.paths if path.startswith("code/")])
    return problems + release.same("code/LICENSE", release.bytes("LICENSE"))


def parameter_terms(release: Release) -> Iterator[str]:
    """The parameters are under an OSI-approved licence, and the card says that they are free for all."""
    yield from not_approved(release, [p for p in release.paths if p.endswith(".safetensors") or p == "README.md"])
    card = " ".join(release.text("README.md").split())
    if "The parameters are freely available to all, for any purpose, under Apache-2.0" not in card:
        yield "README.md: the statement that the parameters are freely available to all is missing"
    if release.products.get("LICENSE") != OURS_TEXT:
        yield f"LICENSE: {OTHER_TEXT}"


def use_restrictions(release: Release) -> Iterator[str]:
    """No licence, by name or in its text, reserves some uses."""
    names = {licence for licence in by_file(release.path, release.paths).values() if licence}
    names |= {record.source.licence for record in read_sources(release.path / "data/sources.json")}
    names |= {document.licence for document in release.documents()}
    yield from (f"{name}: {held}" for name in sorted(names) if (held := restriction(name, name=True)))
    for path in release.paths:
        if path.startswith(("LICENSES/", "data/licences/")) or path in ("LICENSE", "NOTICE", "README.md"):
            text = " ".join(release.bytes(path).decode(errors="replace").split())
            if held := restriction(text, name=False):
                yield f"{path}: {held!r}"


def licences(release: Release) -> Iterator[str]:
    """Every file has a licence, and the text of every licence is there, as it came, and is of the licence claimed."""
    yield from release.written("REUSE.toml", "NOTICE")
    of_file = by_file(release.path, release.paths)
    yield from (f"{path}: no licence" for path, licence in of_file.items() if not licence)
    for source, files in evidence(release.path):
        texts = {name: release.bytes(place) for name, place in files.items() if place in release.paths}
        said, against = claim_problem(texts, source.licence)
        if said and against:
            yield f"{source.purl}: {said}"
        elif said:
            release.notes.append(f"{source.purl}: {said}")
    needed = {i for licence in set(of_file.values()) if licence for i in identifiers(licence)}
    expected = licence_texts(release.path)
    yield from (f"LICENSES/{i}.txt: missing" for i in sorted(needed) if f"LICENSES/{i}.txt" not in expected)
    for path in sorted(expected.keys() | {p for p in release.paths if p.startswith("LICENSES/")}):
        if path not in release.paths or path not in expected:
            yield f"{path}: {'missing' if path in expected else 'of a licence that no file is under'}"
        else:
            yield from release.same(path, expected[path])


def not_approved(release: Release, paths: list[str]) -> list[str]:
    of_file = by_file(release.path, paths).items()
    return [f"{path}: {name or 'no licence'}" for path, name in of_file if not name or standing(name) != "OSI-approved"]
