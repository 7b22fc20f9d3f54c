"""What licences allow and ask for: whether they are open and who says so, their duties, and how their texts are known.

A licence that is not in the table counts as not known to be open, which is the safe side. To add one, read it, and say
on whose word it is open.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Literal

from train import spdx

OURS = "Apache-2.0"  # of code, weights, cards and our own data

# On whose word a licence is open. osi: `isOsiApproved` in the SPDX licence list 3.27. od: conformant with the Open
# Definition by its list, versions 1.0 to 3.0 of CC BY and BY-SA with their ports by its council's word of January 2014.
# steward: not on those lists; by its own text anybody may use, change and publish, and it may reserve no use.
Basis = Literal["osi", "od", "steward"]
CLOSED = "not known to be open"
KEEP = "keep the notices of copyright and licence"
CREDIT = "name the authors and the licence, and say what changed"


@dataclass(frozen=True)
class Licence:
    basis: Basis
    attribution: str  # what it asks of whoever passes a work on
    share_alike: bool  # a changed work stays under the same licence


GROUPS: tuple[tuple[Licence, str], ...] = (
    (Licence("osi", "none", False), "0BSD MIT-0 Unlicense"),
    (
        Licence("osi", KEEP, False),
        "AFL-3.0 Apache-1.1 Apache-2.0 Artistic-2.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause BSL-1.0 BlueOak-1.0.0 "
        "ECL-2.0 HPND ISC LPPL-1.3c MIT MS-PL MulanPSL-2.0 NCSA PostgreSQL Python-2.0 UPL-1.0 Unicode-3.0 "
        "Unicode-DFS-2016 W3C ZPL-2.1 Zlib",
    ),
    (
        Licence("osi", KEEP, True),
        "AGPL-3.0-only AGPL-3.0-or-later CDDL-1.0 CECILL-2.1 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GPL-2.0-only "
        "GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only "
        "LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MPL-1.1 MPL-2.0 MS-RL OFL-1.1 OSL-3.0",
    ),
    (Licence("od", "none", False), "CC0-1.0 PDDL-1.0"),
    (Licence("od", CREDIT, False), "CC-BY-4.0 DL-DE-BY-2.0 ODC-By-1.0 OGL-Canada-2.0 OGL-UK-2.0 OGL-UK-3.0"),
    (
        Licence("od", CREDIT, True),
        "CC-BY-SA-4.0 GFDL-1.3-no-invariants-only GFDL-1.3-no-invariants-or-later LAL-1.3 ODbL-1.0",
    ),
    (Licence("steward", KEEP, False), "CDLA-Permissive-1.0 CDLA-Permissive-2.0"),
    (Licence("steward", KEEP, True), "CDLA-Sharing-1.0"),
)
EARLIER_CC = re.compile(r"CC-BY(-SA)?-(1\.0|2\.0|2\.1|2\.5|3\.0)(-[A-Z]+)?")  # and their ports
# The licences above that the front matter of the hub may name, where its spelling is that of SPDX in small letters.
ON_HUB = """
    afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
    cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0
    eupl-1.1 eupl-1.2 gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa ofl-1.1 osl-3.0
    postgresql unlicense zlib
"""
# Names of licences, and phrases in their texts, that reserve some uses.
RESTRICTED_NAME = re.compile(r"(?i)\b(?:open)?rails?\b|openrail|-(?:NC|ND)\b|non-?commercial|no-?deriv|research-only")
RESTRICTED_TEXT = re.compile(
    r"(?i)use[- ]based restrictions?|responsible ai licen[cs]e|non-?commercial (?:use|purposes?) only"
    r"|not be used for commercial|for (?:academic |non-?commercial )?research purposes only|noderiv"
)


@cache
def known() -> dict[str, Licence]:
    """Every licence that is known to be open, by its SPDX identifier."""
    found = {name: licence for licence, names in GROUPS for name in names.split()}
    earlier = {name: EARLIER_CC.fullmatch(name) for name in spdx.listed().values()}
    return found | {name: Licence("od", CREDIT, bool(match[1])) for name, match in earlier.items() if match}


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
    """What a licence asks of whoever passes its texts on, and how it stands beside our own. Of an OR, the least.

    Share-alike binds the texts and what is adapted from them. Whether weights are such an adaptation is not settled in
    law: the duty is reported, and nothing is concluded from it.
    """
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
    return short.get(name, name if name in ON_HUB.split() else "other")


def of_name(name: str) -> str:
    """A licence as a card or another record spells it, by SPDX where that list or the hub has it."""
    names = {hub_name(identifier): identifier for identifier in sorted(known(), reverse=True)}
    return {**names, "other": name, **spdx.listed()}.get(name.lower(), name)


def url(identifier: str) -> str:
    """Where the SPDX list has the text of a licence."""
    return f"https://spdx.org/licenses/{identifier}.html"


def restriction(text: str, *, name: bool) -> str | None:
    """What in a licence's name or text reserves some uses; None if nothing was found."""
    found = (RESTRICTED_NAME if name else RESTRICTED_TEXT).search(text)
    return found[0] if found else None
