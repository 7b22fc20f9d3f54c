"""Releases that hold less than everything, made on purpose (`release.level`) to show what the difference is.

Which one a release is stands in its own config, and so do its card, `openness.json` and whatever checks it say. Each
file that it does hold is the same as in the full release, but those that tell what is here.
"""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from train.artifact import read_json
from train.errors import UserError
from train.release.cards.markdown import front_matter, record
from train.release.cards.prose import line, prose

Level = Literal["full", "tooling", "weights"]
WEIGHTS = """
    README.md LICENSE LICENSES/Apache-2.0.txt REUSE.toml openness.json config.json generation_config.json
    model.safetensors tokenizer.json tokenizer_config.json evaluation/logits.json code/config.json code/overrides.json
"""
TOOLING = f"""{WEIGHTS} code/ logs/ evaluation/documents.json evaluation/minimal_pairs.json evaluation/samples.json
    evaluation/scores.json provenance/raw.json provenance/documents.json provenance/benchmarks.json
    provenance/selected.json provenance/tokenizer.json provenance/tokens.json provenance/weights.json
    provenance/evaluation.json
"""
KEPT = {"weights": WEIGHTS.split(), "tooling": TOOLING.split()}  # files, and folders that end in a slash
ON_WEIGHTS = "integrity weights logits parameter_terms licences cards osaid placeholders machine_paths secrets"
ON_TOOLING = f"{ON_WEIGHTS} components settings code_terms environment chain snapshot collected installs"
CHECKS = {"weights": ON_WEIGHTS.split(), "tooling": ON_TOOLING.split()}  # what can be checked without the rest
LARGEST = 2**20  # bytes of a config, some hundred times what one has
HELD = {
    "weights": "weights, tokenizer, settings and a licence; no code, no logs, no scores and no data",
    "tooling": "weights, tokenizer, settings, code, logs and scores; no data and no stages on the way",
}


def level(release: Path) -> Level:
    """How much of itself a release holds, by its own config; "full" where that says nothing that is known."""
    path = release / "code" / "config.json"
    try:
        about = path.lstat()  # nothing is known yet of who made this
        found: Any = "full"
        if stat.S_ISREG(about.st_mode) and about.st_size < LARGEST:
            found = read_json(path)["release"]["level"]
        return found if found in KEPT else "full"
    except (UserError, OSError, KeyError, TypeError, IndexError):
        return "full"


def kept(path: str, level: Level) -> bool:
    """Whether a release of this level holds the file at `path`."""
    if level == "full":
        return True
    return path in KEPT[level] or path.startswith(tuple(name for name in KEPT[level] if name.endswith("/")))


def checked(name: str | None, level: Level) -> bool:
    """Whether a release of this level has what the check with this name looks at."""
    return level == "full" or name in CHECKS[level]


def label(level: Level) -> str:
    """What has to be said of a partial release wherever it is shown; nothing of a full one."""
    if level == "full":
        return ""
    return (
        f"a partial release, made on purpose (release.level={level}): {HELD[level]}. "
        "It is not Open Source AI, and nothing here shows that it can be made again"
    )


def require_full(release: Path) -> None:
    """Refuse, with UserError, a partial release for what takes all of one."""
    if words := label(level(release)):
        raise UserError(f"{release}: {words}; `verify` checks what is there")


def card(release: Path, table: Sequence[Mapping[str, Any]]) -> bytes:
    """`README.md` of a partial release: what is here, what is not, and what that means."""
    config = record(release, "code/config.json")
    about, must = config["release"], [row for row in table if row["class"] == "must"]
    absent = [row for row in must if row["status"].startswith("absent")]
    lacks = "\n".join(f"* {row['requirement']}" for row in absent)
    unused = "".join(f"\n{r['requirement']}: {line(r['status'])}\n" for r in must if r["status"].startswith("not used"))
    head = {
        "license": about["licence"].lower(),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["partial-release"],
    }
    return f"""{front_matter(head)}
# {line(about["title"])} {line(about["version"])}, {about["level"]} only

**This is {label(about["level"])}.**

Of the {len(must)} items that the Open Source AI Definition 1.0 requires, these {len(absent)} are not here:

{lacks}
{unused}
The parameters are freely available to all, for any purpose, under {about["licence"]}: see `LICENSE`. What they learnt
from is not here, neither the texts nor what tells of each its licence and why others were left out: whatever the
settings say of it, nobody can check. `openness.json` has each item.

## Intended use

{prose(about["intended_use"])}

## Limits

{prose(about["limits"])}

## How to check it

`python scripts/verify.py RELEASE`, in your own clone of the code, tests what is here: that each file is as it was
published, and that the weights load and compute what is recorded. That this model came about as somebody says, it
cannot test: that takes the full release, which the same command makes without `release.level`.

Contact: {line(about["contact"])}.
""".encode()
