"""Stage 3. The evaluation sets, pinned like sources: what training text is kept clear of, and models are scored on."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from annotated_types import Ge, Le
from packageurl import PackageURL

from train.artifact import read_json, write_bytes, write_json
from train.config import plain
from train.data.generated.pairs import pairs
from train.data.raw import RawConfig, check_files, fetch
from train.data.schema import ITEM, write_rows
from train.data.sources.spec import check_licence_text
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
    """Write `<name>.parquet` (tables.ITEM) for each set, `licences/<sha256>.txt`, and `sets.json`, their record.

    Raises UserError when a line of a file is no item, and when a set has none.
    """
    records: list[dict[str, Any]] = []
    if config.pairs:
        rows = own_items(config.pairs)
        records.append({**OURS, **plain(config.pairs), **written(OURS["name"], rows, out)})
    if config.raw:
        fetch(config.raw, {}, out, world)
        for source in read_json(out / "sources.json"):
            name, folder = set_name(source["purl"]), out / source["slug"]
            licences = {f["path"]: f["sha256"] for f in source["files"] if f["path"] in source["licence_files"]}
            for path, sha256 in licences.items():
                text = (folder / path).read_bytes()
                check_licence_text(source["purl"], path, text)
                write_bytes(out / "licences" / f"{sha256}.txt", text)
            rows = read_items(name, source, folder)
            records.append({**source, "name": name, "licences": licences, **written(name, rows, out)})
    write_json(out / "sets.json", records)


def check_sets(config: BenchmarksConfig, world: World) -> None:
    """UserError when the files of a set on this machine are no longer as they are pinned."""
    if config.raw:
        check_files(config.raw, world)


def set_name(purl: str) -> str:
    """The name of the set that a source is."""
    return PackageURL.from_string(purl).name


def written(name: str, rows: Iterable[dict[str, str]], out: Path) -> dict[str, Any]:
    """Write the items of one set; return how many there are, in all and in each group."""
    groups: Counter[str] = Counter()

    def counted() -> Iterator[dict[str, str]]:
        for row in rows:
            groups[row["group"]] += 1
            yield row

    write_rows(out / f"{name}.parquet", counted(), ITEM)
    if not groups:
        raise UserError(f"benchmarks: the set '{name}' has no items; correct `include`, or leave the source out")
    return {"items": groups.total(), "groups": dict(groups)}


def own_items(config: PairsConfig) -> Iterator[dict[str, str]]:
    """The items of the set that this repository writes."""
    for number, (group, good, bad) in enumerate(pairs(config.seed, config.count)):
        id = f"{group}:{number % config.count + 1}"
        yield {"set": OURS["name"], "group": group, "id": id, "text": good, "contrast": bad}


def read_items(name: str, source: Mapping[str, Any], folder: Path) -> Iterator[dict[str, str]]:
    """The items of a source's files, each called by its file and line; blank lines are skipped."""
    for path in (file["path"] for file in source["files"] if file["path"] not in source["licence_files"]):
        for number, line in enumerate((folder / path).read_bytes().splitlines(), start=1):
            if line.strip():
                try:
                    yield {"set": name, "id": f"{path}:{number}", **item(line, PurePosixPath(path).stem)}
                except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
                    raise UserError(
                        f"{source['purl']}: {path}, line {number}: expected a JSON object with sentence_good and "
                        "sentence_bad, or with text; correct the file, or leave it out by `exclude`"
                    ) from None


def item(line: bytes, group: str) -> dict[str, str]:
    """The item that a line of JSON holds, in its own group or else in `group`; ValueError and the like if none."""
    found = json.loads(line)
    pair = "sentence_good" in found
    text, contrast = (found["sentence_good"], found["sentence_bad"]) if pair else (found["text"], "")
    group = found.get("UID", group)
    for value in (text, contrast, group):
        value.encode()  # raises what is no Unicode text
    return {"group": group, "text": text, "contrast": contrast}
