"""The texts of a release for people: two cards, the notice, the citation. Every number in them comes from a record.

Each function takes the release's folder and reads nothing else, so `verify` writes the texts anew and compares bytes.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from train.artifact import digest, read_json
from train.config import UserError
from train.data import rules
from train.release import licences, openness

Records = Any  # of a JSON file: whatever stands at a pointer


def record(release: Path, file: str, pointer: str = "") -> Records:
    """What stands in the release's JSON `file` at a JSON pointer (RFC 6901); UserError when nothing does."""
    value = read_json(release / file)
    for step in pointer.split("/")[1:]:
        try:
            step = step.replace("~1", "/").replace("~0", "~")
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UserError(f"{file}: nothing stands at {pointer}") from None
    return value


def shown(value: Any) -> str:
    """A number as a reader wants it: thousands apart, four decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) >= 0.0001 else f"{value:g}"


def rows(head: Iterable[str], body: Iterable[Iterable[Any]]) -> str:
    """A Markdown table."""
    lines = [list(head), ["---" for _ in head], *([shown(cell) for cell in line] for line in body)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def command(release: Path) -> str:
    """What made the release, as it was typed."""
    return " ".join(["python scripts/run.py", *record(release, "code/overrides.json")])


def front_matter(value: Mapping[str, Any]) -> str:
    return f"---\n{yaml(value)}---\n"


def yaml(value: Mapping[str, Any]) -> str:
    """A mapping as YAML, a key a line; the values are JSON, which YAML holds."""
    return "".join(f"{key}: {json.dumps(item, ensure_ascii=False)}\n" for key, item in value.items())


def model_card(release: Path) -> bytes:
    """`README.md`: what the model is, how good, how made, and how to check each of these."""
    config = record(release, "code/config.json")
    about, model, training = config["release"], config["model"], config["training"]
    facts = record(release, "provenance/facts.json")
    tokens = record(release, "data/tokens.json", "/train/tokens")
    held_out = shown(record(release, "data/tokens.json", "/held_out/bytes"))
    languages = sorted(record(release, "data/statistics.json", "/languages"))
    numerics = training["numerics"]
    contract = {
        "portable": "portable: the same weights, bit for bit, on any machine. Computed in float64, kept in float32 "
        f"on a grid {numerics['grid_bits']} bits below each tensor's root mean square",
        "pinned": "pinned: the same weights, bit for bit, on the recorded stack",
    }[numerics["contract"]]
    head = {
        "license": about["licence"].lower(),
        "language": languages,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["open-source-ai", "reproducible"],
    }
    made = [
        ("parameters", facts["parameters"]),
        ("layers, width", f"{model['layers']}, {model['width']}"),
        ("heads, of keys and values", f"{model['heads']}, {model['kv_heads']}"),
        ("context in tokens", model["context"]),
        ("vocabulary", config["tokenizer"]["vocabulary"]),
        ("training text in tokens", tokens),
        ("tokens seen, in steps", f"{shown(facts['tokens_seen'])}, {shown(training['steps'])}"),
        ("passes over the text", facts["passes"]),
        ("floating-point operations (counted, not measured)", f"{facts['flops']:.3g}"),
        ("optimizer", _optimizer(training["optimizer"])),
        ("seed", training["seed"]),
        ("numerics", contract),
    ]
    scores = (
        (name.replace("_", " "), score["value"], _interval(score), score["unit"], score["method"])
        for name, score in sorted(record(release, "evaluation/scores.json").items())
    )
    samples = [
        f"Prompt `{json.dumps(sample['prompt'], ensure_ascii=False)}`:\n\n{_quoted(sample['prompt'] + sample['text'])}"
        for sample in record(release, "evaluation/samples.json")
    ]
    table = openness.table(release)
    verdict = openness.verdict(table)
    must = verdict["must"]
    claims = [f"* {row['requirement']}: {row['status']}" for row in table if row["kind"] != "machine"]
    name = f"{config['name']}-{about['version']}"
    return f"""{front_matter(head)}
# {about["title"]} {about["version"]}

{about["description"]}

The parameters are freely available to all, for any purpose, under {about["licence"]}: see `LICENSE`. So are the code
in `code/` and both cards. The training text keeps the licences of its sources: see `data/README.md` and `NOTICE`.

## Scores

Of the model and of yardsticks on the same held-out text ({held_out} bytes), none of which was trained on. Intervals
are by bootstrap over documents.

{rows(("score", "value", "interval", "unit", "method"), scores)}

## How it was made

{rows(("what", "how"), made)}

Each setting stands in `code/config.json`, the data in `data/README.md`, the loss of each step in `logs/`, the state
of training along the way in `checkpoints/`.

## Intended use

{about["intended_use"]}

## Limits

{about["limits"]}

## Samples

These texts were written by the model. They are samples of its style, not statements of fact.

{chr(10).join(samples)}
## How open it is

Open Source AI Definition 1.0: **{"complete" if verdict["osaid_1_0"] else "incomplete"}**. {must["held"]} of
{must["items"]} required items are there, of these {must["stated"]} as statements by people and {must["not_used"]}
declared as not used; of the optional items {verdict["should"]["held"]} of {verdict["should"]["items"]}.
`openness.json` has each item with its evidence. What no machine can decide, or was not used:

{chr(10).join(claims)}

## How to use it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}")
prompt = tokenizer("The ", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=50)[0]))
```

## How to check it

`python scripts/verify.py RELEASE`, in your own clone of the code, tests every claim of this release.

## How to make it again

In a copy of `code/`, this makes the same release again:

    {command(release)}

`MANIFEST.json` holds its `identity`: the digest over everything here but the logs, which are true of one run only.

## How to cite it

{", ".join(about["authors"])}: {about["title"]} {about["version"]}, {about["date"]}; see `CITATION.cff`.
Contact: {about["contact"]}.
""".encode()


def data_card(release: Path) -> bytes:
    """`data/README.md`: the card that people wrote, then what the records say."""
    config = record(release, "code/config.json")
    data, about = config["data"], config["release"]
    sources = record(release, "data/sources.json")
    counts, statistics = record(release, "data/counts.json"), record(release, "data/statistics.json")
    extracted = record(release, "data/extracted.json")
    try:
        told, human = _parted((release / "code" / "data_cards" / f"{data['name']}.md").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = f"data_cards/{data['name']}.md: cannot be read ({error}); every data set needs a card"
        raise UserError(reason) from None
    title = told.pop("title", data["name"])
    if human.startswith("# "):
        title, _, human = human[2:].partition("\n")
    human = human.strip()
    files = {"documents": ("kept", "documents/*.parquet"), "ledger": ("decisions", "ledger/*.parquet")}
    if not any(entry["documents"] for kind in ("dropped", "redacted") for entry in counts[kind].values()):
        del files["ledger"]  # `datasets` does not open a table without rows
    head = {
        "pretty_name": f"{data['name']}, the training text of {about['title']} {about['version']}",
        "license": [i.lower() for i in licences.identifiers(licences.of_documents(release))],
        "language": sorted(statistics["languages"]),
        "task_categories": ["text-generation"],
        "configs": [
            {"config_name": name, "data_files": [{"split": split, "path": path}], "default": name == "documents"}
            for name, (split, path) in files.items()
        ],
    }
    kept = statistics["sources"]
    none = {"documents": 0, "bytes": 0, "tokens": 0}
    source_columns = ("source", "licence", "licence text, SHA-256", "bytes", "SHA-256", "documents", "tokens", "share")
    source_rows = (
        (
            source["purl"],
            source["licence"],
            extracted[source["purl"]]["licences"][source["licence_files"][0]],
            sum(file["bytes"] for file in source["files"]),
            source.get("sha256") or digest({file["path"]: file["sha256"] for file in source["files"]}),
            kept.get(source["purl"], none)["documents"],
            kept.get(source["purl"], none)["tokens"],
            f"{kept.get(source['purl'], none)['tokens'] / statistics['tokens']:.2%}",
        )
        for source in sources
    )
    settings = data["selected"]
    rule_rows = (
        (name, what, json.dumps(settings.get(name, "")), *_found(counts, name))
        for name, what in rules.described().items()
    )
    lengths = ((unit, *quantiles.values()) for unit, quantiles in statistics["length"].items())
    by = (
        (kind, name, *(part[unit] for unit in none))
        for kind in ("splits", "languages", "licences")
        for name, part in sorted(statistics[kind].items())
    )
    made = (
        (stage, digest({n: e["sha256"] for n, e in record(release, f"provenance/{stage}.json", "/products").items()}))
        for stage in ("raw", "documents", "selected", "tokenizer", "tokens")
    )
    redacted = counts["redacted"].values()
    training = config["training"]
    return f"""{front_matter(head)}
# {title}

{rows(told, [told.values()]) if told else ""}

{human}

# Records

What follows was written by the pipeline from its records. This card is under {about["licence"]}.
`datasets.load_dataset` opens this folder: `documents` has each text that was kept, its column `split` tells what was
trained on; `ledger` has each decision to drop or change a text.

## Sources

{rows(source_columns, source_rows)}

Every source is open: its texts stand in `documents/`, its licence text in `licences/`. Nothing is left out as
unshareable, and nothing has to be bought or asked for. When each was retrieved stands in `../logs/raw/`.

## Selection

{rows(("rule", "what it finds", "setting", "documents dropped", "documents changed", "finds replaced"), rule_rows)}

Documents: {shown(counts["raw"]["documents"])} extracted = {shown(counts["kept"]["documents"])} kept + {
        shown(counts["raw"]["documents"] - counts["kept"]["documents"])
    } dropped. Bytes: {shown(counts["raw"]["bytes"])} extracted = {shown(counts["kept"]["bytes"])} kept + {
        shown(sum(entry["bytes"] for entry in counts["dropped"].values()))
    } dropped + {shown(sum(entry["bytes"] for entry in redacted))} taken by redaction.

## Splits and order

A text is held out when a hash of its own hash falls below the share {settings["held_out"]}; equal texts meet in one
split. `batch_at` in `code/train/data/batches.py` tells which tokens a step reads, from the seed {training["seed"]},
the step, {training["batch"]} windows a step and {config["model"]["context"]} tokens a window.

## Statistics

Languages are those that the sources declare. Tokens count the mark at the end of each document.

{rows(("by", "", *none), by)}

{rows(("length of a document in", *next(iter(statistics["length"].values()))), lengths)}

## How to make it again

In a copy of the code:

    {command(release)} until=tokens

That leads to these digests, over the products of each stage:

{rows(("stage", "SHA-256"), made)}
""".encode()


def notice(release: Path) -> bytes:
    """`NOTICE`: whose texts the release holds, and under which terms."""
    about = record(release, "code/config.json", "/release")
    lines = [f"{about['title']} {about['version']}", f"Copyright {', '.join(about['authors'])}", ""]
    lines += [f"Code, weights and cards: {about['licence']}, see LICENSE. The texts that follow are by others:"]
    for source, files in licences.evidence(release):
        lines += ["", source["purl"], f"    {source['attribution']}", f"    licence: {source['licence']}"]
        lines += [f"    standing: {licences.standing(source['licence'])}"]
        lines += [f"    {path}: {place}" for path, place in files.items()]
    return "\n".join([*lines, ""]).encode()


def citation(release: Path) -> bytes:
    """`CITATION.cff`, version 1.2.0."""
    about = record(release, "code/config.json", "/release")
    entry = {
        "cff-version": "1.2.0",
        "message": "If you use this model or its data, please cite it.",
        "type": "dataset",
        "title": about["title"],
        "version": about["version"],
        "date-released": about["date"],
        "license": about["licence"],
        "authors": [{"name": name} for name in about["authors"]],
        "abstract": about["description"].strip(),
    }
    return yaml(entry).encode()


def _interval(score: Mapping[str, Any]) -> str:
    return f"{shown(score['low'])} to {shown(score['high'])}" if "low" in score else ""


def _optimizer(config: Mapping[str, Any]) -> str:
    rest = f"AdamW at {config['learning_rate']:g}"
    both = f"Muon at {config['matrix_learning_rate']:g} for hidden matrices, {rest} for all else"
    return f"{both if config['name'] == 'muon' else rest}; {config['schedule'].replace('_', ' ')} schedule"


def _parted(card: str) -> tuple[dict[str, str], str]:
    """The front matter of a card that people wrote, as plain `key: value` lines, and its text."""
    if not card.startswith("---\n"):
        return {}, card.strip()
    head, _, text = card[4:].partition("\n---\n")
    lines = (line.partition(":") for line in head.split("\n"))
    return {key.strip(): value.strip() for key, colon, value in lines if colon}, text.strip()


def _quoted(text: str) -> str:
    """An indented block, in which Markdown means nothing."""
    return "".join(f"    {line}\n" for line in text.split("\n"))


def _found(counts: Mapping[str, Any], rule: str) -> tuple[Any, Any, Any]:
    redacted = counts["redacted"].get(rule, {})
    dropped = counts["dropped"].get(rule, {}).get("documents", 0)
    return dropped, redacted.get("documents", 0), redacted.get("occurrences", 0)
