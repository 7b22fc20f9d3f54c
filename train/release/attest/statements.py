"""Signed statements about a release: by whoever publishes it, how it was made; by whoever checked it, what came out.

A statement is in-toto v1 in a DSSE envelope, signed with an Ed25519 or P-256 key. Its subject is the release's
identity, the digest over all products; so statements are witnesses, in `logs/statements/`, and adding one leaves the
identity as it is.

The publisher's statement has the provenance predicate of SLSA v1, of level 1 at best. It is made again from the release
and compared, so that a key vouches for nothing that the release does not hold. It lists the witnesses as they were when
it was signed: one that was changed since fails, one that was added since is told apart.
"""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from train.artifact import Product, as_json, digest, file_digest, read_json, write_bytes
from train.data.benchmarks import read_sets
from train.data.sources.spec import read_sources
from train.errors import UserError
from train.initial import identity_of
from train.layout import regular_files
from train.programs import uninterrupted
from train.release.attest import dsse
from train.release.bundle import ROOT, manifest_of, source_tree
from train.release.cards.report import report


def statement(release: Path, kind: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the release with this identity."""
    about = [dsse.subject(release)]
    return {"_type": dsse.STATEMENT, "subject": about, "predicateType": kind, "predicate": dict(predicate)}


def provenance(release: Path) -> dict[str, Any]:
    """The predicate of SLSA v1: config, every source, code, lock, data and witness, each with its digest."""
    config, code = release / "code" / "config.json", source_tree(release / "code")
    records = read_sources(release / "data" / "sources.json")
    records += [each.record for each in read_sets(release / "evaluation/data/sets.json")]
    files = [{"uri": record.source.purl, "name": file.path, "digest": {"sha256": file.sha256}}
             for record in records for file in record.files]  # fmt: skip
    lock = release / "code" / "requirements.lock"
    manifests = [{"name": f"provenance/{path.name}", "digest": {"sha256": file_digest(path)}}
            for path in sorted((release / "provenance").glob("*.json"))]  # fmt: skip
    dependencies = [
        *files,
        {"name": "code, as paths and digests", "digest": {"sha256": digest(code)}},
        {"name": "code/config.json", "digest": {"sha256": file_digest(config)}},
        {"name": "code/requirements.lock", "digest": {"sha256": file_digest(lock)}},
    ]
    logs = [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in witnesses(release).items()]
    parameters = {"config": read_json(config), "overrides": read_json(release / "code" / "overrides.json")}
    return {
        "buildDefinition": {"buildType": "https://slsa.dev/spec/v1.0/provenance#pellucid-run",
                            "externalParameters": parameters, "resolvedDependencies": dependencies},
        "runDetails": {"builder": {"id": "https://slsa.dev/spec/v1.0/levels#build-l1"},
                       "byproducts": [*manifests, *logs]},
    }  # fmt: skip


def witnesses(release: Path) -> dict[str, str]:
    """Path -> SHA-256 of each log and statement. `report.html` is left out: it shows the statements that come later."""
    names = (name for name in regular_files(release) if name.startswith("logs/"))
    return {name: file_digest(release / name) for name in names}


def parted(predicate: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """A predicate of provenance without its witnesses, and these: path -> SHA-256. ValueError and the like if none."""
    details = predicate["runDetails"]
    logs = [each for each in details["byproducts"] if str(each["name"]).startswith("logs/")]
    rest = [each for each in details["byproducts"] if each not in logs]
    products = {**predicate, "runDetails": {**details, "byproducts": rest}}
    return products, {each["name"]: each["digest"]["sha256"] for each in logs}


def provenance_apart(release: Path, predicate: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What a publisher's statement tells otherwise than the release, and the witnesses that were added after it."""
    (ours, here) = parted(provenance(release))
    try:
        claimed, signed = parted(predicate)
    except (KeyError, TypeError, AttributeError):
        claimed, signed = None, {}
    problems = [] if claimed == ours and signed else ["tells of another config, source or code than is here"]
    problems += [f"{name}: not as it was when this was signed" for name in signed if here.get(name) != signed[name]]
    return problems, [name for name in here if name not in signed]


def result(command: str, holds: bool | None, report: Mapping[str, Any]) -> dict[str, Any]:
    """The predicate of a test's result: what ran, by which code, what came out (None, a warning: nothing is proved)."""
    checker = {"name": "the checker's code, as paths and digests", "digest": {"sha256": digest(source_tree(ROOT))}}
    word = {True: "PASSED", False: "FAILED", None: "WARNED"}[holds]
    outcome = {"result": word, "configuration": [checker]}
    return {**outcome, f"{word.lower()}Tests": [command], "annotations": dict(report)}


# Statements in a release ---------------------------------------------------------------------------------------------


def signer(key: Path, release: Path) -> Any:
    """The private key in a file; OSError, before the work, where no statement can be put beside the release."""
    tempfile.TemporaryFile(dir=release.parent).close()
    return dsse.private_key(key)


def attest(release: Path, command: str, holds: bool | None, report: Mapping[str, Any], key: Any) -> Path:
    """Write the checker's signed statement to a file beside the release, and return where."""
    envelope = dsse.sign(statement(release, dsse.RESULT, result(command, holds, report)), key)
    path = release.parent / f"{release.name}.{command.split()[0]}.{sha256(envelope).hexdigest()[:8]}.json"
    write_bytes(path, envelope)
    return path


def collect(release: Path, envelope: bytes) -> Path:
    """Put a statement about this release, which must be whole, into it and its manifest; the identity stays."""
    path = release / dsse.PLACE / f"{sha256(envelope).hexdigest()[:16]}.json"
    with tempfile.TemporaryDirectory() as folder:
        write_bytes(Path(folder) / path.name, envelope)
        if problem := dsse.about_another(release, dsse.opened(Path(folder) / path.name)):
            raise UserError(problem)
    if path.is_file():
        return path
    asides = [release / f".{name}.tmp" for name in ("report.html", "MANIFEST.json")]
    try:
        write_bytes(path, envelope)
        page, listing = report(release, identity_of(release)), manifest_of(release)  # the page shows it
        listing.witnesses["report.html"] = Product(sha256(page).hexdigest(), len(page))
        for aside, data in zip(asides, (page, as_json(asdict(listing))), strict=True):
            write_bytes(aside, data)
    except BaseException:  # such as a full disk: what MANIFEST.json does not list must not stay
        for left in (path, *asides):
            left.unlink(missing_ok=True)
        with suppress(OSError):  # where others are in it
            path.parent.rmdir()
        raise
    with uninterrupted():  # between the two the release would not hold
        for aside in asides:
            aside.replace(aside.with_name(aside.name[1:-4]))
    return path
