"""Stage 3. The evaluation sets, pinned like sources: what training text is kept clear of, and models are scored on."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from annotated_types import Ge, Le
from packageurl import PackageURL

from train.artifact import write_bytes, write_json
from train.config import plain
from train.data.generated.pairs import pairs
from train.data.raw import RawConfig, check_files, fetch
from train.data.schema import ITEM, Item, write_rows
from train.data.sources.spec import check_licence_text, read_sources
from train.errors import UserError
from train.world import World

# The set that this repository writes itself.
OURS = {
    "name": "pairs",
    "purl": "pkg:generic/pellucid-pairs@1",
    "licence": "Apache-2.0",
    "attribution": "Copyright The Pellucid maintainers",
}


@dataclass(frozen=True)
class PairsConfig:
    """Minimal pairs that `pairs.py` writes."""

    seed: int  # of the words that are put in
    count: Annotated[int, Ge(1), Le(200)]  # of each phenomenon, whose template gives no more different ones


@dataclass(frozen=True)
class BenchmarksConfig:
    """Each source of `raw` is a set, called by the name in its Package URL.

    Its files are JSON lines, one item a line: a minimal pair `sentence_good`, `sentence_bad`, as BLiMP has them, or a
    `text`. A group of items is the field `UID` where there is one, else the file.
    """

    pairs: PairsConfig | None  # null: without our own
    raw: RawConfig | None  # null: no others

    def __post_init__(self) -> None:
        names = [set_name(source.purl) for source in self.raw.sources] if self.raw else []
        for name in sorted({name for name in names if names.count(name) > 1 or name == OURS["name"]}):
            raise ValueError(f"raw: there is more than one set '{name}'; each needs a name of its own")


def gather(config: BenchmarksConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `<name>.parquet` (schema.ITEM) for each set, `licences/<sha256>.txt`, and `sets.json`, their record.

    Raises UserError when a line of a file is no item, and when a set has none.
    """
    records: list[dict[str, Any]] = []
    if config.pairs:
        rows = own_items(config.pairs)
        records.append({**OURS, **plain(config.pairs), **written(OURS["name"], rows, out)})
    if config.raw:
        fetch(config.raw, {}, out, world)
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
        yield Item(OURS["name"], group, f"{group}:{number % config.count + 1}", good, bad)


def read_items(name: str, purl: str, folder: Path, paths: Iterable[str]) -> Iterator[Item]:
    """The items in some files of a source, each called by its file and line; blank lines are skipped."""
    for path in paths:
        for number, line in enumerate((folder / path).read_bytes().splitlines(), start=1):
            if line.strip():
                try:
                    yield item(name, f"{path}:{number}", line, PurePosixPath(path).stem)
                except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
                    raise UserError(
                        f"{purl}: {path}, line {number}: expected a JSON object with sentence_good and "
                        "sentence_bad, or with text; correct the file, or leave it out by `exclude`"
                    ) from None


def item(name: str, id: str, line: bytes, group: str) -> Item:
    """The item that a line of JSON holds, in its own group or else in `group`; ValueError and the like if none."""
    fields = json.loads(line)
    pair = "sentence_good" in fields
    text, contrast = (fields["sentence_good"], fields["sentence_bad"]) if pair else (fields["text"], "")
    group = fields.get("UID", group)
    for value in (text, contrast, group):
        value.encode()  # raises what is no Unicode text
    return Item(name, group, id, text, contrast)
