"""What the licences of a release allow: SPDX expressions, the OSI's approval, restrictions of use, licences by file."""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from license_expression import get_spdx_licensing

from train.artifact import read_json
from train.config import UserError
from train.data import rules, tables
from train.release import partial
from train.release.records import record, shown
from train.release.statistics import UNITS, parquet

OURS = "Apache-2.0"  # of code, weights, cards and our own data

# `isOsiApproved` in the SPDX licence list 3.27, for licences that texts and programs may come under. What is not
# listed here counts as not approved, which is the safe side.
OSI = """
    0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 ECL-2.0
    EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ISC LGPL-2.1-only
    LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-2.0 NCSA PostgreSQL Python-2.0 UPL-1.0 Unlicense
    ZPL-2.1 Zlib
"""
OSI_APPROVED = frozenset(OSI.split())
# Open licences for data and documents that the OSI has not approved as licences.
OPEN = """
    CC0-1.0 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 ODC-By-1.0 ODbL-1.0
    PDDL-1.0
"""
OPEN_DATA = frozenset(OPEN.split())
# What the texts of these licences ask of whoever passes a work on. Those in neither list ask that the notices of
# copyright and licence stay with it.
NO_DUTY = frozenset({"0BSD", "CC0-1.0", "MIT-0", "PDDL-1.0", "Unlicense"})
CREDIT = frozenset({"CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "ODC-By-1.0", "ODbL-1.0"})
SAME_TERMS = """
    AGPL-3.0-only AGPL-3.0-or-later CC-BY-SA-3.0 CC-BY-SA-4.0 EPL-2.0 EUPL-1.2 GPL-2.0-only GPL-2.0-or-later
    GPL-3.0-only GPL-3.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MPL-2.0 ODbL-1.0
"""
SHARE_ALIKE = frozenset(SAME_TERMS.split())  # a changed work stays under the same licence
NOT_ON_HUB = {"0BSD", "HPND", "MIT-0", "Python-2.0", "UPL-1.0", "ZPL-2.1"}  # names its front matter may not hold
# Names of licences, and phrases in their texts, that reserve some uses.
RESTRICTED_NAME = re.compile(r"(?i)\b(?:open)?rails?\b|openrail|-(?:NC|ND)\b|non-?commercial|no-?deriv|research-only")
RESTRICTED_TEXT = re.compile(
    r"(?i)use[- ]based restrictions?|responsible ai licen[cs]e|non-?commercial (?:use|purposes?) only"
    r"|not be used for commercial|for (?:academic |non-?commercial )?research purposes only|noderiv"
)


@cache
def identifiers(expression: str) -> tuple[str, ...]:
    """The SPDX identifiers in an expression, sorted."""
    return tuple(sorted(set(get_spdx_licensing().license_keys(expression))))


@cache
def standing(expression: str) -> str:
    """ "OSI-approved", "open, not OSI-listed" or "not known to be open". AND needs both sides, OR one of them."""
    if rules.licences(expression, OSI_APPROVED) is None:
        return "OSI-approved"
    if rules.licences(expression, OSI_APPROVED | OPEN_DATA) is None:
        return "open, not OSI-listed"
    return "not known to be open"


def hub_name(identifier: str) -> str:
    """A licence as the front matter of the Hugging Face hub spells it; "other" where the hub does not know it."""
    name = re.sub(r"-only$|-or-later$", "", identifier)
    short = {"ODC-By-1.0": "odc-by", "ODbL-1.0": "odbl", "PDDL-1.0": "pddl"}
    return "other" if name in NOT_ON_HUB else short.get(name, name.lower())


def restriction(text: str, *, name: bool) -> str | None:
    """What in a licence's name or text reserves some uses; None if nothing was found."""
    found = (RESTRICTED_NAME if name else RESTRICTED_TEXT).search(text)
    return found[0] if found else None


@cache
def duties(expression: str) -> dict[str, str]:
    """What a licence asks of whoever passes its texts on, and how it stands beside our own. Of an OR, the least.

    Share-alike binds the texts and what is adapted from them. Whether weights are such an adaptation is not settled in
    law: the duty is reported, and nothing is concluded from it.
    """

    def within(names: frozenset[str]) -> bool:
        return rules.licences(expression, names) is None

    known = OSI_APPROVED | OPEN_DATA
    keep, credit = "keep the notices of copyright and licence", "name the authors and the licence, and say what changed"
    attribution = "none" if within(NO_DUTY) else keep if within(known - CREDIT) else credit
    if within(known - SHARE_ALIKE):
        return {"attribution": attribution, "share_alike": "none", "beside_ours": "no conflict"}
    same = " and ".join(identifier for identifier in identifiers(expression) if identifier in SHARE_ALIKE)
    stay = f"the texts cannot be put under {OURS}; they stand beside it, as files under {same}"
    return {
        "attribution": attribution,
        "share_alike": f"the texts, changed or not, stay under {same}",
        "beside_ours": stay,
    }


def terms(release: Path) -> dict[str, dict[str, Any]]:
    """Each licence among the documents: how much is under it, its standing, its duties.

    Raises UserError when one is not known to be open: such a text must not be passed on.
    """
    found = read_json(release / "data" / "statistics.json")["licences"]
    for expression, counts in found.items():
        if standing(expression) == "not known to be open":
            raise UserError(
                f"{counts['documents']} documents are under {expression!r}, which is not known to be open: leave their "
                f"source out of data.raw, or read the licence and list it in train/release/licences.py"
            )
        counts |= {"identifiers": list(identifiers(expression)), "standing": standing(expression), **duties(expression)}
        counts["osi_approved"] = counts["standing"] == "OSI-approved"
    return dict(sorted(found.items()))


def by_standing(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Documents, bytes and tokens by the standing of their licence."""
    totals: dict[str, Counter[str]] = {}
    for entry in found.values():
        totals.setdefault(entry["standing"], Counter()).update({unit: entry[unit] for unit in UNITS})
    return totals


def by_source(release: Path) -> dict[str, list[str]]:
    """The licences of each source's documents; of a source of which none was kept, its own."""
    found: dict[str, set[str]] = {}
    for row in tables.read_rows(parquet(release, "documents"), ["source", "licence"]):
        found.setdefault(row["source"], set()).add(row["licence"])
    sources = read_json(release / "data" / "sources.json")
    return {source["purl"]: sorted(found.get(source["purl"], {source["licence"]})) for source in sources}


def notice(release: Path) -> bytes:
    """`NOTICE`: whose texts the release holds, under which terms, and what these ask of whoever passes them on."""
    about, under = record(release, "code/config.json", "/release"), by_source(release)
    kept = record(release, "data/statistics.json", "/sources")
    lines = [f"{about['title']} {about['version']}", f"Copyright {', '.join(about['authors'])}", ""]
    lines += [
        f"Code, weights and cards: {about['licence']}, see LICENSE. The texts in data/documents keep the licences",
        "of their sources, which are listed below. They were reduced to prose and redacted: data/README.md says how,",
        "and data/ledger which. data/licences has every licence as it came with its source.",
        "",
        "Licences",
        "",
    ]
    for expression, found in terms(release).items():
        lines += [f"{expression}: {', '.join(f'{shown(found[unit])} {unit}' for unit in UNITS)}"]
        lines += [f"    {found['standing']}; attribution: {found['attribution']}"]
        lines += [f"    share-alike: {found['share_alike']}; beside {about['licence']}: {found['beside_ours']}"]
    lines += ["", "Sources"]
    for source, files in evidence(release):
        purl = source["purl"]
        counts = ", ".join(f"{shown(kept.get(purl, {}).get(unit, 0))} {unit}" for unit in UNITS)
        lines += ["", purl, f"    {source['attribution']}"]
        lines += [f"    licence: {'; '.join(under.get(purl, [source['licence']]))}"]
        lines += [f"    {counts if purl in under else 'an evaluation set, in evaluation/data'}"]
        lines += [f"    {path}: {place}" for path, place in files.items()]
    return "\n".join([*lines, ""]).encode()


def of_documents(release: Path) -> str:
    """The expression that holds for a file with texts from all sources: the licence of every document."""
    found = sorted(read_json(release / "data" / "statistics.json")["licences"])
    return found[0] if len(found) == 1 else " AND ".join(f"({e})" if " " in e else e for e in found)


def evidence(release: Path) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """Each source of documents or of an evaluation set by others, and its licence files: path in it -> path here."""
    extracted = read_json(release / "data" / "extracted.json")
    found = [(s, "data", extracted[s["purl"]]["licences"]) for s in read_json(release / "data" / "sources.json")]
    found += [(s, "evaluation/data", s["licences"]) for s in sets_of_others(release)]
    return [(s, {path: f"{at}/licences/{sha}.txt" for path, sha in sorted(files.items())}) for s, at, files in found]


def sets_of_others(release: Path) -> list[dict[str, Any]]:
    """The records of the evaluation sets that this repository has not written itself."""
    return [record for record in read_json(release / "evaluation" / "data" / "sets.json") if "licences" in record]


def texts(release: Path) -> dict[str, bytes]:
    """`LICENSES/<id>.txt` for each licence of a document; the texts are those that came with the sources.

    Preferred is the text of a source under this licence alone; each source's own text stands in `data/licences/`. Where
    none came, as when rows name their licences, the file says where the text is.
    """
    found: dict[str, bytes] = {}
    full = partial.level(release) == "full"
    under, theirs = (by_source(release), evidence(release)) if full else ({}, [])
    for source, files in sorted(theirs, key=lambda pair: (" " in pair[0]["licence"], pair[0]["purl"])):
        own, names = identifiers(source["licence"]), source["licence_files"]
        expressions = under.get(source["purl"], [source["licence"]])
        for identifier in sorted({i for expression in expressions for i in identifiers(expression)}):
            # Of several files, the one whose name tells the licence: LICENSE.MIT, LICENSE.APACHE2, LICENSE.BSD.
            word = identifier.split("-")[0].lower()
            path = next((path for path in names if word in path.lower()), names[0] if identifier in own else None)
            text = path and (release / files[path]).read_bytes()
            none = f"No text of {identifier} came with the sources. It stands at {url(identifier)}\n".encode()
            if text or f"LICENSES/{identifier}.txt" not in found:
                found[f"LICENSES/{identifier}.txt"] = text or none
    return {**found, f"LICENSES/{OURS}.txt": (release / "LICENSE").read_bytes()}


def url(identifier: str) -> str:
    """Where the SPDX list has the text of a licence."""
    return f"https://spdx.org/licenses/{identifier}.html"


def reuse_toml(release: Path) -> bytes:
    """`REUSE.toml`: each file's licence, by glob; the last glob that fits a file holds (REUSE 3.3)."""
    config = read_json(release / "code" / "config.json")["release"]
    others = "the authors that NOTICE names"
    full = partial.level(release) == "full"
    tables = [("**", config["licence"], ", ".join(config["authors"]))]
    tables += [(f"data/{name}/**", of_documents(release), others) for name in ("documents", "licences") if full]
    for given in sets_of_others(release) if full else ():
        tables.append((f"evaluation/data/{given['name']}.parquet", given["licence"], others))
        tables += [(f"evaluation/data/licences/{sha}.txt", given["licence"], others)
                   for sha in sorted(set(given["licences"].values()))]  # fmt: skip
    lines = ["version = 1"]
    for path, licence, holder in tables:
        lines += ["", "[[annotations]]", f'path = "{path}"', f'SPDX-FileCopyrightText = "{holder}"']
        lines += [f'SPDX-License-Identifier = "{licence}"']
    return ("\n".join(lines) + "\n").encode()


def by_file(release: Path, paths: list[str]) -> dict[str, str | None]:
    """The licence of each path below `release`, as its REUSE.toml says; None where it says nothing."""
    try:
        annotations: list[dict[str, Any]] = tomllib.loads((release / "REUSE.toml").read_text())["annotations"]
        globs = [(_glob(table["path"]), str(table["SPDX-License-Identifier"])) for table in annotations]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"REUSE.toml: cannot be read ({type(error).__name__}: {error})") from None
    return {path: next((licence for glob, licence in reversed(globs) if glob.fullmatch(path)), None) for path in paths}


def _glob(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", glob)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))
