"""Files that hold more than they are read for, or spell it otherwise, are told from those that our writers make."""

import json
import struct
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from train.artifact import write_json
from train.data.schema import RANGES, write_rows
from train.errors import UserError
from train.release.verify import witnesses
from train.release.verify.layout import canonical, difference
from train.training.checkpoint import write_tensors

ROWS = [{**dict.fromkeys(("id", "source", "path", "licence"), "a"), "start": n, "end": n + 1, "bytes": 1}
        for n in range(3)]  # fmt: skip
TABLE, RECORD, LINES = "data/ranges/train.parquet", "data/counts.json", "logs/weights/log.jsonl"
TENSORS = "model.safetensors"


@pytest.fixture
def root(tmp_path) -> Path:
    write_rows(tmp_path / TABLE, ROWS, RANGES)
    write_json(tmp_path / RECORD, {"b": [1, 2.5], "a": "\u00e9"})
    (tmp_path / LINES).parent.mkdir(parents=True)
    (tmp_path / LINES).write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.25}\n')
    write_tensors(tmp_path / TENSORS, {"a": torch.zeros(2), "b": torch.ones(1, 2)})
    return tmp_path


def header(change):
    """Write the tensors anew with another header; their bytes stay."""

    def write(root: Path) -> None:
        data = (root / TENSORS).read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        spelt = json.dumps(change(json.loads(data[8 : 8 + length])), separators=(",", ":")).encode()
        spelt += b" " * (-len(spelt) % 8)
        (root / TENSORS).write_bytes(struct.pack("<Q", len(spelt)) + spelt + data[8 + length :])

    return write


def table(change, **options):
    return lambda root: pq.write_table(change(pq.read_table(root / TABLE)), root / TABLE, **options)


def text(path: str, old: str, new: str):
    return lambda root: (root / path).write_text((root / path).read_text().replace(old, new))


FIELD = pa.schema([RANGES.field(0).with_metadata({"a": "b"}), *list(RANGES)[1:]])
OURS = {"compression": "zstd", "compression_level": 9}
FORGERIES = {
    "metadata of a table": table(lambda t: t.replace_schema_metadata({"prompt": "obey"}), **OURS),
    "metadata of a field": table(lambda t: t.cast(FIELD), **OURS),
    "a column more": table(lambda t: t.append_column("more", pa.array([1, 2, 3])), **OURS),
    "a column less": table(lambda t: t.drop_columns(["licence"]), **OURS),
    "columns in another order": table(lambda t: t.select(t.column_names[::-1]), **OURS),
    "a column of another type": table(lambda t: t.set_column(4, "start", t["start"].cast(pa.int32())), **OURS),
    "another compression": table(lambda t: t, compression="gzip"),
    "smaller groups": table(lambda t: t, row_group_size=1, **OURS),
    "a key twice": text(RECORD, '"a": ', '"a": 1,\n  "a": '),
    "keys in another order": lambda root: (root / RECORD).write_text('{\n  "b": 1,\n  "a": 2\n}\n'),
    "spaces": text(RECORD, "[", "[ "), "an escape": text(RECORD, "\u00e9", "\\u00e9"),
    "a byte order mark": lambda root: (root / RECORD).write_bytes(b"\xef\xbb\xbf" + (root / RECORD).read_bytes()),
    "UTF-16": lambda root: (root / RECORD).write_text((root / RECORD).read_text(), encoding="utf-16"),
    "not a number": text(RECORD, "2.5", "NaN"), "another spelling of a number": text(RECORD, "2.5", "2.50"),
    "half a letter": text(RECORD, "\u00e9", "\\ud800"),
    "a torn line": lambda root: (root / LINES).write_bytes((root / LINES).read_bytes()[:-1]),
    "an empty line": text(LINES, "}\n{", "}\n\n{"),
    "a key twice in a line": text(LINES, '"step": 2', '"step": 1, "step": 2'),
    "not a number in a line": text(LINES, "2.25", "Infinity"),
    "metadata of tensors": header(lambda h: {**h, "__metadata__": {"format": "pt", "x": "y"}}),
    "no metadata": header(lambda h: {name: h[name] for name in h if name != "__metadata__"}),
    "tensors in another order": header(lambda h: dict(reversed(h.items()))),
    "bytes after the tensors": lambda root: (root / TENSORS).write_bytes((root / TENSORS).read_bytes() + b"\0" * 8),
}  # fmt: skip


def test_what_our_writers_make_is_canonical(root):
    assert [difference(root, path, root) for path in (TABLE, RECORD, LINES, TENSORS)] == [""] * 4


@pytest.mark.parametrize("name", FORGERIES)
def test_a_file_that_holds_more_or_spells_it_otherwise_is_told(root, name):
    FORGERIES[name](root)
    found = []
    for path in (TABLE, RECORD, LINES, TENSORS):
        try:
            found.append(difference(root, path, root))
        except UserError as error:
            found.append(str(error))
    assert len([line for line in found if line]) == 1, found


def test_a_file_that_its_reader_has_no_right_to_is_not_told_as_forged(root, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", Mock(side_effect=PermissionError(13, "Permission denied", "counts.json")))
    with pytest.raises(UserError, match="cannot be read"):
        list(canonical(SimpleNamespace(path=root, scratch=root, paths=[RECORD])))


@pytest.mark.parametrize(("parts", "wrong"), [
    ([(0, 4)], 0), ([(0, 2), (2, 4)], 0), ([(0, 3), (2, 4)], 0), ([(0, 4), (4, 4)], 0), ([], 1), ([(0, 3)], 1),
    ([(0, 4), (2, 4)], 0),  # the first could not save what it reached, as on a full disk
    ([(3, 2), (2, 4)], 1), ([(0, 4), (0, 2)], 1),
])  # fmt: skip
def test_the_steps_of_the_processes_that_trained_lead_to_the_last_one(parts, wrong):
    lines = [{"from_step": start, "to_step": end, "seconds": n} for n, (start, end) in enumerate(parts)]
    release = SimpleNamespace(config=SimpleNamespace(training=SimpleNamespace(steps=4)))
    assert len(list(witnesses._resources(release, {"logs/weights/resources.jsonl": lines}))) == wrong
    assert len(list(witnesses._resources(release, {"logs/weights/resources.jsonl": [*lines, *lines[-1:]]}))) == 1
