"""What licences allow and ask for: whether they are open and who says so, their duties, and how their texts are known.

A licence that `licences.toml` does not list counts as not known to be open, the safe side. To add one, read it, and say
on whose word it is open.
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
