"""Stage 3. The evaluation sets, pinned like sources: what training text is kept clear of, and models are scored on."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import ascii_uppercase
from typing import Annotated, Any

from annotated_types import Ge, Le
from packageurl import PackageURL

from train.artifact import read_json, write_bytes, write_json
from train.config import plain
from train.data.generated.pairs import pairs
from train.data.raw import RawConfig, check_files, fetch
from train.data.schema import ITEM, Item, write_rows
from train.data.sources.spec import SourceRecord, check_licence_text, read_sources
from train.errors import ConfigError, UserError
from train.world import Inputs, World

# The set that this repository writes itself.
OURS = {
    "name": "pairs",
    "purl": "pkg:generic/pellucid-pairs@1",
    "licence": "Apache-2.0",
    "attribution": "Copyright The Pellucid maintainers",
}
OWN_SET = OURS["name"]


@dataclass(frozen=True)
class PairsConfig:
    """Minimal pairs that `pairs.py` writes."""

    seed: int  # of the words that are put in
    count: Annotated[int, Ge(1), Le(200)]  # of each phenomenon, whose template gives no more different ones


@dataclass(frozen=True)
class BenchmarksConfig:
    """Each source of `raw` is a set, called by the name in its Package URL.

    Its files are JSON lines, one item a line, of a shape in `contents`. A group of items is the field `UID` where there
    is one, else the file.
    """

    pairs: PairsConfig | None  # null: without our own
    raw: RawConfig | None  # null: no others

    def __post_init__(self) -> None:
        names = [set_name(source.purl) for source in self.raw.sources] if self.raw else []
        for name in sorted({name for name in names if names.count(name) > 1 or name == OWN_SET}):
            raise ValueError(f"raw: there is more than one set '{name}'; each needs a name of its own")


@dataclass(frozen=True)
class SetRecord:
    """What `sets.json` tells of an evaluation set by others."""

    record: SourceRecord
    licences: dict[str, str]  # path of a licence file -> SHA-256
    items: int
    groups: dict[str, int]  # items of each
    name: str


def read_sets(path: Path) -> list[SetRecord]:
    """The sets by others in a file `sets.json`; UserError where it holds something else."""
    own = ("licences", "items", "groups", "name")
    try:
        others = [each for each in read_json(path) if "licences" in each]
        return [SetRecord(SourceRecord.from_json(each), *(each[name] for name in own)) for each in others]
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: holds no records of sets ({type(error).__name__}: {error})") from None


def gather(config: BenchmarksConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write `<name>.parquet` (schema.ITEM) for each set, `licences/<sha256>.txt`, and `sets.json`, their record.

    Raises UserError when a line of a file is no item, and when a set has none.
    """
    records: list[dict[str, Any]] = []
    if config.pairs:
        rows = own_items(config.pairs)
        records.append({**OURS, **plain(config.pairs), **written(OWN_SET, rows, out)})
    if config.raw:
        fetch(config.raw, Inputs(), out, world)
        for record in read_sources(out / "sources.json"):
            source = record.source
            name, folder = set_name(source.purl), out / source.slug
            licences = {file.path: file.sha256 for file in record.files if file.path in source.licence_files}
            for path, sha256 in licences.items():
                text = (folder / path).read_bytes()
                check_licence_text(source.purl, path, text)
                write_bytes(out / "licences" / f"{sha256}.txt", text)
            paths = [file.path for file in record.files if file.path not in licences]
            items = read_items(name, source.purl, folder, paths)
            records.append({**record.to_json(), "name": name, "licences": licences, **written(name, items, out)})
    write_json(out / "sets.json", records)


def check_sets(config: BenchmarksConfig, world: World) -> None:
    """UserError when the files of a set on this machine are no longer as they are pinned."""
    if config.raw:
        check_files(config.raw, world)


def set_name(purl: str) -> str:
    """The name of the set that a source is."""
    return PackageURL.from_string(purl).name


def written(name: str, items: Iterable[Item], out: Path) -> dict[str, Any]:
    """Write the items of one set; return how many there are, in all and in each group."""
    groups: Counter[str] = Counter()

    def counted() -> Iterator[Item]:
        for item in items:
            groups[item.group] += 1
            yield item

    write_rows(out / f"{name}.parquet", counted(), ITEM)
    if not groups:
        raise UserError(f"benchmarks: the set '{name}' has no items; correct `include`, or leave the source out")
    return {"items": groups.total(), "groups": dict(groups)}


def own_items(config: PairsConfig) -> Iterator[Item]:
    """The items of the set that this repository writes."""
    for number, (group, good, bad) in enumerate(pairs(config.seed, config.count)):
        yield Item(OWN_SET, group, "", "", f"{group}:{number % config.count + 1}", "", [good, bad], 0)


def read_items(name: str, purl: str, folder: Path, paths: Iterable[str]) -> Iterator[Item]:
    """The items in some files of a source, each called by its file and line; blank lines are skipped."""
    for path in paths:
        for number, line in enumerate((folder / path).read_bytes().splitlines(), start=1):
            if line.strip():
                try:
                    yield item(name, f"{path}:{number}", line, PurePosixPath(path).stem)
                except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
                    why = error.args[0] if isinstance(error, BadAnswer) else f"expected a JSON object with {EXPECTED}"
                    raise UserError(
                        f"{purl}: {path}, line {number}: {why}; correct the file, or leave it out by `exclude`"
                    ) from None


class BadAnswer(ValueError):
    """Of a question: choices that are none, or an answer that is not among them."""


def item(name: str, id: str, line: bytes, group: str) -> Item:
    """The item that a line of JSON holds, in its own group or else in `group`; ValueError and the like if none."""
    fields = json.loads(line)
    context, choices, answer = contents(fields)
    group, field, phenomenon = (fields.get(key, least) for key, least in (("UID", group), *TAGS))
    for value in (context, *choices, group, field, phenomenon):
        value.encode()  # raises what is no Unicode text
    return Item(name, group, field, phenomenon, id, context, choices, answer)


# What a line of JSON may hold ----------------------------------------------------------------------------------------

Asked = tuple[str, list[str], int]  # what stands before the choices, the choices, the number of the right one
TAGS = (("field", ""), ("linguistics_term", ""))  # of BLiMP's lines


def question(context: str, choices: Any, answer: Any) -> Asked:
    """A question, of which `answer` is the number of a choice, its text or its letter; BadAnswer if it is none."""
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(each, str) and each for each in choices):
        raise BadAnswer(f"expected two or more choices, each a text that is not empty, found {shortened(choices)}")
    names = {str(number): number for number in range(len(choices))}
    names |= dict(zip(ascii_uppercase, range(len(choices)), strict=False))
    names |= {choice: choices.index(choice) for choice in choices}
    number = answer if type(answer) is int else names.get(answer, -1)
    if not 0 <= number < len(choices):
        raise BadAnswer(f"the answer {shortened(answer)} is none of the {len(choices)} choices, counted from 0")
    return context + " ", choices, number


def shortened(value: Any) -> str:
    """A value as JSON, its end left out where it is long."""
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def without_marks(text: str) -> str:
    """A text of WikiHow without the marks that were left in it, such as `[title]`."""
    text, kept, start = text.strip().replace(" [title]", ". "), "", 0
    while 0 <= (opened := text.find("[", start)) < (closed := text.find("]", opened)):
        kept, start = kept + text[start:opened], closed + 1
    return (kept + text[start:]).replace("  ", " ")


def prompt(text: str) -> str:
    """How people prompt with a question of ARC or PIQA."""
    return "Question: " + text + "\nAnswer:"


def by_label(stem: str, choices: Any, key: Any) -> Asked:
    """A question of ARC, whose choices have labels: rows of `text` and `label`, or a column of each."""
    texts, labels = ([row[name] for row in choices] if isinstance(choices, list) else choices[name] for name in
                     ("text", "label"))  # fmt: skip
    if key not in labels:
        raise BadAnswer(f"the answer {shortened(key)} is none of the labels {shortened(labels)}")
    return question(prompt(stem), texts, labels.index(key))


def contents(fields: Any) -> Asked:
    """What a line of JSON asks, by the keys that people give it; ValueError and the like where it has none of them."""
    match fields:
        case {"sentence_good": good, "sentence_bad": bad}:
            return "", [good, bad], 0
        case {"activity_label": activity, "ctx_a": first, "ctx_b": second, "endings": endings, "label": answer}:
            # HellaSwag, with the activity and both sentences of the context, as people prompt with them.
            context = without_marks(f"{activity}: {first} {second.capitalize()}")
            return question(context, [without_marks(each) for each in endings], answer)
        case {"goal": goal, "sol1": solution, "sol2": alternative, "label": answer}:  # PIQA
            return question(prompt(goal), [solution, alternative], answer)
        case {"question": {"stem": stem, "choices": choices}, "answerKey": key}:
            return by_label(stem, choices, key)
        case {"question": stem, "choices": choices, "answerKey": key}:
            return by_label(stem, choices, key)
        case (
            {"ctx": context, "endings": choices, "label": answer}
            | {"question": context, "choices": choices, "answer": answer}
            | {"context": context, "choices": choices, "answer": answer}
        ):
            return question(context, choices, answer)
        case {"text": text} if not fields.keys() & {"sentence_good", "endings", "sol1", "answerKey", "choices"}:
            return "", [text], 0
    raise ValueError("of no shape")


EXPECTED = (
    "sentence_good and sentence_bad, with question, choices and answer, with what HellaSwag, ARC or PIQA have, or with "
    "text"
)
