"""Openness is a table: what the Open Source AI Definition 1.0 asks for, the files that show it, the check that tests.

Three classes are never mixed: *must* (the definition requires it), *should* (it says "might include") and *beyond*.
What no machine can decide is a *statement*: shown with its name and date, never ticked. What costs more than a look,
such as training again, is a *command*: whoever doubts it runs it, and before that it counts as nothing. Each claim has
the lowest *rung* of a ladder of proof that establishes it. Cards, page and commands tell of claims by this table alone.
"""

import os
import shlex
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from train.artifact import digest, file_digest, read_json
from train.keys import ROOT


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


RUNGS = (
    Rung("intact", "these are the bytes of this identity", "verify", "--quick"),
    Rung("consistent", "what follows from the texts and the config that are here was derived again, and is the same",
         "verify"),
    Rung("sourced", "the texts are what the pinned sources give: nothing else was left out before the selection, or "
         "let in", "verify", "--sources"),
    Rung("trained", "the weights of segments that the verifier drew are what this config makes of this data", "replay"),
    Rung("made again", "all of it comes out again with the same bytes, by code that the verifier has", "reproduce"),
    Rung("attested", "who holds a key says so, in a signed statement", "verify", "--public-key KEY"),
)  # fmt: skip
# Check -> the rung that it stands for; all others stand for "consistent".
RUNG_OF = {"integrity": "intact", "completeness": "intact", "prepared": "sourced", "signatures": "attested"}
WORD = "times, energy, machine and dates are the publisher's word: nothing tests them"
WITNESSES = ("logs/", "report.html")  # what is true of one run only, and enters no digest of a product


@dataclass(frozen=True)
class Row:
    id: str
    item: str  # by its name in the definition's framework: D data, C code, P parameters
    requirement: str
    evidence: str  # files, and folders that end in a slash, between spaces
    check: str | None  # of verify.py; None where no machine can decide
    importance: Literal["must", "should", "beyond"] = "must"
    kind: Literal["machine", "declared", "statement", "command"] = "machine"  # declared: or "not used", with a reason
    rung: str | None = "consistent"  # the lowest that establishes it; None: none does, it is somebody's word
    like: str = ""  # what its files are called in other people's models; of terms, the files that they are for
    component: str = ""  # its components in the Model Openness Framework, between bars


CARD = "data/README.md data/sources.json"
# What files are called in anybody's model.
WEIGHTS_LIKE = r"(?i)(^|/)[^/]*\.(safetensors|gguf|bin|pt|pth|ckpt|h5|onnx|msgpack)$"
CODE_LIKE = r"(?i)\.(py|ipynb|rs|cpp|cu|jl)$"
DATA_LIKE = r"(?i)^(?!logs?/)(.*\.(parquet|arrow|jsonl(\.gz|\.zst)?)$|(.*/)?(data|corpus)[^/]*/[^/]*\.(csv|txt)$)"
ASKED = "logs/release/asked.json"  # the overrides as they were typed, and the kinds of places of sources
WEIGHTS = "model.safetensors config.json evaluation/logits.json"
SEARCH = "hyper-parameter search"
ROWS = (
    Row("1", "D1a", "provenance of all training data", f"{CARD} data/croissant.json data/licences/ data/ranges/",
        "provenance",
        like=r"(?i)(^|/)(sources|croissant|provenance)[^/]*\.(json|jsonl|csv|md)$", component="Datasets|Data card"),
    Row("2", "D1b", "scope and characteristics of the data", "data/README.md data/statistics.json", "statistics",
        like=r"(?i)(^|/)(statistics|data_?card|datasheet)[^/]*\.(json|md)$|^data/readme\.md$", component="Data card"),
    Row("3", "D1c, D1d", "how data was obtained and selected",
        f"{CARD} data/extracted.json data/counts.json data/ledger/", "counts",
        like=r"(?i)(^|/)(ledger|selection|filter|dedup)[^/]*(/|\.(json|parquet|py|md)$)",
        component="Data card|Technical report|Research paper"),
    Row("4", "D1e", "labelling of the data", "data/README.md", "labelling", kind="declared",
        like=r"(?i)(^|/)(label|annotation)[^/]*\.(json|md|csv)$", component="Data card"),
    Row("5", "D1f", "how data was processed and filtered",
        "data/ledger/ data/tokens.json code/train/data/ code/config.json", "tokens",
        like=r"(?i)(^|/)[^/]*(preprocess|prepare|filter|dedup|clean|selected)[^/]*\.(py|ipynb|rs)$",
        component="Data preprocessing code"),
    Row("6", "D2, D3", "list of public and of obtainable data, and where to get it",
        f"{CARD} data/documents/", "source_kinds", like=DATA_LIKE, component="Datasets"),
    Row("7", "D", "data information under OSI-approved terms", "REUSE.toml LICENSES/ NOTICE", "data_terms",
        like=DATA_LIKE),
    Row("8", "C1 to C6", "complete source code, from data processing to inference", "code/", "components",
        like=r"(?i)(^|/)[^/]*(model|infer|generat|sample)[^/]*\.py$",
        component="Training code|Inference code|Model architecture"),
    Row("9", "C2", "training with its arguments and settings",
        "code/config.json code/overrides.json provenance/weights.json", "settings",
        like=r"(?i)(^|/)(train|fit|loop|pretrain|finetune)[^/]*\.(py|ipynb|sh|ya?ml)$", component="Training code"),
    Row("10", "C4", "tokenizer and its training",
        "tokenizer.json tokenizer_config.json provenance/tokenizer.json", "tokenizer",
        like=r"(?i)(^|/)[^/]*tokenizer[^/]*\.py$", component="Supporting libraries and tools"),
    Row("11", "C3", "validation and testing", "evaluation/ provenance/evaluation.json", "scores",
        like=r"(?i)(^|/)(eval|benchmark|lm_eval)[^/]*(/(?!logits\.)|\.(py|json)$)",
        component="Evaluation code|Evaluation results|Evaluation data"),
    Row("12", "C", "code under an OSI-approved licence", "REUSE.toml LICENSE code/LICENSE", "code_terms",
        like=CODE_LIKE),
    Row("13", "C4", "environment and supporting libraries", "code/requirements.lock logs/weights/", "environment",
        like=r"(?i)(^|/)(requirements[^/]*|uv\.lock|poetry\.lock|environment\.ya?ml|dockerfile|pyproject\.toml)",
        component="Supporting libraries and tools"),
    Row("14", "P1", "weights, which load and give the recorded logits", WEIGHTS, "weights",
        like=WEIGHTS_LIKE, component="Model parameters (Final)"),
    Row("15", "P2", "checkpoints of intermediate stages", "checkpoints/", "checkpoints", importance="should",
        like=r"(?i)(^|/)(checkpoint|step|global_step)[^/]*/[^/]+\.(safetensors|bin|pt)$",
        component="Model parameters (Intermediate)"),
    Row("16", "P3", "state of the optimizer", "checkpoints/ checkpoints/next_step.json", "optimizer_state",
        importance="should",
        like=r"(?i)(^|/)optim[^/]*\.(safetensors|bin|pt)$", component="Model metadata"),
    Row("17", "P", "parameters under OSI-approved terms, with an explicit statement", "README.md LICENSE",
        "parameter_terms", like=WEIGHTS_LIKE),
    Row("18", "use", "no restriction of use", "REUSE.toml LICENSES/ data/licences/", "use_restrictions"),
    Row(SEARCH, "C4", "hyper-parameter search", "code/configs/", "components", kind="declared",
        like=r"(?i)(^|/)(sweep|(grid|hyper|param)[^/]*search)[^/]*\.(py|ya?ml|json)$",
        component="Supporting libraries and tools"),
    Row("description", "D1", "the data is described well enough to build a substantially equivalent system",
        "data/README.md", None, kind="statement", rung=None),
    Row("licence claims", "D", "the sources' licences were read and their claims are believed true",
        "NOTICE", None, kind="statement", rung=None),
    Row("completeness", "D2, D3", "no other data was used in training", "data/sources.json", None, kind="statement",
        rung=None),
    Row("integrity", "release", "every file has its digest, and nothing hides",
        "code/train/release/verify/integrity.py", "integrity", importance="beyond", rung="intact"),
    *(Row(*row, importance="beyond") for row in (
        ("chain", "release", "keys and digests lead from the sources to the weights", "provenance/", "chain"),
        ("order", "C2", "which tokens each step read", "code/train/data/batches.py logs/weights/", "order"),
        ("selection", "D1d", "nothing twice, nothing held out and nothing of the evaluation in the training text",
         "data/documents/ evaluation/data/", "selection"),
        ("split", "D1d", "what was held out, by a rule", "data/documents/ code/config.json", "split"),
        ("overlap", "C3", "overlap of the training text with every evaluation set", "data/overlap.json", "overlap"),
        ("logits", "P1", "the model computes what is recorded", "evaluation/logits.json", "logits"),
        ("cards", "release", "every number in the cards follows from a record", "README.md data/README.md", "cards"),
        ("licences", "release", "a licence for each file (REUSE), and its text", "REUSE.toml LICENSES/", "licences"),
        ("metadata", "D", "metadata for machines, and forms that others ask for", "data/croissant.json forms/",
         "metadata"),
        ("mof", "release", "class in the Model Openness Framework", "provenance/mof.yml", "mof"),
        ("tests", "C", "tests of the code, which can be collected, among them one that alters a release for each check",
         "code/tests/ code/tests/release/test_tamper.py", "collected"),
        ("resources", "C2", "a record of what training took", "provenance/facts.json logs/weights/", "environment"),
        ("placeholders", "release", "nothing left blank", "README.md data/README.md", "placeholders"),
        ("secrets", "release", "no private key, and no access token of a form that is known", "logs/ provenance/",
         "secrets"),
    )),
    Row("snapshot", "C", "the code is that of the commit it names, if it names one",
        "code/scripts/verify.py logs/release/", None, importance="beyond", kind="command"),  # by who has a clone
    Row("sources", "D1c, D1d", RUNGS[2].establishes, "code/scripts/verify.py data/sources.json", None,
        importance="beyond", kind="command", rung="sourced"),
    Row("replay", "C2", "these weights are what this config makes of this data", "code/scripts/replay.py checkpoints/",
        None, importance="beyond", kind="command", rung="trained"),
    Row("reproduce", "C", "the whole release can be made again from itself",
        "code/scripts/reproduce.py code/requirements.lock", None, importance="beyond", kind="command",
        rung="made again"),
    Row("pack twice", "release", "packing again gives the same bytes", "code/scripts/reproduce.py", None,
        importance="beyond", kind="command", rung="made again"),
    Row("run", "C2", WORD, "logs/", None, importance="beyond", kind="command", rung=None),
)  # fmt: skip
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
    config = read_json(release / "code" / "config.json")["release"]
    statements = {entry["item"]: entry for entry in config["statements"]}
    return [answer(row, paths, unused(config).get(row.id), statements.get(row.id)) for row in ROWS]


def unused(about: Mapping[str, Any]) -> dict[str, str]:
    """The items that a release's config declares as not used, with reasons: a search that lists its trials was used."""
    return {item: why for item, why in about["not_used"].items() if not (item == SEARCH and about["trials"])}


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
        held = [each for each in members if not each.is_("absent", "shown", "told")]
        stated = sum(each.row.kind == "statement" for each in held)
        unused = sum(each.is_("not used") for each in held)
        counts[importance] = {"items": len(members), "held": len(held), "stated": stated, "not_used": unused}
    counts["to_run"] = sum(each.is_("shown") for each in answers)
    return {
        "osaid_1_0": counts["must"]["items"] == counts["must"]["held"],
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
    paths = [path for path in release_files(release) if path not in ("openness.json", "MANIFEST.json")]
    rows = []
    for each in answers:
        evidence = [_evidence(release, name, files(name, paths)) for name in each.row.evidence.split()]
        rows.append({**each.record(), "evidence": evidence})
    terms = reuse.terms(release)
    documents = {"documents": {n: vars(each) for n, each in terms.items()}, "standing": reuse.by_standing(terms)}
    rungs = [{"name": r.name, "establishes": r.establishes, "command": r.command("RELEASE")} for r in RUNGS]
    ladder = {"rungs": rungs, "word": WORD, "forms": forms.status(release)}
    return {
        "framework": "Open Source AI Definition 1.0",
        "verdict": verdict(release, answers),
        "rows": rows,
        **ladder,
        **documents,
    }


def ladder(release: str, outcomes: Mapping[str, str]) -> list[str]:
    """A line a rung: the `outcomes` of a command (name of a rung -> holds, FAILS, not checked), how to learn the rest.

    The last line tells what no rung establishes.
    """
    lines, clone = [], (ROOT / "Makefile").is_file()
    for rung in RUNGS:
        how = "" if rung.name in outcomes else f"; to establish it: {rung.command(release, clone)}"
        lines.append(f"{outcomes.get(rung.name, 'not run'):<11}  {rung.name:<10}  {rung.establishes}{how}")
    return [*lines, f"{'word':<11}  {'':<10}  {WORD}"]


def data_is_free(release: Path, terms: Mapping[str, Any]) -> bool:
    """Whether every text that was kept is here, and each under a licence that is OSI-approved or known to be open."""
    kept, here = (read_json(release / "data" / f"{name}.json") for name in ("counts", "statistics"))
    known = all(entry.standing != "not known to be open" for entry in terms.values())
    return known and kept["kept"]["documents"] == here["documents"]


def reproducibility(release: Path) -> dict[str, Any]:
    """The level that the config promises, what packing ran to establish it, and what anyone can run to test it."""
    contract = read_json(release / "code" / "config.json")["training"]["numerics"]["contract"]
    path = release / "checkpoints" / "next_step.json"
    ran = [f"training step {read_json(path)['to_step']} again, from the checkpoint before it"] if path.is_file() else []
    return {"level": LEVELS[contract], "ran": ran, "not_run": ["scripts/replay.py", "scripts/reproduce.py"]}


def _evidence(release: Path, name: str, paths: list[str]) -> dict[str, Any]:
    """The digest of a file, or over the paths and digests of a folder's files; witnesses differ from run to run."""
    if name.startswith(WITNESSES):
        return {"path": name, "witness": True}
    digests = {path: file_digest(release / path) for path in paths}
    return {"path": name, "files": len(paths), "sha256": digest(digests) if name.endswith("/") else digests.get(name)}


def regular_files(root: Path) -> list[str]:
    """The regular files below `root`, as sorted relative paths; links are not followed and not listed."""
    start = len(str(root)) + 1
    paths = (f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names)
    return sorted(path[start:] for path in paths if stat.S_ISREG(os.lstat(path).st_mode))


def release_files(root: Path) -> list[str]:
    """The files of a release: all but what a hub and its client add, which nothing reads."""
    return [path for path in regular_files(root) if not of_the_hub(path)]


def of_the_hub(path: str) -> bool:
    """Whether a path in a downloaded release is that of a file by which the hub or its client keeps its books."""
    return path == ".gitattributes" or path.startswith(".cache/huggingface/")


def summary(release: Path) -> list[str]:
    """The verdict in a few lines, for the terminal."""
    record = read_json(release / "openness.json")
    names = ("must", "should", "beyond", "to_run", "mof_class", "reproducibility")
    must, should, beyond, to_run, framework, promise = (record["verdict"][name] for name in names)
    free = "yes" if record["verdict"]["all_training_data_included_and_free"] else "NO"
    lines = [
        f"openness   OSAID 1.0: {'complete' if record['verdict']['osaid_1_0'] else 'INCOMPLETE'}",
        f"           must    {must['held']} of {must['items']}, of these {must['stated']} stated by people and "
        f"{must['not_used']} declared not used",
        f"           should  {should['held']} of {should['items']}",
        f"           beyond  {beyond['held']} of {beyond['items']}, and {to_run} that somebody has to run",
        f"           all training data included and free: {free}",
        f"           Model Openness Framework: class {framework['class']}, {framework['name']}",
        f"           reproducibility: {promise['level']}; ran: {', '.join(promise['ran']) or 'nothing'}",
    ]
    lines += [
        f"           absent  {row['id']}: {row['requirement']}"
        for row in record["rows"]
        if row["status"][:6] == "absent"
    ]
    for expression, terms in sorted(record["documents"].items()):
        if terms["standing"] != "OSI-approved":
            lines.append(f"           {expression}: {terms['documents']} documents, {terms['standing']}")
        if terms["share_alike"] != "none":
            lines.append(f"           {expression}: {terms['beside_ours']}")
    for path, unsaid in record["forms"].items():
        lines += [f"           {path}: not answered by the publisher: {', '.join(unsaid)}"] * bool(unsaid)
    return lines
