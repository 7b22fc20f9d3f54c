"""What of the openness table any model's folder holds, by its files alone: each item found, not found, or undecided.

Nothing in the folder is run, imported or unpickled, links are not followed, and no more is read than MOST_* allow.
*Found* means that a file of the kind asked for is there, which is less than `verify` asks of our own releases: whether
it is complete and true, only people or a rebuild can tell. *Cannot tell* is what is only named, or is for people.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.artifact import parse_json
from train.errors import UserError
from train.licences import of_name, plain_text, recognised, restriction, standing
from train.release.cards.templates import read_yaml
from train.release.standards import osaid
from train.spdx import listed

MOST_FILES, MOST_NAME, MOST_BYTES, MOST_HEADER, MOST_TRIED = 100_000, 500, 2**20, 2**24, 20
TERMS = ("data_terms", "code_terms", "parameter_terms", "use_restrictions")  # checks of rows that licences decide
CARD = r"(?i)^(readme|model_?card)\.md$"
CODE = re.compile(next(row.like for row in osaid.ROWS if row.check == "code_terms"))
LICENCE_FILE = re.compile(r"(?i)(^|/)(licen[cs]es?|copying|use_policy)([-_.][^/]*|/[^/]+)?$")


@dataclass
class Folder:
    """A stranger's folder: its regular files with their sizes, and the little that is read of them."""

    root: Path
    files: dict[str, int] = field(default_factory=dict)

    def text(self, path: str, most: int = MOST_BYTES) -> str:
        with (self.root / path).open("rb") as file:
            return file.read(most).decode(errors="replace")

    def matching(self, pattern: str) -> list[str]:
        return [path for path in self.files if re.search(pattern, path)]


@dataclass(frozen=True)
class Terms:
    """A licence that is claimed somewhere."""

    where: str
    text: bool  # whether its text is there, and not its name alone
    licence: str | None  # by SPDX, or as it is called
    standing: str
    restriction: str | None  # what it reserves


def look(root: Path) -> Folder:
    """The files below `root`; UserError when it is no folder or holds too many."""
    if not root.is_dir():
        raise UserError(f"{root}: not a folder")
    listing, entries = Folder(root), 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in (".git", ".cache"))
        entries += len(folders) + len(names)
        if entries > MOST_FILES:
            raise UserError(f"{root}: more than {MOST_FILES} files and folders; give the folder of one model")
        for name in sorted(names):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if len(relative) > MOST_NAME:
                raise UserError(f"{root}: a path of more than {MOST_NAME} letters")
            if stat.S_ISREG(path.lstat().st_mode):
                listing.files[relative] = path.lstat().st_size
    return listing


def front_matter(card: str) -> tuple[dict[str, Any], list[str]]:
    """What stands between the lines `---` at the head of a card, as the hub reads it, and why it cannot be read."""
    match = re.match(r"\ufeff?\s*---[ \t\r]*\n(.*?)\n---[ \t\r]*(\n|$)", card, re.DOTALL)
    try:
        return (read_yaml(match[1], "front matter") if match else {}), []
    except UserError as error:
        return {}, [str(error)]


def components(mof: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The components that a mof.yml lists, by name."""
    release = mof.get("release")
    listed = release.get("components") if isinstance(release, dict) else None
    if not isinstance(listed, list):
        raise UserError("mof.yml: expected a list at release.components")
    return {str(each["name"]): each for each in listed if isinstance(each, dict) and isinstance(each.get("name"), str)}


def by_name(name: object) -> str | None:
    """A licence as a card or a mof.yml spells it, by SPDX where that list has it; None when it names none."""
    if isinstance(name, list):
        name = " AND ".join(str(by_name(each)) for each in name[:9] if isinstance(each, str))
    text = name.strip()[:80] if isinstance(name, str) else ""
    return of_name(text) or None


def by_text(text: str) -> str | None:
    """The licence whose text this is; where later versions have the same text, the licence alone."""
    try:
        names = recognised(plain_text(text.encode(errors="replace")))
    except ValueError:
        return None
    return next((name if name in listed().values() else f"{name}-only" for name in names), None)


def licences_of(folder: Folder, head: dict[str, Any], mof: dict[str, dict[str, Any]]) -> list[Terms]:
    """Every licence that is found: where, by SPDX or as it is called, its standing, and what uses it reserves."""
    licences = []
    for path in [path for path in folder.files if LICENCE_FILE.search(path) and not CODE.search(path)][:200]:
        text = " ".join(folder.text(path).split())
        licences.append((path, True, by_text(text), restriction(text, name=False)))
    named = {"README.md: license": head.get("license_name") if head.get("license") == "other" else head.get("license")}
    named |= {f"mof.yml: {name}": each.get("license") for name, each in mof.items()}
    spelt = [(where, name) for where, text in named.items() if (name := by_name(text))]
    licences += [(where, False, name, restriction(name, name=True)) for where, name in spelt]
    return [Terms(where, text, name, standing(name or ""), held) for where, text, name, held in licences]


def tensors_problem(path: Path, size: int) -> str | None:
    """Why a safetensors file cannot hold what its header says, or None; the tensors themselves are not read."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, MOST_HEADER):
            return f"a header of {length} bytes in a file of {size}"
        try:
            header = parse_json(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return None if ends and max(ends) == size - 8 - length else "the header does not fit the file"
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return "a header that is none"


def items(folder: Folder, licences: list[Terms], mof: dict[str, Any]) -> list[dict[str, Any]]:
    """Each row of the openness table but those beyond the definition, with its status and the path that it rests on."""
    rows = []
    for row in osaid.ROWS:
        if row.importance == "beyond":
            continue
        if row.kind == "statement":
            status, why = "cannot tell", "for people to judge"
        else:
            status, why = by_terms(row, folder, licences) if row.check in TERMS else by_files(row, folder, mof)
        entry = {"id": row.id, "class": row.importance, "requirement": row.requirement}
        rows.append({**entry, "status": status, "why": why})
    return rows


def by_files(row: osaid.Row, folder: Folder, mof: dict[str, Any]) -> tuple[str, str]:
    """The items that files show: the first whole one of those that are called so."""
    problem = ""
    for path in folder.matching(row.like)[:MOST_TRIED]:
        problem = "an empty file"
        if folder.files[path]:
            wrong = path.endswith(".safetensors") and tensors_problem(folder.root / path, folder.files[path])
            if not wrong:
                return "found", path
            problem = wrong
        problem = f"{path}: {problem}"
    listed = [f"mof.yml: {name}" for name in row.component.split("|") if name in mof]
    if listed or row.kind == "declared":  # what may not have been used at all
        return "cannot tell", listed[0] if listed else "it may not have been used"
    return "not found", problem


def by_terms(row: osaid.Row, folder: Folder, licences: list[Terms]) -> tuple[str, str]:
    """The items about terms: a text of a licence shows them, a name of one does not."""
    for each in licences:
        if each.restriction:
            return "not found", f"{each.where}: reserves uses, {each.restriction!r}"
    if row.like and not folder.matching(row.like):
        return "not found", "nothing is here that terms could be for"
    open_enough = ("OSI-approved",) if row.like else ("OSI-approved", "open, not OSI-listed")
    enough = [each for each in licences if each.standing in open_enough]
    for each in sorted(enough or licences, key=lambda each: not each.text):
        where = f"{each.where}: {each.licence or 'a text that is not known'}"
        return ("found", where) if enough and each.text else ("cannot tell", f"{where}, {each.standing}")
    return "not found", "no licence"


def assess(root: Path, mof: Path | None) -> dict[str, Any]:
    """The table and the licences of a model's folder; UserError when it cannot be looked at."""
    folder = look(root)
    mof = mof or (root / "mof.yml" if "mof.yml" in folder.files else None)
    listed = components(read_yaml(Folder(mof.parent).text(mof.name), mof.name)) if mof else {}
    cards = folder.matching(CARD)
    head, problems = front_matter(folder.text(cards[0])) if cards else ({}, [])
    licences = licences_of(folder, head, listed)
    rows = items(folder, licences, listed)
    return {
        "items": rows,
        "lacking": [row["id"] for row in rows if row["class"] == "must" and row["status"] == "not found"],
        "licences": [vars(each) for each in licences],
        "notes": [f"{cards[0]}: {problem}" for problem in problems],
    }
