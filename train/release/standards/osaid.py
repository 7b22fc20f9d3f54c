"""Openness as a table, `osaid.toml`: what the Open Source AI Definition 1.0 asks for, what shows it, which check tests.

Three classes are never mixed: *must* (the definition requires it), *should* (it says "might include") and *beyond*.
What no machine can decide is a *statement*: shown with its name and date, never ticked. What costs more than a look,
such as training again, is a *command*: whoever doubts it runs it, and before that it counts as nothing. Each claim has
the lowest *rung* of a ladder of proof that establishes it. Cards, page and commands tell of claims by this table alone.
"""

import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from train.artifact import digest, file_digest, read_json
from train.errors import UserError
from train.keys import ROOT
from train.layout import WITNESSES, listed_files, release_files

if TYPE_CHECKING:
    from train.release.about import ReleaseConfig


@dataclass(frozen=True)
class Rung:
    """A step of the ladder of proof, which stands on those before it."""

    name: str
    establishes: str
    target: str  # of make
    options: str = ""

    def command(self, release: str, clone: bool = True) -> str:
        """What to type in one's own clone, or with the installed package, for the release in a folder."""
        if not clone:
            return f"pellucid {self.target} {shlex.quote(release)} {self.options}".rstrip()
        options = f" ARGS={shlex.quote(self.options)}" if self.options else ""
        return f"make {self.target} RELEASE={shlex.quote(release)}{options}"


# Check -> the rung that it stands for; all others stand for "consistent".
RUNG_OF = {"integrity": "intact", "completeness": "intact", "prepared": "sourced", "signatures": "attested"}


@dataclass(frozen=True)
class Row:
    id: str
    item: str  # by its name in the definition's framework: D data, C code, P parameters
    requirement: str
    evidence: str  # files, and folders that end in a slash, between spaces
    check: str | None = None  # of verify.py; None where no machine can decide
    importance: Literal["must", "should", "beyond"] = "must"
    kind: Literal["machine", "declared", "statement", "command"] = "machine"  # declared: or "not used", with a reason
    rung: str | None = "consistent"  # the lowest that establishes it; None: none does, it is somebody's word
    like: str = ""  # what its files are called in other people's models; of terms, the files that they are for
    component: str = ""  # its components in the Model Openness Framework, between bars

    def __post_init__(self) -> None:
        object.__setattr__(self, "rung", self.rung or None)  # TOML has no null


TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
RUNGS = tuple(Rung(**rung) for rung in TABLE["rungs"])
ROWS = tuple(Row(**row) for row in TABLE["rows"])
COMPONENTS: dict[str, str] = TABLE["components"]  # of the source code, by the definition's names
WORD = next(row.requirement for row in ROWS if row.id == "run")  # what nothing tests
REQUEST = "logs/release/asked.json"  # the overrides as they were typed, and the kinds of places of sources
LACKING = ("absent", "shown", "told")  # how the status of a row begins that has not what it needs, or not yet
SEARCH = "hyper-parameter search"
# contract -> level of reproducibility
LEVELS = {"exact": "exact", "pinned": "pinned", "fast": "tolerance"}


@dataclass(frozen=True)
class Answer:
    """A row of the table, and what a release has to show for it."""

    row: Row
    status: str  # begins with evidenced, shown, told, stated, not used or absent
    statement: Mapping[str, str] | None = None

    def is_(self, *words: str) -> bool:
        return self.status.startswith(words)

    def record(self) -> dict[str, Any]:
        """As it stands in `openness.json`."""
        names = ("id", "item", "requirement", "rung", "kind", "check")
        entry = {name: getattr(self.row, name) for name in names} | {"class": self.row.importance}
        return {**entry, "status": self.status, **({"stated": self.statement} if self.statement else {})}


def table(release: Path) -> list[Answer]:
    """Each row with its status, given the files that are there; README.md shows these rows and so counts as there."""
    paths = [*release_files(release), "README.md"]
    from train.release.about import about  # only now: a quick look does without what this needs

    said = about(release)
    statements = {entry.item: vars(entry) for entry in said.statements}
    return [answer(row, paths, unused(said).get(row.id), statements.get(row.id)) for row in ROWS]


def unused(about: "ReleaseConfig") -> dict[str, str]:
    """The items that a release's config declares as not used, with reasons: a search that lists its trials was used."""
    return {item: why for item, why in about.not_used.items() if not (item == SEARCH and about.trials)}


def answer(row: Row, paths: list[str], reason: str | None, statement: Mapping[str, str] | None) -> Answer:
    """What files, a reason why it was not used, or somebody's statement show for a row."""
    if missing := [name for name in row.evidence.split() if not files(name, paths)]:
        status = f"absent: {', '.join(missing)}"
    elif row.kind == "declared":
        status = f"not used: {reason}" if reason else "evidenced"
    elif row.kind == "statement":
        by = "stated by {name} on {date}: {text}"
        status = by.format(**statement) if statement else "absent: statement"
    elif row.kind == "command":
        status = f"shown by {row.evidence.split()[0]}, when somebody runs it" if row.rung else "told by a publisher"
    else:
        status = "evidenced"
    return Answer(row, status, statement if row.kind == "statement" else None)


def files(name: str, paths: Iterable[str]) -> list[str]:
    """Which of `paths` the evidence `name` means."""
    return sorted(path for path in paths if path == name or (name.endswith("/") and path.startswith(name)))


def verdict(release: Path, answers: Sequence[Answer]) -> dict[str, Any]:
    """Whether every must item has what it needs, how many of which class and kind do, and what else is claimed."""
    from train.release.standards import mof, reuse

    counts: dict[str, Any] = {}
    for importance in ("must", "should", "beyond"):
        members = [each for each in answers if each.row.importance == importance]
        held = [each for each in members if not each.is_(*LACKING)]
        stated = sum(each.row.kind == "statement" for each in held)
        unused = sum(each.is_("not used") for each in held)
        counts[importance] = {"items": len(members), "held": len(held), "stated": stated, "not_used": unused}
    counts["to_run"] = sum(each.is_("shown") for each in answers)
    begun = {"begins_with": begun_with(release)} if begun_with(release) else {}  # whose data are not here
    return {
        "osaid_1_0": not begun and not any(each.row.importance == "must" and each.is_(*LACKING) for each in answers),
        **begun,
        **counts,
        "all_training_data_included_and_free": data_is_free(release, reuse.terms(release)),
        "mof_class": mof.mof_class(release),
        "reproducibility": reproducibility(release),
    }


def openness_json(release: Path) -> dict[str, Any]:
    """`openness.json`: the verdict, each row with its evidence, and what is open in each form.

    A verdict is a claim, which its rung tests.
    """
    from train.release.standards import forms, reuse

    answers = table(release)
    paths = [path for path in listed_files(release) if path != "openness.json"]
    rows = []
    for each in answers:
        evidence = [_evidence(release, name, files(name, paths)) for name in each.row.evidence.split()]
        rows.append({**each.record(), "evidence": evidence})
    terms = reuse.terms(release)
    documents = {"documents": {n: vars(each) for n, each in terms.items()}, "standing": reuse.by_standing(terms)}
    rungs = [{"name": r.name, "establishes": r.establishes, "command": r.command("RELEASE")} for r in RUNGS]
    ladder = {"rungs": rungs, "word": word(release), "forms": forms.status(release)}
    return {
        "framework": "Open Source AI Definition 1.0",
        "verdict": verdict(release, answers),
        "rows": rows,
        **ladder,
        **documents,
    }


def ladder(release: str, outcomes: Mapping[str, str], last: str | None = None) -> list[str]:
    """A line a rung: the `outcomes` of a command (name of a rung -> holds, FAILS, not checked), how to learn the rest.

    The last line tells what no rung establishes: `last`, or where `release` is a folder, what this one has to say.
    """
    lines, clone = [], (ROOT / "Makefile").is_file()
    for rung in RUNGS:
        how = "" if rung.name in outcomes else f"; to establish it: {rung.command(release, clone)}"
        lines.append(f"{outcomes.get(rung.name, 'not run'):<11}  {rung.name:<10}  {rung.establishes}{how}")
    return [*lines, f"{'word':<11}  {'':<10}  {last or word(Path(release))}"]


def begun_with(release: Path) -> str | None:
    """The identity of the release whose weights the training began with."""
    config = release / "code" / "config.json"
    return read_json(config, "/training/init_from") if config.is_file() else None


def word(release: Path) -> str:
    """What no rung of a release's ladder establishes, whatever a stranger wrote in it."""
    try:
        begun = begun_with(release)
    except UserError:
        begun = None
    earlier = f"; how the release {begun}, which it begins with, came to be, commands tell that are given that one"
    return WORD + earlier * bool(begun)


def data_is_free(release: Path, terms: Mapping[str, Any]) -> bool:
    """Whether every text that was read is here, under a licence that is OSI-approved or known to be open."""
    kept, here = (read_json(release / "data" / name, at)
                  for name, at in (("counts.json", "/kept/documents"), ("statistics.json", "/documents")))  # fmt: skip
    known = all(entry.standing != "not known to be open" for entry in terms.values())
    return known and not begun_with(release) and kept == here


def reproducibility(release: Path) -> dict[str, Any]:
    """The level that the config promises, what packing ran to establish it, and what anyone can run to test it."""
    contract = read_json(release / "code/config.json", "/training/numerics/contract")
    steps = [read_json(path, "/to_step") for path in release.glob("checkpoints/next_step.json")]
    ran = [f"training step {step} again, from the checkpoint before it" for step in steps]
    return {"level": LEVELS[contract], "ran": ran, "not_run": ["scripts/replay.py", "scripts/reproduce.py"]}


def _evidence(release: Path, name: str, paths: list[str]) -> dict[str, Any]:
    """The digest of a file, or over the paths and digests of a folder's files; witnesses differ from run to run."""
    if name.startswith(WITNESSES):
        return {"path": name, "witness": True}
    digests = {path: file_digest(release / path) for path in paths}
    return {"path": name, "files": len(paths), "sha256": digest(digests) if name.endswith("/") else digests.get(name)}
