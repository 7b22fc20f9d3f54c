"""Which licence a text is, by phrases that it cannot do without, and whether it is evidence of the licence claimed."""

import re
from functools import cache
from typing import Literal

from train import spdx
from train.terms import TABLE, hub_name

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
    """What a text is for the claim that something is under a licence."""
    texts = recognised(words)
    if family(identifier) in texts:
        return "text"
    if re.search(_name(identifier), words) or (identifier in PUBLIC_DOMAIN and "public domain" in words):
        return "named"
    return "other" if texts or family(identifier) in PATTERNS else "not recognised"


def claim_problem(texts: dict[str, bytes], expression: str) -> tuple[str, bool]:
    """What is to be said of files that should tell a licence expression, and whether they rather tell against it."""
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
