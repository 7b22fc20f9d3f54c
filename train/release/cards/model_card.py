"""`README.md`, the model card, and the citation. Every number in them comes from a record.

Both are functions of the release's folder and read nothing else, so `verify` writes them anew and compares bytes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.data.text.language_tag import language
from train.release.cards.markdown import command, front_matter, record, rows, settings, shown, yaml
from train.release.cards.prose import harmless, line, prose
from train.release.standards import mof, osaid, reuse


def model_card(release: Path) -> bytes:
    """`README.md`: what the model is, how good, how made, and how to check each of these."""
    config = record(release, "code/config.json")
    about, model, training = config["release"], config["model"], config["training"]
    facts = record(release, "provenance/facts.json")
    tokens = record(release, "data/tokens.json", "/train/tokens")
    held_out = shown(record(release, "data/tokens.json", "/held_out/bytes"))
    languages = sorted({language(tag) for tag in record(release, "data/statistics.json", "/languages")})
    numerics = training["numerics"]
    contract = {
        "exact": "exact: the same weights, bit for bit, on any machine. Every sum is one of integers that fits "
        f"its accumulator, on grids of groups of {numerics.get('group')} tokens",
        "portable": "portable: the same weights, bit for bit, on any machine. Computed in float64, kept in float32 "
        f"on a grid {numerics['grid_bits']} bits below each tensor's root mean square",
        "pinned": "pinned: the same weights, bit for bit, on the recorded stack",
        "fast": "fast: weights that are equal to others made alike within a tolerance",
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
        ("batch", f"{shown(training['batch'])} windows, {shown(training['batch'] * model['context'])} tokens a step"),
        ("optimizer", _optimizer(training["optimizer"])),
        ("learning rate over the steps", _schedule(training["optimizer"])),
        ("weight decay, of matrices", training["optimizer"]["weight_decay"]),
        ("clipping, of the norm of the whole gradient", training["optimizer"]["clip"]),
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
    table = osaid.table(release)
    verdict = osaid.verdict(table)
    must = verdict["must"]
    claims = [f"* {row['requirement']}: {line(row['status'])}" for row in table if row["kind"] != "machine"]
    beyond, reached = verdict["beyond"], mof.mof_class(release)
    free = osaid.data_is_free(release, reuse.terms(release))
    again = osaid.reproducibility(release)
    name = f"{config['name']}-{about['version']}"
    return f"""{front_matter(head)}
# {line(about["title"])} {line(about["version"])}

{prose(about["description"])}

The parameters are freely available to all, for any purpose, under {about["licence"]}: see `LICENSE`. So are the code
in `code/` and both cards. The training text keeps the licences of its sources: see `data/README.md` and `NOTICE`.

## Scores

Of the model and of yardsticks on the same held-out text ({held_out} bytes), none of which was trained on. Intervals
are by bootstrap over documents.

{rows(("score", "value", "interval", "unit", "method"), scores)}

{_minimal_pairs(release)}

## How it was made

{rows(("what", "how"), made)}

Each setting stands in {settings(release)}

The data stand in `data/README.md`, the loss of each step in `logs/`, the state of training along the way in
`checkpoints/`.

## Intended use

{prose(about["intended_use"])}

## Limits

{prose(about["limits"])}

## Samples

These texts were written by the model. They are samples of its style, not statements of fact.

{chr(10).join(samples)}
## How open it is

Open Source AI Definition 1.0: **{"complete" if verdict["osaid_1_0"] else "incomplete"}**. {must["held"]} of
{must["items"]} required items are there, of these {must["stated"]} as statements by people and {must["not_used"]}
declared as not used; of the optional items {verdict["should"]["held"]} of {verdict["should"]["items"]}.
`openness.json` has each item with its evidence.

{
        rows(
            ("verdict", ""),
            [
                ("all training data is included and free", "yes" if free else "no"),
                ("Model Openness Framework", f"class {reached['class']}, {reached['name']}"),
                ("reproducibility that is promised", again["level"]),
                ("run when this was packed, to establish it", "; ".join(again["ran"]) or "nothing"),
                ("items beyond the definition", f"{beyond['held']} of {beyond['items']}"),
                ("of these, for whoever doubts them to run", verdict["to_run"]),
            ],
        )
    }

What no machine can decide, was not used, or costs whoever doubts it a run:

{chr(10).join(claims)}

## How to use it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}")
prompt = tokenizer("The", return_tensors="pt")  # puts the mark <|endoftext|> before it, as before every text it read
print(tokenizer.decode(model.generate(**prompt, max_new_tokens=50, do_sample=True)[0], skip_special_tokens=True))
```

That this release runs there, or in any other program, nobody has recorded. The tests in
`code/tests/release/test_interoperability.py` try transformers, lm-eval, peft, datasets, mlcroissant and llama.cpp on
the release that `RELEASE=` names. llama.cpp reads what `python scripts/export.py RELEASE {
        name
    }.gguf` in `code/` writes.

## How to check it

In your own clone of the code, each of these establishes what stands beside it, and ends with status 0 if it does:

{rows(("rung", "what it establishes", "command"), _rungs(name))}

No rung establishes the rest: {osaid.WORD}.

## How to make it again

In a copy of `code/`, this makes the same release again:

    {command(release)}

`MANIFEST.json` holds its `identity`: the digest over everything here but the logs, which are true of one run only.

## How to cite it

{line(f"{', '.join(about['authors'])}: {about['title']} {about['version']}, {about['date']}")}; see `CITATION.cff`.
Contact: {line(about["contact"])}.
""".encode()


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


def _minimal_pairs(release: Path) -> str:
    """The table of minimal pairs, a row for each set and then for each of its phenomena; or that there are none."""
    sets = record(release, "evaluation/minimal_pairs.json")
    named = [
        (name, score)
        for of, found in sorted(sets.items())
        for name, score in [(f"**{of}**, all", found), *sorted(found["groups"].items())]
    ]
    body = (
        (name.replace("_", " "), score["value"], _interval(score), score["pairs"], score["ties"], score["byte_4gram"])
        for name, score in named
    )
    told = ", ".join(f"`{name}` is {found['purl']}" for name, found in sorted(sets.items()))
    if not sets:
        return "No minimal pairs were used."
    return f"""Minimal pairs: how often the model finds the good one of two sentences, which differ by one change, more
probable. A guess would be right in half of them; a tie counts as wrong; intervals are Wilson's. Of the sets, {told}.

{rows(("pairs", "value", "interval", "pairs", "ties", "byte 4-grams"), body)}"""


def _interval(score: Mapping[str, Any]) -> str:
    return f"{shown(score['low'])} to {shown(score['high'])}" if "low" in score else ""


def _rungs(name: str) -> list[tuple[str, str, str]]:
    return [(rung.name, rung.establishes, f"`{rung.command(name)}`") for rung in osaid.RUNGS]


def _optimizer(config: Mapping[str, Any]) -> str:
    rest = f"AdamW at {config['learning_rate']:g}"
    both = f"Muon at {config['matrix_learning_rate']:g} for hidden matrices, {rest} for all else"
    betas = f"betas {config['beta1']:g} and {config['beta2']:g}, epsilon {config['epsilon']:g}"
    muon = f", momentum {config['momentum']:g}, {config['newton_schulz_steps']} Newton-Schulz steps"
    return f"{both}; {betas}{muon}" if config["name"] == "muon" else f"{rest}; {betas}"


def _schedule(config: Mapping[str, Any]) -> str:
    """How the learning rate rises and falls."""
    last = f"{config['decay_fraction']:.0%} of the steps"
    falls = {
        "cosine": "down to 0 along a cosine",
        "linear": "down to 0 along a line",
        "warmup_stable_decay": f"level, then down to 0 along a line in the last {last}",
    }[config["schedule"]]
    return f"{config['schedule'].replace('_', ' ')}: up in {shown(config['warmup_steps'])} steps, {falls}"


def _quoted(text: str) -> str:
    """An indented block, in which Markdown means nothing."""
    return "".join(f"    {harmless(each)}\n" for each in text.splitlines())
