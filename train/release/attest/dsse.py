"""Envelopes of signed statements: keys, DSSE 1 around in-toto v1. Anybody wrote them; a key tells who signed.

Standard library alone, while no key is asked.
"""

import base64
import glob
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from train.artifact import as_json, canonical_json, parse_json, read_bytes, read_json
from train.errors import UserError
from train.initial import identity_of
from train.layout import release_name

PLACE = "logs/statements/"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
RESULT = "https://in-toto.io/attestation/test-result/v0.1"
MOST, MOST_KEY = 2**24, 2**16  # bytes of an envelope, and of a key
TESTS = re.compile(r"reproduce|replay of (segment \d+|\d+ of \d+ segments)")  # whose names are repeated


def private_key(path: Path) -> Any:
    """The private key in a PEM file without a password; UserError when it is none for Ed25519 or P-256."""
    return _key(path, "load_pem_private_key", "not a private key for Ed25519 or P-256 in PEM, without a password", None)


def public_key(path: Path) -> Any:
    """The public key in a PEM file; UserError when it is none for Ed25519 or P-256."""
    return _key(path, "load_pem_public_key", "not a public key for Ed25519 or P-256 in PEM")


def _key(path: Path, loader: str, problem: str, *password: None) -> Any:
    if importlib.util.find_spec("cryptography") is None:
        raise UserError("keys need the package cryptography: install the extra `sign`")
    from cryptography.hazmat.primitives import serialization

    try:
        return _suitable(getattr(serialization, loader)(read_bytes(path, MOST_KEY), *password))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {problem}: {error}") from None


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


def signing(key: Any, deterministic: bool) -> tuple[Any, ...]:
    """What an algorithm wants beside signature and bytes. P-256 draws no random number (RFC 6979)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if not hasattr(key, "curve"):
        return ()
    return (ec.ECDSA(hashes.SHA256(), deterministic_signing=deterministic),)


def encoded(body: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of DSSE 1, which binds the type to the body."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD.encode(), len(body), body)


@dataclass(frozen=True)
class Envelope:
    body: bytes
    subject: dict[str, Any]  # what it is about
    kind: str  # of predicate
    predicate: dict[str, Any]
    signature: bytes
    key: str  # as the envelope names it, which proves nothing

    def holds(self, public: Any) -> bool:
        """Whether the owner of this key signed it."""
        from cryptography.exceptions import InvalidSignature

        try:
            public.verify(self.signature, encoded(self.body), *signing(public, deterministic=False))
        except InvalidSignature:
            return False
        return True


def enveloped(body: bytes, key: str, signature: bytes) -> bytes:
    """The envelope of a statement that was signed by the key of that name, as a file."""
    signed = {"keyid": key, "sig": base64.b64encode(signature).decode()}
    return as_json({"payloadType": PAYLOAD, "payload": base64.b64encode(body).decode(), "signatures": [signed]})


def sign(statement: Mapping[str, Any], key: Any) -> bytes:
    """The envelope of a statement, signed with a private key; the same bytes whenever it is made."""
    body = canonical_json(statement)
    return enveloped(body, key_name(key.public_key()), key.sign(encoded(body), *signing(key, deterministic=True)))


def opened(path: Path) -> Envelope:
    """The envelope in a file; UserError when it has another format than ours, be it an older one, or holds more."""
    data = read_bytes(path, MOST, path.name)
    try:
        match parse_json(data):
            case {"payloadType": payload_type, "payload": payload, "signatures": [{"sig": sig, "keyid": str(key)}]}:
                body, signature = (base64.b64decode(text, validate=True) for text in (payload, sig))
            case _:
                raise ValueError
        match parse_json(body):
            case {"_type": form, "subject": [{"digest": {}} as about], "predicateType": kind, "predicate": said}:
                envelope = Envelope(body, about, kind, {**said}, signature, key)
                statement = {"_type": form, "subject": [about], "predicateType": kind, "predicate": said}
                same = (data, body) == (enveloped(body, key, signature), canonical_json(statement))
            case _:
                raise ValueError
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path.name}: not a statement in a DSSE envelope ({type(error).__name__})") from None
    if (payload_type, form) != (PAYLOAD, STATEMENT) or kind not in (PROVENANCE, RESULT):
        raise UserError(f"{path.name}: of another format: {payload_type}, {form}, {kind}")
    if not same or not re.fullmatch("[0-9a-f]{64}", key):
        raise UserError(f"{path.name}: holds more than a statement and its signature, or not as `sign` writes them")
    return envelope


def summary(envelope: Envelope) -> str:
    """What a statement says, for people."""
    if envelope.kind == PROVENANCE:
        return "how it was made"
    predicate = envelope.predicate
    tests = [str(test) for kind in ("passedTests", "warnedTests", "failedTests") for test in predicate.get(kind) or []]
    named = ", ".join(test if TESTS.fullmatch(test) else "a test that is none of ours" for test in tests[:3])
    return f"{named}: {str(predicate.get('result'))[:6]}"


def shown(release: Path) -> list[dict[str, str]]:
    """What the statements in a release say, for its page, which takes nobody's word for who signed them."""
    lines = []
    for path in sorted((release / PLACE).glob("*")):
        try:
            envelope = opened(path)
            line = {"says": summary(envelope), "key": envelope.key[:12]}
        except UserError as error:
            line = {"says": str(error), "key": ""}
        lines.append({"path": f"{PLACE}{path.name}", **line})
    return lines


# Who signed what is said of a release, in it or beside it -------------------------------------------------------------


def subject(release: Path) -> dict[str, Any]:
    """What a statement about a release is about: its name, for people, and the digest that tells it."""
    name = release_name(read_json(release / "code/config.json"))
    return {"name": name, "digest": {"sha256": identity_of(release)}}


def about_another(release: Path, envelope: Envelope) -> str | None:
    """Why a statement is not about this release; None if it is."""
    said, own = envelope.subject, subject(release)
    named = [f"{each.get('name')} {str(each.get('digest', {}).get('sha256'))[:12]}"[:120] for each in (said, own)]
    return None if said == own else f"about another release: {named[0]}, this one is {named[1]}"


def passed(envelope: Envelope) -> bool:
    """Whether the result that a statement tells is a pass, of one test at least and without any other outcome."""
    predicate = envelope.predicate
    other = predicate.get("failedTests") or predicate.get("warnedTests")
    return predicate.get("result") == "PASSED" and bool(predicate.get("passedTests")) and not other


def beside(release: Path) -> list[Path]:
    """The files beside a release that are named as `attest` names what a checker says of it."""
    return sorted(p for p in release.parent.glob(f"{glob.escape(release.name)}.re*.*.json") if p.is_file())


def signatures(release: Path, keys: Sequence[Path]) -> tuple[list[str], list[str]]:
    """What is wrong with the statements in a release, and a line on each of them and of those beside it.

    A statement beside a release is no part of it: whatever is the matter with it is told, and is no problem. Each of
    the public keys must have signed one, and some of these must be of provenance, which has to be what the release
    gives; none may tell of anything but a pass. Without keys only formats and subjects are checked: who signed is not
    known then.
    """
    problems, lines, publics = list[str](), list[str](), {path: public_key(path) for path in keys}
    spoke, published = set(), False
    inside = sorted((release / PLACE).glob("*"))
    for path in (*inside, *beside(release)):
        place, wrongs = (PLACE, problems) if path in inside else ("beside it, ", lines)
        name = f"{place}{path.name}"
        try:
            envelope = opened(path)
        except UserError as error:
            wrongs.append(f"{place}{error}")
            continue
        if problem := about_another(release, envelope):
            wrongs.append(f"{name}: {problem}")
            continue
        owners = [key for key, public in publics.items() if envelope.holds(public)]
        wrong = [key for key, public in publics.items() if key not in owners and key_name(public) == envelope.key]
        wrongs += [f"{name}: its signature is not that of {key.name}, which it names" for key in wrong]
        since = ""
        if owners and envelope.kind == PROVENANCE:
            from train.release.attest.statements import provenance_apart

            differences, added = provenance_apart(release, envelope.predicate)
            wrongs += [f"{name}: {problem}" for problem in differences]
            published |= not differences
            later = [each for each in added if each != name]
            since = f", before these were added: {', '.join(later)}" if later else ""
        elif owners and not passed(envelope):  # whoever asks for this key has to hear it, wherever it stands
            problems.append(f"{name}: {summary(envelope)}, {_signer(envelope, owners)}")
            continue
        spoke |= set(owners)
        lines.append(f"{name}: {summary(envelope)}, {_signer(envelope, owners)}{since}")
    problems += [f"no statement is signed by {key.name}" for key in keys if key not in spoke]
    if keys and not published and not problems:
        problems.append("nothing that these keys signed is a statement of provenance")
    return problems, lines


def _signer(envelope: Envelope, owners: Sequence[Path]) -> str:
    if owners:
        return f"signed by {', '.join(key.name for key in owners)}"
    return f"said to be signed by key {envelope.key[:12]}, not checked: --public-key does"
