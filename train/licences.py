"""Licences: whether each is open and on whose word, its duties, and which licence a text is (evidence for a claim).

Allow-lists are checked by `spdx.not_allowed`. A licence that `licences.toml` does not list counts as not known to be
open, the safe side. To add one, read it, and say on whose word it is open.
"""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from train import spdx

OURS = "Apache-2.0"  # of code, weights, cards and our own data
OURS_TEXT = "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4"  # SHA-256 of its text
OTHER_TEXT = f"not the text of {OURS}, byte for byte; whose work it is, NOTICE tells"

Basis = Literal["osi", "od", "steward"]
CLOSED = "not known to be open"
KEEP = "keep the notices of copyright and licence"
CREDIT = "name the authors and the licence, and say what changed"
DUTIES = {"none": "none", "keep": KEEP, "credit": CREDIT}  # by their words in the table


@dataclass(frozen=True)
class Licence:
    basis: Basis
    attribution: str  # what it asks of whoever passes a work on
    share_alike: bool  # a changed work stays under the same licence


TABLE = tomllib.loads(Path(__file__).with_name("licences.toml").read_text(encoding="utf-8"))
EARLIER_CC = re.compile(r"CC-BY(-SA)?-(1\.0|2\.0|2\.1|2\.5|3\.0)(-[A-Z]+)?")  # and their ports
# Names of licences, and phrases in their texts, that reserve some uses.
RESTRICTED_NAME = re.compile(r"(?i)\b(?:open)?rails?\b|openrail|-(?:NC|ND)\b|non-?commercial|no-?deriv|research-only")
RESTRICTED_TEXT = re.compile(
    r"(?i)use[- ]based restrictions?|responsible ai licen[cs]e|non-?commercial (?:use|purposes?) only"
    r"|not be used for commercial|for (?:academic |non-?commercial )?research purposes only|noderiv"
)

# What is found: the text of the licence, words that name it, neither where its text is known, or that of another.
Evidence = Literal["text", "named", "not recognised", "other"]

# Family of identifiers -> a pattern in its text, of small letters and digits with single spaces between.
PATTERNS = TABLE["texts"] | {
    f"CC-BY{ending}-{version}": rf"attribution {words}{version}( international|.{{0,999}}creative commons)"
    for ending, words in (
        ("", ""), ("-SA", "share ?alike "), ("-NC", "non ?commercial "), ("-ND", "no ?deriv[a-z]* "),
        ("-NC-SA", "non ?commercial share ?alike "), ("-NC-ND", "non ?commercial no ?deriv[a-z]* "),
    )
    for version in ("1.0", "2.0", "2.5", "3.0", "4.0")
}  # fmt: skip
PUBLIC_DOMAIN = ("CC0-1.0", "PDDL-1.0", "Unlicense")  # whose evidence may be a sentence that says so


@cache
def known() -> dict[str, Licence]:
    """Every licence that is known to be open, by its SPDX identifier."""
    listed = {name: Licence(group["basis"], DUTIES[group["attribution"]], group["share_alike"])
              for group in TABLE["open"] for name in group["names"].split()}  # fmt: skip
    earlier = {name: EARLIER_CC.fullmatch(name) for name in spdx.listed().values()}
    return listed | {name: Licence("od", CREDIT, bool(match[1])) for name, match in earlier.items() if match}


def covered(expression: str, names: Collection[str]) -> bool:
    """Whether an expression is among licences by `names`. An exception only permits more: its licence decides."""
    return spdx.covered(expression, lambda leaf: leaf.partition(" WITH ")[0] in names)


@cache
def standing(expression: str) -> str:
    """ "OSI-approved", "open, not OSI-listed" or "not known to be open". AND needs both sides, OR one of them."""
    try:
        if covered(expression, {name for name, licence in known().items() if licence.basis == "osi"}):
            return "OSI-approved"
        return "open, not OSI-listed" if covered(expression, known()) else CLOSED
    except ValueError:  # no expression
        return CLOSED


@cache
def duties(expression: str) -> dict[str, str]:
    """What a licence asks of whoever passes its texts on, and how it stands beside our own; of an OR, the least."""
    # Share-alike binds the texts and what is adapted from them. Whether weights are such an adaptation, no law settles:
    # the duty is reported, and nothing is concluded from it.
    none, at_most_keep = (
        {n for n, e in known().items() if e.attribution in some} for some in (("none",), ("none", KEEP))
    )
    attribution = "none" if covered(expression, none) else KEEP if covered(expression, at_most_keep) else CREDIT
    if covered(expression, {name for name, licence in known().items() if not licence.share_alike}):
        return {"attribution": attribution, "share_alike": "none", "beside_ours": "no conflict"}
    bound = (name for name in spdx.identifiers(expression) if name in known() and known()[name].share_alike)
    same = " and ".join(bound)
    return {
        "attribution": attribution,
        "share_alike": f"the texts, changed or not, stay under {same}",
        "beside_ours": f"the texts cannot be put under {OURS}; they stand beside it, as files under {same}",
    }


def hub_name(identifier: str) -> str:
    """A licence as the front matter of the Hugging Face hub spells it; "other" where the hub does not know it."""
    name = re.sub(r"-only$|-or-later$", "", identifier).lower()
    short = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl"}
    return short.get(name, name if name in TABLE["hub"]["names"].split() else "other")


def of_name(name: str) -> str:
    """A licence as a card or another record spells it, by SPDX where that list or the hub has it."""
    names = {hub_name(identifier): identifier for identifier in sorted(known(), reverse=True)}
    return {**names, "other": name, **spdx.listed()}.get(name.lower(), name)


def url(identifier: str) -> str:
    """Where the SPDX list has the text of a licence."""
    return f"https://spdx.org/licenses/{identifier}.html"


def restriction(text: str, *, name: bool) -> str | None:
    """What in a licence's name or text reserves some uses; None if nothing was found."""
    match = (RESTRICTED_NAME if name else RESTRICTED_TEXT).search(text)
    return match[0] if match else None


def plain_text(text: bytes) -> str:
    """The words of a file that tells a licence; ValueError when there are none, or it is no text."""
    spdx.check_text(text)
    return re.sub(r"[^\w.&]+", " ", text.decode(errors="replace").lower()).strip()


def family(identifier: str) -> str:
    """The identifier that stands for all with the same text: GPL-3.0 for GPL-3.0-only, CC-BY-3.0 for its ports."""
    ports = re.fullmatch(r"(CC-BY(?:-SA|-NC|-ND)*-\d\.\d)-[A-Z]+", identifier)
    return ports[1] if ports else re.sub(r"(-no-invariants)?-(only|or-later)$", "", identifier)


def recognised(words: str) -> list[str]:
    """The families of licences whose text this is, or that it holds, the likeliest first; `words` by `plain_text`."""
    names = [name for name, pattern in PATTERNS.items() if re.search(pattern, words)]
    wider = {"NCSA": "MIT MIT-0 BSD-2-Clause", "MIT-0": "MIT", "BSD-3-Clause": "BSD-2-Clause"}
    hidden = {name for each in names for name in wider.get(each, "").split()}
    return [name for name in names if name not in hidden]


def evidence(words: str, identifier: str) -> Evidence:
    """Whether a text is evidence of a claimed licence: its text, its name, another's text, or not recognised."""
    texts = recognised(words)
    if family(identifier) in texts:
        return "text"
    if re.search(_name(identifier), words) or (identifier in PUBLIC_DOMAIN and "public domain" in words):
        return "named"
    return "other" if texts or family(identifier) in PATTERNS else "not recognised"


def claim_problem(texts: dict[str, bytes], expression: str) -> tuple[str, bool]:
    """What is to be said of files that should tell a licence expression, and whether they rather tell against it."""
    for path, text in sorted(texts.items()):
        if held := restriction(" ".join(text.decode(errors="replace").split()), name=False):
            return f"{path}: reserves uses, {held!r}", True
    try:
        words = {name: plain_text(text) for name, text in texts.items()}
    except ValueError as error:
        return f"a licence file {error}", True
    if expression == spdx.NOASSERTION:  # rows tell theirs
        return "", False
    kinds: dict[str, Evidence] = {}
    for identifier in spdx.identifiers(expression):
        every = {evidence(each, identifier) for each in words.values()}
        kinds[identifier] = next(kind for kind in ("text", "named", "not recognised", "other") if kind in every)
    evident = {name for name, kind in kinds.items() if kind in ("text", "named")}
    unsure = {name for name, kind in kinds.items() if kind == "not recognised"}
    if spdx.covered(expression, lambda leaf: set(leaf.split(" WITH ")) <= evident):
        return "", False
    names = ", ".join(sorted(texts))
    if spdx.covered(expression, lambda leaf: set(leaf.split(" WITH ")) <= evident | unsure):
        return f"{names}: not recognised as {expression}, of which no text is known here: read it", False
    is_of = sorted({name for each in words.values() for name in recognised(each)})
    instead = f"the text of {' and '.join(is_of)}" if is_of else "neither its text nor its name"
    return f"{names}: claimed is {expression}, and found is {instead}", True


@cache
def _name(identifier: str) -> str:
    """A pattern of the ways in which a licence is named: its identifier, as the hub spells it, its page."""
    names = [identifier, family(identifier)] + ([hub_name(identifier)] if hub_name(identifier) != "other" else [])
    spelled = {re.escape(re.sub(r"[^\w.]+", " ", name.lower())).replace(r"\ ", " ") for name in names}
    if not re.search(r"\d|exception", identifier):  # a word such as MIT: a licence only beside that word
        return "|".join(rf"\b{name} licen[sc]e\b|\b(licen[sc]e|identifier) {name}\b" for name in sorted(spelled))
    if creative := re.fullmatch(r"CC-(BY(?:-SA)?)-(\d\.\d)", family(identifier)):
        kind = creative[1].lower().replace("-", " ")
        words = "attribution share ?alike" if "sa" in kind else "attribution"
        spelled |= {rf"licenses {kind} {creative[2]}", rf"creative commons {words}( license)?( version)? {creative[2]}"}
    title = re.fullmatch(r"([A-Za-z]+)-(\d.*)", family(identifier))
    spelled |= {rf"{title[1].lower()} licen[sc]e(,? version)? {re.escape(title[2])}"} if title else set()
    return "|".join(rf"\b{name}\b" for name in sorted(spelled))
