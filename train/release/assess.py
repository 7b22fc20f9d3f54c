"""What the openness table says of any model's folder, made by anybody: each item shown, claimed, missing or undecided.

Nothing in the folder is run, imported or unpickled, links are not followed, and no more is read than MOST_* allow.
*Shown* means that a file of the kind asked for is there, which is less than `verify` asks of our own releases: whether
the file is complete and true, only people or a rebuild can tell. *Claimed* means that a card or a mof.yml says so.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train import terms
from train.artifact import parse_json
from train.errors import UserError
from train.licence_texts import plain_text, recognised
from train.release.standards import osaid
from train.spdx import listed

MOST_FILES, MOST_NAME, MOST_BYTES, MOST_YAML, MOST_HEADER, MOST_TRIED = 100_000, 500, 2**20, 2**16, 2**24, 20
WEIGHTS = r"(?i)(^|/)[^/]*\.(safetensors|gguf|bin|pt|pth|ckpt|h5|onnx|msgpack)$"
CODE = r"(?i)\.(py|ipynb|rs|cpp|cu|jl)$"
DATA = r"(?i)^(?!logs?/)(.*\.(parquet|arrow|jsonl(\.gz|\.zst)?)$|(.*/)?(data|corpus)[^/]*/[^/]*\.(csv|txt)$)"
CARD = r"(?i)^(readme|model_?card)\.md$"


@dataclass(frozen=True)
class Sign:
    """How an item is recognised: files that show it, words of a card, and components of a mof.yml, that claim it."""

    files: str
    words: str
    components: str


# Item of openness.ROWS -> its signs. Statements are for people, and the items of licences follow from licences.
SIGNS = {
    "1": Sign(r"(?i)(^|/)(sources|croissant|provenance)[^/]*\.(json|jsonl|csv|md)$",
              r"trained on|training data|datasets:|corpus", "Datasets|Data card"),
    "2": Sign(r"(?i)(^|/)(statistics|data_?card|datasheet)[^/]*\.(json|md)$|^data/readme\.md$",
              r"tokens of|billion tokens|languages?:", "Data card"),
    "3": Sign(r"(?i)(^|/)(ledger|selection|filter|dedup)[^/]*(/|\.(json|parquet|py|md)$)",
              r"collected|crawl|selected|filtered", "Data card|Technical report|Research paper"),
    "4": Sign(r"(?i)(^|/)(label|annotation)[^/]*\.(json|md|csv)$", r"labell?ed|annotat", "Data card"),
    "5": Sign(r"(?i)(^|/)[^/]*(preprocess|prepare|filter|dedup|clean|selected)[^/]*\.(py|ipynb|rs)$",
              r"preprocess|dedup|filter", "Data preprocessing code"),
    "6": Sign(DATA, r"datasets:|available (at|on|from)|download", "Datasets"),
    "8": Sign(r"(?i)(^|/)[^/]*(model|infer|generat|sample)[^/]*\.py$", r"github\.com|source code|repository:",
              "Training code|Inference code|Model architecture"),
    "9": Sign(r"(?i)(^|/)(train|fit|loop|pretrain|finetune)[^/]*\.(py|ipynb|sh|ya?ml)$",
              r"learning rate|batch size|hyper-?parameters", "Training code"),
    "10": Sign(r"(?i)(^|/)[^/]*tokenizer[^/]*\.py$", r"tokeni[sz]er", "Supporting libraries and tools"),
    "11": Sign(r"(?i)(^|/)(eval|benchmark|lm_eval)[^/]*(/(?!logits\.)|\.(py|json)$)", r"evaluat|benchmark|accuracy",
               "Evaluation code|Evaluation results|Evaluation data"),
    "13": Sign(r"(?i)(^|/)(requirements[^/]*|uv\.lock|poetry\.lock|environment\.ya?ml|dockerfile|pyproject\.toml)",
               r"requires|pip install", "Supporting libraries and tools"),
    "14": Sign(WEIGHTS, r"weights|safetensors|checkpoint", r"Model parameters \(Final\)"),
    "15": Sign(r"(?i)(^|/)(checkpoint|step|global_step)[^/]*/[^/]+\.(safetensors|bin|pt)$",
               r"intermediate checkpoint", r"Model parameters \(Intermediate\)"),
    "16": Sign(r"(?i)(^|/)optim[^/]*\.(safetensors|bin|pt)$", r"optimi[sz]er state", "Model metadata"),
    "hyper-parameter search": Sign(r"(?i)(^|/)(sweep|search)[^/]*\.(py|ya?ml|json)$", r"sweep|hyper-?parameter search",
                                   "Supporting libraries and tools"),
}  # fmt: skip
RESTRICTED_NAME = re.compile(r"(?i)rail|llama|gemma|(^|-)n[cd](-|$)|research|non-?commercial|proprietary")
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


def look(root: Path) -> Folder:
    """The files below `root`; UserError when it is no folder or holds too many."""
    if not root.is_dir():
        raise UserError(f"{root}: not a folder")
    found, entries = Folder(root), 0
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
                found.files[relative] = path.lstat().st_size
    return found


def read_yaml(text: str, what: str) -> dict[str, Any]:
    """A mapping as YAML without any tag of Python; UserError when it is too large or something else.

    Keys `<<`, which merge mappings, are refused: a few lines of them make a mapping larger than any memory.
    """
    import yaml

    if len(text) > MOST_YAML or "<<" in text:
        raise UserError(f"{what}: more than {MOST_YAML} characters of YAML, or a key `<<`")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{what}: cannot be read as YAML ({type(error).__name__})") from None
    if found is not None and not isinstance(found, dict):
        raise UserError(f"{what}: expected a mapping, found {type(found).__name__}")
    return found or {}


def front_matter(card: str) -> tuple[dict[str, Any], list[str]]:
    """What stands between the lines `---` at the head of a card, and why that cannot be read, if it cannot.

    As the hub reads it: a byte order mark and blank lines may stand before it.
    """
    found = re.match(r"\ufeff?\s*---[ \t\r]*\n(.*?)\n---[ \t\r]*(\n|$)", card, re.DOTALL)
    try:
        return (read_yaml(found[1], "front matter") if found else {}), []
    except UserError as error:
        return {}, [str(error)]


def components(mof: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The components that a mof.yml lists, by name."""
    release = mof.get("release")
    listed = release.get("components") if isinstance(release, dict) else None
    if not isinstance(listed, list):
        raise UserError("mof.yml: expected a list at release.components")
    return {str(each["name"]): each for each in listed if isinstance(each, dict) and isinstance(each.get("name"), str)}


def named(name: object) -> str | None:
    """A licence as a card or a mof.yml spells it, by SPDX where that list has it; None when it names none."""
    if isinstance(name, list):
        name = " AND ".join(str(named(each)) for each in name[:9] if isinstance(each, str))
    text = name.strip()[:80] if isinstance(name, str) else ""
    return terms.of_name(text) or None


def of_text(text: str) -> str | None:
    """The licence whose text this is; where later versions have the same text, the licence alone."""
    try:
        found = recognised(plain_text(text.encode(errors="replace")))
    except ValueError:
        return None
    return next((name if name in listed().values() else f"{name}-only" for name in found), None)


def licences_of(folder: Folder, head: dict[str, Any], mof: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every licence that is found: where, by SPDX or as it is called, its standing, and what uses it reserves."""
    found = []
    for path in [path for path in folder.files if LICENCE_FILE.search(path) and not re.search(CODE, path)][:200]:
        text = " ".join(folder.text(path).split())
        found.append((path, True, of_text(text), terms.restriction(text, name=False)))
    told = {"README.md: license": head.get("license_name") if head.get("license") == "other" else head.get("license")}
    told |= {f"mof.yml: {name}": each.get("license") for name, each in mof.items()}
    found += [(where, False, name, None) for where, given in told.items() if (name := named(given))]
    return [
        {"where": where, "text": text, "licence": name, "standing": terms.standing(name or ""),
         "restriction": held or (word[0] if (word := RESTRICTED_NAME.search(name or "")) else None)}
        for where, text, name, held in found
    ]  # fmt: skip


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


def items(folder: Folder, card: str, found: list[dict[str, Any]], mof: dict[str, Any]) -> list[dict[str, Any]]:
    """Each row of the openness table with its status, and what that rests on.

    Of what goes beyond the definition, only what has signs: the rest are proofs that this pipeline alone can give.
    """
    rows = []
    for row in osaid.ROWS:
        if row.importance == "beyond" and row.id not in SIGNS:
            continue
        if row.kind == "statement":
            status, why = "not machine-decidable", "for people to judge"
        elif row.id in SIGNS:
            status, why = by_signs(folder, SIGNS[row.id], card, mof)
        else:
            status, why = by_licences(row.id, folder, found)
        asked = {"id": row.id, "class": row.importance, "kind": row.kind, "requirement": row.requirement}
        rows.append({**asked, "status": status, "why": why})
    return rows


def by_signs(folder: Folder, sign: Sign, card: str, mof: dict[str, Any]) -> tuple[str, str]:
    broken = None
    for path in folder.matching(sign.files)[:MOST_TRIED]:
        safe = path.endswith(".safetensors")
        broken = f"{path}: {problem}" if safe and (problem := tensors_problem(folder.root / path, folder.files[path])) \
            else "an empty file" if not folder.files[path] else None  # fmt: skip
        if not broken:
            return "shown", path
    component = next((name for name in mof if re.fullmatch(sign.components, name)), None)
    if component:
        return "claimed", f"mof.yml: {component}"
    word = re.search(sign.words, card, re.IGNORECASE)
    return ("claimed", f"card: {' '.join(word[0].split())!r}") if word else ("missing", broken or "")


def by_licences(item: str, folder: Folder, found: list[dict[str, Any]]) -> tuple[str, str]:
    """The items about terms: of what is not there, nothing is shown; a licence that is only named is a claim."""
    subject = {"7": DATA, "12": CODE}.get(item, WEIGHTS)
    restricted = [f"{each['where']}: {each['restriction']!r}" for each in found if each["restriction"]]
    if restricted:
        return "missing", f"reserves uses: {restricted[0]}"
    if item != "18" and not folder.matching(subject):
        return "missing", "there is nothing that terms could be for"
    component = {"7": "Data", "12": "[Cc]ode|tools|architecture", "17": "parameters"}.get(item, "")
    found = [each for each in found if not each["where"].startswith("mof.yml") or re.search(component, each["where"])]
    enough = ("OSI-approved", "open, not OSI-listed") if item == "18" else ("OSI-approved",)
    best = sorted((each for each in found if each["standing"] in enough), key=lambda each: not each["text"])
    if best:
        return "shown" if best[0]["text"] else "claimed", f"{best[0]['where']}: {best[0]['licence']}"
    return (
        "missing",
        f"{found[0]['licence'] or found[0]['where']}: {found[0]['standing']}" if found else "no licence is named",
    )


def assess(root: Path, mof: Path | None) -> dict[str, Any]:
    """The table, the licences and the verdict of a model's folder; UserError when it cannot be looked at."""
    folder = look(root)
    mof = mof or (root / "mof.yml" if "mof.yml" in folder.files else None)
    listed = components(read_yaml(Folder(mof.parent).text(mof.name), mof.name)) if mof else {}
    cards = folder.matching(CARD)
    card = re.sub(r"not here:\n\n(\* .*\n)+", "", folder.text(cards[0])) if cards else ""  # which are no claims
    head, problems = front_matter(card)
    found = licences_of(folder, head, listed)
    rows = items(folder, card, found, listed)
    line, lacking = verdict(rows)
    return {
        "verdict": line,
        "lacking": lacking,
        "items": rows,
        "licences": found,
        "notes": [f"{cards[0]}: {each}" for each in problems],
    }


def verdict(rows: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """In one line, what the folder is and why it is Open Source AI or is not shown to be; and the items it lacks."""
    must = [row for row in rows if row["class"] == "must" and row["status"] != "not machine-decidable"]
    shown, status = sum(row["status"] == "shown" for row in must), {row["id"]: row["status"] for row in rows}
    # Of what may be declared as not used, a word in a card is all there can be.
    lacking = [r for r in must if r["status"] == "missing" or (r["status"] == "claimed" and r["kind"] != "declared")]
    free = status["17"] != "missing" and status["18"] != "missing"
    kind = "no weights" if status["14"] != "shown" else "open weights" if free else "weights without open terms"
    if not lacking:
        kind = "open data, code and weights"
    elif kind == "open weights" and all(status[item] == "shown" for item in ("8", "9", "12")):
        kind = "open weights and code"
    counted = f"{kind}: {shown} of {len(must)} must-items shown"
    if not lacking:
        return f"{counted}; whether that is Open Source AI, people have to judge", []
    first = [f"{row['requirement']} ({row['status']})" for row in lacking[:3]]
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    why = f"{counted}; not Open Source AI because these are not shown: {', '.join(first)}{more}"
    return why, [row["id"] for row in lacking]
