"""Which licence a text is, by phrases that it cannot do without, and whether it is evidence of the licence claimed.

It judges texts, not rights: whether those who signed a licence could give it, only people can tell.
"""

import re
from functools import cache
from typing import Literal

from train import spdx
from train.terms import hub_name

# What is found: the text of the licence, words that name it, neither where its text is known, or that of another.
Evidence = Literal["text", "named", "not recognised", "other"]

# Family of identifiers -> a pattern in its text, of small letters and digits with single spaces between.
GRANT = "permission is hereby granted free of charge to any person obtaining"
FORMS = "redistribution and use in source and binary forms"
PATTERNS = {
    "Apache-2.0": r"apache license version 2\.0",
    "NCSA": rf"(?s){GRANT}.{{0,1200}}redistributions of source code must retain",
    "MIT-0": rf"(?s)\A(?:.*permission notice)?+(?>.*?{GRANT}).*the software is provided",
    "MIT": GRANT,
    "BSD-3-Clause": rf"(?s)\A(?>.*?{FORMS}).*endorse or promote",
    "BSD-2-Clause": rf"(?s)\A(?>.*?{FORMS}).*redistributions in binary form must",
    "ISC": r"permission to use copy modify and (or )?distribute this software for any purpose with or without fee is "
    r"hereby granted provided",
    "0BSD": r"permission to use copy modify and (or )?distribute this software for any purpose with or without fee is "
    r"hereby granted\.? the",
    "HPND": r"permission to use copy modify and distribute this software and its (associated )?documentation for any "
    r"purpose and without fee is hereby granted",
    "PostgreSQL": r"without a written agreement is hereby granted",
    "Zlib": r"altered source versions must be plainly marked",
    "Unlicense": r"free and unencumbered software released into the public domain",
    "Python-2.0": r"python software foundation license version 2|psf license agreement",
    "UPL-1.0": r"universal permissive license",
    "BSL-1.0": r"boost software license version 1\.0",
    "Artistic-2.0": r"artistic license 2\.0",
    "AFL-3.0": r"academic free license",
    "OSL-3.0": r"open software license",
    "OFL-1.1": r"sil open font license",
    "ZPL-2.1": r"zope public license",
    "MPL-2.0": r"mozilla public license version 2\.0",
    "EPL-2.0": r"eclipse public license v(ersion)? ?2\.0",
    "EUPL-1.2": r"european union public licence v\.? ?1\.2",
    "AGPL-3.0": r"gnu affero general public license version 3",
    "LGPL-2.1": r"gnu lesser general public license version 2\.1",
    "LGPL-3.0": r"gnu lesser general public license version 3",
    "GPL-2.0": r"gnu general public license version 2",
    "GPL-3.0": r"gnu general public license version 3",
    "GFDL-1.3": r"gnu free documentation license version 1\.3",
    "CC0-1.0": r"cc0 1\.0 universal",
    **{
        f"CC-BY{ending}-{version}": rf"attribution {words}{version}( international|.{{0,999}}creative commons)"
        for ending, words in (
            ("", ""), ("-SA", "share ?alike "), ("-NC", "non ?commercial "), ("-ND", "no ?deriv[a-z]* "),
            ("-NC-SA", "non ?commercial share ?alike "), ("-NC-ND", "non ?commercial no ?deriv[a-z]* "),
        )
        for version in ("1.0", "2.0", "2.5", "3.0", "4.0")
    },
    "ODC-By-1.0": r"open data commons attribution licen[sc]e",
    "ODbL-1.0": r"open database licen[sc]e",
    "PDDL-1.0": r"public domain dedication (and|&) licen[sc]e",
    "CDLA-Sharing-1.0": r"community data license agreement sharing version 1\.0",
    "CDLA-Permissive-1.0": r"community data license agreement permissive version 1\.0",
    "CDLA-Permissive-2.0": r"community data license agreement permissive version 2\.0",
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
    found = [name for name, pattern in PATTERNS.items() if re.search(pattern, words)]
    wider = {"NCSA": "MIT MIT-0 BSD-2-Clause", "MIT-0": "MIT", "BSD-3-Clause": "BSD-2-Clause"}
    hidden = {name for each in found for name in wider.get(each, "").split()}
    return [name for name in found if name not in hidden]


def evidence(words: str, identifier: str) -> Evidence:
    """What a text is for the claim that something is under a licence."""
    texts = recognised(words)
    if family(identifier) in texts:
        return "text"
    if re.search(_name(identifier), words) or (identifier in PUBLIC_DOMAIN and "public domain" in words):
        return "named"
    return "other" if texts or family(identifier) in PATTERNS else "not recognised"


def claim_problem(texts: dict[str, bytes], expression: str) -> tuple[str, bool]:
    """What is to be said of files that should tell a licence, by name; and whether they rather tell against it.

    Both sides of AND must be told by some file, one of OR. Nothing is said of files that tell the licence.
    """
    try:
        words = {name: plain_text(text) for name, text in texts.items()}
    except ValueError as error:
        return f"a licence file {error}", True
    if expression == spdx.NOASSERTION:  # rows tell theirs
        return "", False
    found: dict[str, Evidence] = {}
    for identifier in spdx.identifiers(expression):
        kinds = {evidence(each, identifier) for each in words.values()}
        found[identifier] = next(kind for kind in ("text", "named", "not recognised", "other") if kind in kinds)
    told = {name for name, kind in found.items() if kind in ("text", "named")}
    unsure = {name for name, kind in found.items() if kind == "not recognised"}
    if spdx.covered(expression, lambda leaf: set(leaf.split(" WITH ")) <= told):
        return "", False
    names = ", ".join(sorted(texts))
    if spdx.covered(expression, lambda leaf: set(leaf.split(" WITH ")) <= told | unsure):
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
