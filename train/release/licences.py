"""What the licences of a release allow: SPDX expressions, the OSI's approval, restrictions of use, licences by file."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from license_expression import get_spdx_licensing

from train.artifact import read_json
from train.config import UserError
from train.data import rules

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
# Names of licences, and phrases in their texts, that reserve some uses.
RESTRICTED_NAME = re.compile(r"(?i)\b(?:open)?rails?\b|openrail|-(?:NC|ND)\b|non-?commercial|no-?deriv|research-only")
RESTRICTED_TEXT = re.compile(
    r"(?i)use[- ]based restrictions?|responsible ai licen[cs]e|non-?commercial (?:use|purposes?) only"
    r"|not be used for commercial|for (?:academic |non-?commercial )?research purposes only|noderiv"
)


def identifiers(expression: str) -> list[str]:
    """The SPDX identifiers in an expression, sorted."""
    return sorted(set(get_spdx_licensing().license_keys(expression)))


@cache
def standing(expression: str) -> str:
    """ "OSI-approved", "open, not OSI-listed" or "not known to be open". AND needs both sides, OR one of them."""
    if rules.licences(expression, OSI_APPROVED) is None:
        return "OSI-approved"
    if rules.licences(expression, OSI_APPROVED | OPEN_DATA) is None:
        return "open, not OSI-listed"
    return "not known to be open"


def restriction(text: str, *, name: bool) -> str | None:
    """What in a licence's name or text reserves some uses; None if nothing was found."""
    found = (RESTRICTED_NAME if name else RESTRICTED_TEXT).search(text)
    return found[0] if found else None


def of_documents(release: Path) -> str:
    """The expression that holds for a file with texts from all sources: every source's licence."""
    found = sorted({source["licence"] for source in read_json(release / "data" / "sources.json")})
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
    """`LICENSES/<id>.txt` for each licence that a source is under; the texts are those that came with the sources.

    Preferred is the text of a source under this licence alone; each source's own text stands in `data/licences/`.
    """
    found: dict[str, bytes] = {}
    for source, files in sorted(evidence(release), key=lambda pair: (" " in pair[0]["licence"], pair[0]["purl"])):
        for identifier in identifiers(source["licence"]):
            # Of several files, the one whose name tells the licence: LICENSE.MIT, LICENSE.APACHE2, LICENSE.BSD.
            word = identifier.split("-")[0].lower()
            path = next((path for path in source["licence_files"] if word in path.lower()), source["licence_files"][0])
            found.setdefault(f"LICENSES/{identifier}.txt", (release / files[path]).read_bytes())
    return {**found, f"LICENSES/{OURS}.txt": (release / "LICENSE").read_bytes()}


def reuse_toml(release: Path) -> bytes:
    """`REUSE.toml`: each file's licence, by glob; the last glob that fits a file holds (REUSE 3.3)."""
    config = read_json(release / "code" / "config.json")["release"]
    others = "the authors that NOTICE names"
    tables = [
        ("**", config["licence"], ", ".join(config["authors"])),
        ("data/documents/**", of_documents(release), others),
        ("data/licences/**", of_documents(release), others),
    ]
    for record in sets_of_others(release):
        tables.append((f"evaluation/data/{record['name']}.parquet", record["licence"], others))
        tables += [(f"evaluation/data/licences/{sha}.txt", record["licence"], others)
                   for sha in sorted(set(record["licences"].values()))]  # fmt: skip
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
