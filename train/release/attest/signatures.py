"""Who signed what is said of a release, in it or beside it. Standard library alone, while no key is asked."""

import glob
from collections.abc import Sequence
from pathlib import Path

from train.errors import UserError
from train.initial import identity_of
from train.release.attest.dsse import PLACE, PROVENANCE, Envelope, key_name, opened, public_key, summary


def about_another(release: Path, envelope: Envelope) -> str | None:
    """Why a statement is not about this release; None if it is."""
    subject, own = envelope.subject, identity_of(release)
    return None if subject == own else f"about another release: {subject[:12]}, this one is {own[:12]}"


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
