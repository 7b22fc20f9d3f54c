"""Forgeries made by a walk over a release: of each kind, one for every file, key, column and tensor that it holds.

After each the forger makes anew all that follows from it, and a check must tell of it by name and path. The normal run
takes a sample by a fixed seed; `-m slow` takes all. What nothing can derive is listed in `WORD`, and nowhere else.
"""

import json
import os
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forger
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save

from train.artifact import as_json, parse_json, read_json, write_bytes, write_json
from train.compose import overrides_of
from train.errors import UserError
from train.layout import release_files
from train.release import bundle
from train.release.standards.osaid import RUNGS
from train.release.standards.osaid import WORD as CLAIM
from train.release.verify.checks import CHECKS
from train.release.verify.integrity import integrity
from train.release.verify.result import NotChecked
from train.release.verify.run import Check
from train.release.view import Release
from train.training.checkpoint import read_tensors

SAMPLE = 1  # of each kind, in the normal run
ALIKE = 24  # keys of one form, from which on they are names of things, such as packages
# What the publisher says and nothing in a release can show: path and, after `#`, the key. Each has the rung that
# establishes it, or is nobody's but the publisher's word.
WORD = {
    r"logs/\w+/commitment.json#committed": CLAIM,
    r"logs/\w+/run.json#(began|seconds|commit|uncommitted_changes|python|platform|processors?|packages/.*)": CLAIM,
    r"logs/release/asked.json#.*": CLAIM,
    r"logs/packages.json#components/.*": CLAIM,
    r"logs/weights/stack.json#.*": CLAIM,
    r"logs/evaluation/compressed.json#.*": CLAIM,  # within a hundredth, by which versions of a library may differ
    r"logs/weights/(resources|log).jsonl#(seconds|peak_bytes|energy_joules|mfu)": CLAIM,
    r"logs/weights/log.jsonl#(loss|gradient_norm)": "trained",  # of steps that no checkpoint precedes
    r"checkpoints/.*/optimizer.safetensors#.+": "trained",
    r"code/config.json#(training|data/selected|data/documents)/.*": "made again",  # what changes no product here
    r"code/config.json#(name|release/.*)": "by name and day",  # what people say, and is shown as theirs
}


LISTED = r"run.json#packages/.|packages.json#components/|log.jsonl#mfu$|asked.json#(overrides|places)"


def hints(path: str) -> tuple[str, ...]:
    """The checks that are asked first about a path: those that read it."""
    return next((tuple(names.split()) for start, names in HINTS if re.match(start, path)), ())


HINTS = (
    (r".*-2\.\w+$", "layout"),  # a file added beside another
    ("logs/weights/log", "losses order"),
    (r"logs/\w+/commitment", "witnesses components chain"),
    ("logs/", "witnesses environment"),
    ("provenance/.*yml|data/croissant", "metadata mof"),
    ("provenance/(raw|doc|ben|sel|tok|wei|eva)", "layout chain settings components"),
    ("provenance/chain", "chain"),
    ("forms/", "metadata"),
    ("provenance/", "weights metadata"),
    ("data/(ledger|documents)", "counts split selection"),
    ("code/overrides", "recipe"),
    ("code/config", "settings"),
    ("code/", "snapshot"),
)
# Asked last, in this order.
DEAR = ("selection", "tokens", "tokenizer", "overlap", "components", "collected", "generated", "scores")
# Kinds of which a problem may name a row or a tensor, or what follows from it, and no path.
UNNAMED = ("table", "tensors")
KINDS = (
    "file: another byte, and no more", "file: added", "file: removed", "file: emptied", "file: a line added",
    "JSON: a key twice", "JSON: spelt otherwise", "JSON: a key added", "JSON: a key removed", "JSON: a value altered",
    "lines: one removed", "lines: one twice", "lines: a key added", "lines: a key removed", "lines: a value altered",
    "table: metadata", "table: written otherwise", "table: a column added", "table: a column removed",
    "table: a value altered", "table: a row removed", "table: a row twice", "table: rows exchanged",
    "tensors: metadata", "tensors: one added", "tensors: one removed", "tensors: a value altered",
    "tensors: another type", "tensors: another shape",
)  # fmt: skip
Forgery = tuple[str, str, Callable[[Path], Any]]  # kind, path#place, and what is done to a copy


# The walk -------------------------------------------------------------------------------------------------------------


def forgeries(release: Path) -> Iterator[Forgery]:
    """Every forgery of every kind; where many places have one form, such as rows, one of them is taken."""
    paths = [path for path in release_files(release) if path != "MANIFEST.json"]
    for path in paths:
        yield "file: another byte, and no more", f"{path}#", exchange(path, lambda data: data + b" ")
    for path in ("MANIFEST.json", *paths):
        yield from of_file(path)
        if path.endswith(".json") and (not path.startswith("code/") or path in bundle.RESOLVED):
            yield from of_json(path, read_json(release / path))
        elif path.endswith(".jsonl"):
            yield from of_lines(path, (release / path).read_bytes().splitlines())
        elif path.endswith(".parquet"):
            yield from of_table(path, pq.read_schema(release / path), pq.read_metadata(release / path).num_rows)
        elif path.endswith(".safetensors"):
            yield from of_tensors(path, read_tensors(release / path))


def exchange(path: str, data: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    return lambda root: write_bytes(root / path, data((root / path).read_bytes()))


def of_file(path: str) -> Iterator[Forgery]:
    stem, dot, suffix = path.rpartition(".")
    beside = f"{stem}-2{dot}{suffix}" if dot and "/" not in suffix else f"{path}-2"
    yield "file: added", f"{beside}#", lambda root: write_bytes(root / beside, (root / path).read_bytes())
    if path != "MANIFEST.json":
        yield "file: removed", f"{path}#", lambda root: (root / path).unlink()
        yield "file: emptied", f"{path}#", exchange(path, lambda _: b"")
        yield "file: a line added", f"{path}#", exchange(path, lambda data: data + b"# and more\n")


def of_json(path: str, value: Any) -> Iterator[Forgery]:
    twice = lambda data: re.sub(rb'\n( *"[^"]+": )', rb"\n\g<1>0,\n\g<1>", data, count=1)  # noqa: E731
    spaced = lambda data: json.dumps(parse_json(data), sort_keys=True).encode()  # noqa: E731
    if isinstance(value, dict) and value:
        yield "JSON: a key twice", f"{path}#", exchange(path, twice)
    yield "JSON: spelt otherwise", f"{path}#", exchange(path, spaced)
    for kind, place, made in of_value(value):
        yield f"JSON: {kind}", f"{path}#{place}", exchange(path, lambda _, made=made: as_json(made()))


def of_lines(path: str, lines: list[bytes]) -> Iterator[Forgery]:
    whole = lambda *new: b"".join(line + b"\n" for line in new)  # noqa: E731
    for number in {0, len(lines) // 2, len(lines) - 1} if lines else ():
        before, line, after = lines[:number], lines[number], lines[number + 1 :]
        yield "lines: one removed", f"{path}#", exchange(path, lambda _, b=before, a=after: whole(*b, *a))
        yield "lines: one twice", f"{path}#", exchange(path, lambda _, b=before, x=line, a=after: whole(*b, x, x, *a))
        for kind, place, made in of_value(parse_json(line)):
            again = lambda _, b=before, m=made, a=after: whole(*b, json.dumps(m()).encode(), *a)  # noqa: E731
            yield f"lines: {kind}", f"{path}#{place}", exchange(path, again)


def of_value(value: Any) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Each key or item of plain data altered and removed, and one added to each mapping and list."""
    for place in places(value):
        found, name = at(value, place), "/".join(map(str, place))
        if isinstance(found, dict | list):
            yield "a key added", name, lambda place=place: changed(value, place, more)
        else:
            yield "a value altered", name, lambda place=place: changed(value, place, other)
        if place:
            yield "a key removed", name, lambda place=place: changed(value, place, None)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths in plain data; of the items of a list, and of many keys whose values have the same form, one."""
    yield path
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    alike: dict[Any, list[Any]] = {}
    for key, item in items:
        form = sorted(item) if isinstance(item, dict) else type(item).__name__
        alike.setdefault(str(form), []).append((key, item))
    for those in alike.values():
        few = isinstance(value, dict) and len(those) < ALIKE
        for key, item in those if few else those[len(those) // 2 :][:1]:
            yield from places(item, (*path, key))


def at(value: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


def changed(value: Any, place: tuple[Any, ...], change: Callable[[Any], Any] | None) -> Any:
    """A copy of plain data with what stands at `place` changed, or removed."""
    whole = {"": json.loads(json.dumps(value))}
    holder = at(whole, ("", *place)[:-1])
    if change:
        holder[("", *place)[-1]] = change(holder[("", *place)[-1]])
    else:
        del holder[("", *place)[-1]]
    return whole[""]


def other(value: Any) -> Any:
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 1.1 + 1e-6
    return f"{value[:-1]}{'1' if value.endswith('0') else '0'}"


def more(value: Any) -> Any:
    return {**value, "more": 1} if isinstance(value, dict) else [*value, *(value[-1:] or ["more"])]


def of_table(path: str, schema: pa.Schema, rows: int) -> Iterator[Forgery]:
    def write(change: Callable[[pa.Table], pa.Table], **options: Any) -> Callable[[Path], None]:
        def anew(root: Path) -> None:
            sink = pa.BufferOutputStream()
            settings = {"compression": "zstd", "compression_level": 9, **options}
            pq.write_table(change(pq.read_table(root / path)), sink, **settings)
            write_bytes(root / path, sink.getvalue().to_pybytes())

        return anew

    def value(table: pa.Table, column: str) -> pa.Table:
        cells, field = table[column].to_pylist(), schema.field(column)
        cells[rows // 2] = other(cells[rows // 2])
        return table.set_column(table.column_names.index(column), field, pa.array(cells, field.type))

    yield "table: metadata", f"{path}#", write(lambda t: t.replace_schema_metadata({"chat_template": "obey"}))
    yield "table: written otherwise", f"{path}#", write(lambda t: t, compression="gzip", compression_level=1)
    yield "table: a column added", f"{path}#", write(lambda t: t.append_column("more", pa.array([1] * len(t))))
    for name in schema.names if rows else ():
        yield "table: a column removed", f"{path}#{name}", write(lambda t, name=name: t.drop_columns([name]))
        yield "table: a value altered", f"{path}#{name}", write(lambda t, name=name: value(t, name))
    if rows:
        less = write(lambda t: pa.concat_tables([t[: rows // 2], t[rows // 2 + 1 :]]))
        yield "table: a row removed", f"{path}#", less
        yield "table: a row twice", f"{path}#", write(lambda t: pa.concat_tables([t, t[-1:]]))
    if rows > 1:
        yield "table: rows exchanged", f"{path}#", write(lambda t: pa.concat_tables([t[1:2], t[:1], t[2:]]))


def of_tensors(path: str, tensors: dict[str, torch.Tensor]) -> Iterator[Forgery]:
    def write(change: Callable[[dict[str, torch.Tensor]], Any], **metadata: str) -> Callable[[Path], None]:
        anew = lambda root: save(change(read_tensors(root / path)), {"format": "pt"} | metadata)  # noqa: E731
        return lambda root: write_bytes(root / path, anew(root))

    yield "tensors: metadata", f"{path}#", write(lambda t: t, chat_template="obey")
    yield "tensors: one added", f"{path}#", write(lambda t: {**t, "more": torch.zeros(1)})
    for name, tensor in tensors.items():
        rest = {key: value for key, value in tensors.items() if key != name}
        far = tensor + 0.5 * (torch.arange(tensor.numel()).reshape(tensor.shape) == tensor.numel() // 2)
        yield "tensors: a value altered", f"{path}#{name}", write(lambda t, name=name, far=far: {**t, name: far})
        yield "tensors: one removed", f"{path}#{name}", write(lambda _, rest=rest: rest)
        yield "tensors: another type", f"{path}#{name}", write(lambda t, name=name: {**t, name: t[name].double()})
        flat = write(lambda t, name=name: {**t, name: t[name].reshape(1, -1)})
        yield "tensors: another shape", f"{path}#{name}", flat


# What is done with each -----------------------------------------------------------------------------------------------


def excused(kind: str, place: str) -> bool:
    """Whether nothing in a release can show this: what somebody's word was altered to, or of a list, left out."""
    altered = kind.endswith("value altered") or place.startswith("code/config.json#") or re.search(LISTED, place)
    return bool(altered) and any(re.fullmatch(pattern, place) for pattern in WORD)


def forged(release: Path, copy: Path, forgery: Forgery) -> bool:
    """Make a copy of the release in which one thing is forged and all that follows made anew; False if nothing is."""
    kind, place, alter = forgery
    path = place.partition("#")[0]
    forger.linked(release, copy)
    alter(copy)
    if kind == "file: another byte, and no more" or path == "MANIFEST.json":
        return True
    if path.startswith("code/") and path not in bundle.RESOLVED:  # or its commit would tell
        write_json(copy / "logs/release/commit.json", {"commit": None, "uncommitted_changes": None})
    forger.reseal(copy, [path])
    if same(release / path, copy / path):  # what was altered is a digest, which was made anew
        alter(copy)
        bundle.write_manifest(copy)
    return not same(release / path, copy / path)


def same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def caught(root: Path, path: str) -> tuple[str, str]:
    """The first check that fails, with the problem that names `path` if one does; empty where none fails."""
    first = ("", "")
    with tempfile.TemporaryDirectory() as scratch:
        release = Release(root, Path(scratch), overrides_of=overrides_of)
        cheap, dear = (name for name in BY_NAME if name not in DEAR), () if path.startswith("logs/") else DEAR
        for name in (*hints(path), *cheap, *dear):
            problems = told(BY_NAME[name], release)
            if named := [line for line in problems if path in line]:
                return name, named[0]
            first = first if first[0] or not problems else (f"{name}", problems[0])
            if first[0] and path.endswith((".parquet", ".safetensors")):
                return first
    return first


BY_NAME = {"integrity": lambda release: integrity(release.path), **{check.__name__: check for check in CHECKS}}


def told(check: Check, release: Release) -> list[str]:
    try:
        return list(check(release))
    except NotChecked as error:
        return [str(error)] if check.__name__ == "snapshot" and "this clone" in str(error) else []
    except UserError as error:
        return [str(error)]
    except Exception as error:
        return [f"could not be checked: {type(error).__name__}: {error}"]


@pytest.fixture(scope="module")
def walk(release) -> dict[str, list[Forgery]]:
    """Every forgery by its kind."""
    found: dict[str, list[Forgery]] = {kind: [] for kind in KINDS}
    for forgery in forgeries(release):
        found[forgery[0]].append(forgery)
    return found


@pytest.mark.parametrize("most", [SAMPLE, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_forgery_is_caught_by_name(release, walk, kind, most, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    those = [forgery for forgery in walk[kind] if not excused(*forgery[:2])]
    random.Random(kind).shuffle(those)
    passed, checks = [], Counter[str]()
    for number, forgery in enumerate(those[:most]):
        path = forgery[1].partition("#")[0]
        copy = tmp_path / str(number)
        if forged(release, copy, forgery):
            check, line = caught(copy, path)
            checks[check] += 1
            if not check or (path not in line and not kind.startswith(UNNAMED) and path != "code/config.json"):
                passed.append((*forgery[:2], check, line))
        shutil.rmtree(copy)
    with capsys.disabled():
        told = ", ".join(f"{check} {count}" for check, count in checks.most_common())
        print(f"\n{kind}: {checks.total()} of {len(walk[kind])} forged, {len(walk[kind]) - len(those)} excused: {told}")
    assert passed == []


def test_what_is_excused_is_told_as_somebodys_word_or_has_a_rung_that_shows_it(release, walk):
    assert set(WORD.values()) <= {CLAIM, "by name and day", *(rung.name for rung in RUNGS)}
    places = [place for those in walk.values() for _, place, _ in those]
    assert [pattern for pattern in WORD if not any(re.fullmatch(pattern, place) for place in places)] == []
