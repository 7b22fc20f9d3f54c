"""The check of the logs: of what is somebody's word, its form; of what follows from config and log, the values."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

from train.data.tokenizer import load as load_tokenizer
from train.model import Transformer
from train.release import bundle
from train.release.differences import mismatch
from train.release.standards.sbom import bill_of_environment, component
from train.release.verify.layout import witnesses as paths
from train.release.view import Release
from train.training.meters import UNREADABLE, operations

LONGEST = 300  # characters of a text
WORDS: dict[str, Any] = {
    "text": str, "whole": int, "number": float, "truth": bool, "null": type(None), "line": re.compile(".*"),
    "mapping": dict, "numbers": {"*": "number"}, "sha256": re.compile("[0-9a-f]{64}"),
    "commit": re.compile("[0-9a-f]{40,64}"), "moment": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "place": re.compile("folder|mirror"), "algorithm": re.compile("SHA-256"), "expression": {"expression": "text"},
    "name": {"license": {"name": "text"}}, "unreadable": re.compile(re.escape(UNREADABLE)),
}  # fmt: skip
# A form is a word of those above or several of which one fits, [the form of each], {key: form} of exactly these keys,
# where one that ends in "?" may be absent, or {"*": form} of any keys.
FORMS = tomllib.loads(Path(__file__).with_name("forms.toml").read_text(encoding="utf-8"))
FORMS["stack.json"] |= {"earlier": [dict(FORMS["stack.json"])]}
OPERATIONS, STEPS = itemgetter("by_formula", "counted"), itemgetter("from_step", "to_step")
COUNTED = 0.05  # share by which torch's count of operations may differ between its versions


def witnesses(release: Release) -> Iterator[str]:
    """Each log holds what its writer writes and no more; what follows from config, weights and log is derived again."""
    logs = {path: release.json(path) for path in paths(release) if path.rpartition("/")[2] in FORMS}
    checks = (_retrieved, _operations, _packages, _resources)
    wrong = [f"{path}: {line}" for path, log in logs.items() for line in unformed(FORMS[path.rpartition("/")[2]], log)]
    yield from wrong
    for check in checks if not wrong else ():
        yield from check(release, logs)


def _retrieved(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    """Of each source that is fetched there is a record, and of no other."""
    for name, records in (("raw", "data/sources.json"), ("benchmarks", "evaluation/data/sets.json")):
        fetched = {each["slug"] for each in release.json(records) if each.get("kind") in ("pypi", "hub")}
        path = f"logs/{name}/retrieved.json"
        yield from (f"{path}: {slug}: only here, or not here" for slug in sorted(fetched ^ logs.get(path, {}).keys()))


def _operations(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    path = "logs/weights/operations.json"
    model = Transformer(bundle.model_config(release.path), load_tokenizer(release.path).vocabulary)
    (formula, counted), (formula_again, counted_again) = (OPERATIONS(each) for each in (logs[path], operations(model)))
    if formula != formula_again:
        yield f"{path}: by_formula {formula}, the config gives {formula_again}"
    if not math.isclose(counted, counted_again, rel_tol=COUNTED):
        yield f"{path}: counted {counted}, counted again {counted_again}"


def _packages(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    path = "logs/packages.json"
    recorded = logs[path]["components"]
    derived = [component(each["name"], each["version"]) for each in recorded]
    names = [each["bom-ref"] for each in derived]
    if names != sorted(set(names)):
        yield f"{path}: components in another order, or twice"
    if any(len(each.get(key, "1")) != 1 for each in recorded for key in ("licenses", "hashes")):
        yield f"{path}: a component with several licences or digests"
    again = [{**each, **one} for each, one in zip(recorded, derived, strict=True)]
    yield from mismatch(path, logs[path], bill_of_environment(again))


def _resources(release: Release, logs: Mapping[str, Any]) -> Iterator[str]:
    """The steps of the processes lead to the last one, which a process may reach and not save; no line is another's."""
    path, steps = "logs/weights/resources.jsonl", release.config.training.steps
    parts = list(map(STEPS, logs[path]))
    backwards = any(start > end for start, end in parts)
    again = any(one == other for one, other in pairwise(logs[path]))
    if backwards or again or not parts or parts[-1][1] != steps:
        yield f"{path}: steps that do not lead to step {steps}, or twice"


def unformed(form: Any, value: Any, place: str = "") -> Iterator[str]:
    """Where `value` has another form. Numbers are finite and not negative, texts are short and in one line."""
    if isinstance(form, list) and isinstance(value, list):
        for number, each in enumerate(value):
            yield from unformed(form[0], each, f"{place}[{number}]")
    elif isinstance(form, dict) and isinstance(value, dict):
        known = dict.fromkeys(value, form["*"]) if "*" in form else {key.rstrip("?"): form[key] for key in form}
        needed = (key for key in form if not key.endswith(("?", "*")))
        yield from (f"{place}.{key}: nothing writes this".lstrip(".") for key in value if key not in known)
        yield from (f"{place}.{key}: missing".lstrip(".") for key in needed if key not in value)
        for key in value.keys() & known.keys():
            yield from unformed("text", key, place)
            yield from unformed(known[key], value[key], f"{place}.{key}".lstrip("."))
    elif not isinstance(form, str) or not any(_fits(WORDS[word], value) for word in form.split(" or ")):
        yield f"{place}: {str(value)[:80]!r} is not what stands there"


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(kind, dict):
        return not any(unformed(kind, value))
    if isinstance(kind, re.Pattern):
        return isinstance(value, str) and bool(kind.fullmatch(value))
    if isinstance(value, str):
        return kind is str and len(value) <= LONGEST and value.isprintable()
    return type(value) is kind and (not isinstance(value, int | float) or (math.isfinite(value) and value >= 0))
