"""Signed statements about a release: by whoever publishes it, how it was made; by whoever checked it, what came out.

A statement is in-toto v1 in a DSSE envelope, signed with an Ed25519 or P-256 key. Its subject is the release's
identity, the digest over all products; so statements must be no products, or each would change what it speaks of. They
are witnesses, in `logs/statements/`: adding one adds its line to MANIFEST.json and leaves the identity as it is.

The publisher's statement has the provenance predicate of SLSA v1. It is made again from the release and compared, so
that a key vouches for nothing that the release does not hold. A build on one's own machine is level 1 of SLSA at best:
what is trusted is the making again, and a key says only who spoke.
"""

import base64
import glob
import importlib.util
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from train.artifact import canonical_json, digest, file_digest, read_json, write_bytes, write_json
from train.config import UserError
from train.release.bundle import ROOT, as_json, manifest_of, report, source_tree

PLACE = "logs/statements/"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
RESULT = "https://in-toto.io/attestation/test-result/v0.1"
MOST = 2**24  # bytes of an envelope


def statement(release: Path, kind: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the release with this identity. Its name is for people; the digest tells it."""
    config = read_json(release / "code" / "config.json")
    name = f"{config['name']}-{config['release']['version']}"
    subject = {"name": name, "digest": {"sha256": read_json(release / "MANIFEST.json")["identity"]}}
    return {"_type": STATEMENT, "subject": [subject], "predicateType": kind, "predicate": dict(predicate)}


def provenance(release: Path) -> dict[str, Any]:
    """The predicate of SLSA v1: config, every source, code, lock and data, each with its digest; no clock, no host."""
    config, code = release / "code" / "config.json", source_tree(release / "code")
    sources = read_json(release / "data" / "sources.json")
    sources += [each for each in read_json(release / "evaluation/data/sets.json") if "files" in each]
    files = [{"uri": source["purl"], "name": file["path"], "digest": {"sha256": file["sha256"]}}
             for source in sources for file in source["files"]]  # fmt: skip
    lock = release / "code" / "requirements.lock"
    made = [{"name": f"provenance/{path.name}", "digest": {"sha256": file_digest(path)}}
            for path in sorted((release / "provenance").glob("*.json"))]  # fmt: skip
    return {
        "buildDefinition": {
            "buildType": "https://slsa.dev/spec/v1.0/provenance#pellucid-run",
            "externalParameters": {
                "config": read_json(config),
                "overrides": read_json(release / "code" / "overrides.json"),
            },
            "resolvedDependencies": [
                *files,
                {"name": "code, as paths and digests", "digest": {"sha256": digest(code)}},
                {"name": "code/config.json", "digest": {"sha256": file_digest(config)}},
                {"name": "code/requirements.lock", "digest": {"sha256": file_digest(lock)}},
            ],
        },
        "runDetails": {"builder": {"id": "https://slsa.dev/spec/v1.0/levels#build-l1"}, "byproducts": made},
    }


def result(command: str, holds: bool, report: Mapping[str, Any]) -> dict[str, Any]:
    """The predicate of a test's result: what a checker ran, with which code, and what came out."""
    checker = {"name": "the checker's code, as paths and digests", "digest": {"sha256": digest(source_tree(ROOT))}}
    outcome = {"result": "PASSED" if holds else "FAILED", "configuration": [checker]}
    return {**outcome, ("passedTests" if holds else "failedTests"): [command], "annotations": dict(report)}


# Keys and envelopes --------------------------------------------------------------------------------------------------


def private_key(path: Path) -> Any:
    """The private key in a PEM file without a password; UserError when it is none for Ed25519 or P-256."""
    _require_library()
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return _suitable(load_pem_private_key(path.read_bytes(), None))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a private key for Ed25519 or P-256 in PEM, without a password: {error}") from None


def public_key(path: Path) -> Any:
    """The public key in a PEM file; UserError when it is none for Ed25519 or P-256."""
    _require_library()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return _suitable(load_pem_public_key(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a public key for Ed25519 or P-256 in PEM: {error}") from None


def _require_library() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise UserError("keys need the package cryptography: install the extra `sign`")


def _suitable(key: Any) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return key
    raise ValueError(f"it is for {getattr(getattr(key, 'curve', None), 'name', type(key).__name__)}")


def key_name(public: Any) -> str:
    """SHA-256 of a public key in DER, by which envelopes name it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _signing(key: Any, deterministic: bool) -> tuple[Any, ...]:
    """What an algorithm wants beside signature and bytes. P-256 draws no random number (RFC 6979)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not hasattr(key, "curve"):
        return ()
    return (ec.ECDSA(hashes.SHA256(), deterministic_signing=deterministic),)


def encoded(body: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of DSSE 1, which binds the type to the body."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(body), body)


def sign(said: Mapping[str, Any], key: Any) -> bytes:
    """The envelope of a statement, signed with a private key; the same bytes whenever it is made."""
    body = canonical_json(said)
    signature = key.sign(encoded(body), *_signing(key, deterministic=True))
    told = {"keyid": key_name(key.public_key()), "sig": base64.b64encode(signature).decode()}
    return as_json({"payloadType": PAYLOAD, "payload": base64.b64encode(body).decode(), "signatures": [told]})


@dataclass(frozen=True)
class Envelope:
    body: bytes
    statement: dict[str, Any]
    signature: bytes
    key: str  # as the envelope names it, which proves nothing

    def holds(self, public: Any) -> bool:
        """Whether the owner of this key signed it."""
        from cryptography.exceptions import InvalidSignature

        try:
            public.verify(self.signature, encoded(self.body), *_signing(public, deterministic=False))
        except InvalidSignature:
            return False
        return True


def opened(path: Path) -> Envelope:
    """The envelope in a file; UserError when it has another format than ours, be it an older one."""
    if path.stat().st_size > MOST:
        raise UserError(f"{path.name}: more than {MOST} bytes")
    try:
        told = json.loads(path.read_bytes())
        (signed,) = told["signatures"]
        body, signature = (base64.b64decode(text, validate=True) for text in (told["payload"], signed["sig"]))
        said = json.loads(body)
        kinds = (told["payloadType"], said["_type"], said["predicateType"] in (PROVENANCE, RESULT))
        found = Envelope(body, said, signature, str(signed["keyid"]))
        (subject,) = said["subject"]
        subject["digest"]["sha256"], said["predicate"].keys()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path.name}: not a statement in a DSSE envelope ({type(error).__name__})") from None
    if kinds != (PAYLOAD, STATEMENT, True):
        raise UserError(f"{path.name}: of another format: {', '.join(map(str, kinds[:2]))}, {said['predicateType']}")
    return found


# Statements in a release ---------------------------------------------------------------------------------------------


def attest(release: Path, command: str, holds: bool, report: Mapping[str, Any], key: Any) -> Path:
    """Write the checker's signed statement to a file beside the release, and return where."""
    made = sign(statement(release, RESULT, result(command, holds, report)), key)
    path = release.parent / f"{release.name}.{command.split()[0]}.{sha256(made).hexdigest()[:8]}.json"
    write_bytes(path, made)
    return path


def collect(release: Path, envelope: bytes) -> Path:
    """Put a statement about this release into it, and its line into the manifest; the identity stays.

    The release must be whole before, or the new manifest would bless what is not. UserError when the statement is of
    another format, or about another release.
    """
    path = release / PLACE / f"{sha256(envelope).hexdigest()[:16]}.json"
    with tempfile.TemporaryDirectory() as folder:
        write_bytes(Path(folder) / path.name, envelope)
        if problem := _about_another(release, opened(Path(folder) / path.name)):
            raise UserError(problem)
    write_bytes(path, envelope)
    if (release / "report.html").is_file():  # which shows it, and is a witness as well
        write_bytes(release / "report.html", report(release, read_json(release / "MANIFEST.json")["identity"]))
    write_json(release / "MANIFEST.json", manifest_of(release))
    return path


def _about_another(release: Path, envelope: Envelope) -> str | None:
    said, own = envelope.statement["subject"][0]["digest"]["sha256"], read_json(release / "MANIFEST.json")["identity"]
    return None if said == own else f"about another release: {str(said)[:12]}, this one is {own[:12]}"


def shown(release: Path) -> list[dict[str, str]]:
    """What the statements in a release say, for its page, which takes nobody's word for who signed them."""
    found = []
    for path in sorted((release / PLACE).glob("*")):
        try:
            envelope = opened(path)
            told = {"says": _told(envelope), "key": envelope.key[:12]}
        except UserError as error:
            told = {"says": str(error), "key": ""}
        found.append({"path": f"{PLACE}{path.name}", **told})
    return found


def beside(release: Path) -> list[Path]:
    """The files beside a release that are named as `attest` names what a checker says of it."""
    return sorted(p for p in release.parent.glob(f"{glob.escape(release.name)}.re*.*.json") if p.is_file())


def signatures(release: Path, keys: Sequence[Path]) -> tuple[list[str], list[str]]:
    """What is wrong with the statements in a release, and a line on each of them and of those beside it.

    A statement beside a release is no part of it: whatever is the matter with it is told, and is no problem. Each of
    the public keys must have signed one, and some of these must be of provenance, which has to be what the release
    gives. Without keys only formats and subjects are checked: who signed is not known then.
    """
    problems, lines, publics = list[str](), list[str](), {path: public_key(path) for path in keys}
    spoke, published = set(), False
    inside = sorted((release / PLACE).glob("*"))
    for path in (*inside, *beside(release)):
        place, wrongs = (PLACE, problems) if path in inside else ("beside it, ", lines)
        name = f"{place}{path.name}"
        try:
            found = opened(path)
        except UserError as error:
            wrongs.append(f"{place}{error}")
            continue
        if problem := _about_another(release, found):
            wrongs.append(f"{name}: {problem}")
            continue
        owners = [key for key, public in publics.items() if found.holds(public)]
        wrong = [key for key, public in publics.items() if key not in owners and key_name(public) == found.key]
        wrongs += [f"{name}: its signature is not that of {key.name}, which it names" for key in wrong]
        if owners and found.statement["predicateType"] == PROVENANCE:
            published = found.statement["predicate"] == provenance(release)
            wrongs += [] if published else [f"{name}: tells of another config, source or code than is here"]
        spoke |= set(owners)
        lines.append(f"{name}: {_told(found)}, {_signer(found, owners)}")
    problems += [f"no statement is signed by {key.name}" for key in keys if key not in spoke]
    if keys and not published and not problems:
        problems.append("nothing that these keys signed is a statement of provenance")
    return problems, lines


def _told(envelope: Envelope) -> str:
    if envelope.statement["predicateType"] == PROVENANCE:
        return "how it was made"
    predicate = envelope.statement["predicate"]
    tests = [str(test) for kind in ("passedTests", "failedTests") for test in predicate.get(kind) or []]
    return f"{', '.join(tests[:3])}: {str(predicate.get('result'))[:20]}"


def _signer(envelope: Envelope, owners: Sequence[Path]) -> str:
    if owners:
        return f"signed by {', '.join(key.name for key in owners)}"
    return f"said to be signed by key {envelope.key[:12]}, not checked: --public-key does"
