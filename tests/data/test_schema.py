"""Tables that unpack to more than a file of their size holds of text are refused, and little is unpacked before."""

import re
import subprocess
import sys
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, refusal

from train.artifact import write_json
from train.data import schema
from train.data.schema import DOCUMENT, RANGES, ROWS_AT_A_TIME, Bound, TokenRange, read_records, read_rows
from train.data.sources.pinned import FileSpec
from train.data.sources.spec import read_sources
from train.errors import UserError

ROW = dict.fromkeys(DOCUMENT.names, "a")


def repeated(value: str, times: int) -> pa.Table:
    """A column in which one value stands many times, and once in the file."""
    return pa.table({"text": pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([value]))})


SWOLLEN = {
    "many rows of nothing": lambda: pa.table({"text": pa.nulls(3_000_000, pa.string())}),
    "many equal rows": lambda: repeated("a", 3_000_000),
    "a long value in many rows": lambda: repeated("a" * 1_000_000, 500),
    "a value longer than any file": lambda: pa.table({"text": ["a" * 40_000_000]}),
    "many values alike": lambda: pa.table({"text": [f"{'a' * 9000}{number}" for number in range(3000)]}),
}


@pytest.mark.parametrize(("values", "kind"), [
    (["", "a", "ü\0漢", ""], pa.string()), ([0, -1, 2**63 - 1], pa.int64()),
    ([[], ["a", ""], [], ["漢"]], pa.list_(pa.string())), ([], pa.string()), ([], pa.list_(pa.string())),
])  # fmt: skip
def test_a_column_is_what_arrow_makes_of_its_values(values, kind):
    made = schema.column(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


def test_what_is_written_needs_no_pandas(tmp_path):
    program = f"""
import sys
from train.data.schema import ITEM, Item, write_rows
write_rows(__import__("pathlib").Path({str(tmp_path / "a.parquet")!r}), [Item(*"abcdef", ["g"], 1)], ITEM)
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-B", "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("name", SWOLLEN)
def test_a_table_that_unpacks_without_bound_is_refused(tmp_path, name):
    encoding = {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"} if "alike" in name else {}
    pq.write_table(SWOLLEN[name](), tmp_path / "a.parquet", compression="zstd", compression_level=19, **encoding)
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    with pytest.raises(UserError, match=r"a\.parquet: unpacks to more than \d+ bytes"):
        for row in read_rows([tmp_path / "a.parquet"], ["text"]):
            assert len(row["text"] or "") < 2_000_000
    with pytest.raises(UserError, match="of a stream: unpacks"):
        list(schema.rows_of(BytesIO((tmp_path / "a.parquet").read_bytes()), "of a stream", None))


def test_as_many_rows_are_unpacked_together_as_have_room(tmp_path):
    for size, rows in ((1, ROWS_AT_A_TIME), (4_000_000, 67)):
        path = tmp_path / f"{size}.parquet"
        pq.write_table(pa.table({"text": ["ab" * (size // 2 or 1)]}), path, use_dictionary=False, compression=None)
        assert Bound(path, "").rows_at_a_time(pq.read_metadata(path)) == rows


def test_what_is_written_is_read_however_alike_its_rows_are(tmp_path):
    schema.write_rows(tmp_path / "a.parquet", (ROW for _ in range(20_000)), DOCUMENT)
    assert sum(row == ROW for row in read_rows([tmp_path / "a.parquet"])) == 20_000


@pytest.mark.parametrize(("columns", "says"), [
    ({"start": pa.array(["1"])}, "expected int64 in the column 'start', found string"),
    ({"start": None}, "no column ['start']"),
])  # fmt: skip
def test_records_are_read_with_their_fields_and_types_or_not_at_all(tmp_path, columns, says):
    whole = {field.name: pa.array([1 if field.type == pa.int64() else "a"]) for field in RANGES}
    for name, table in (("good", whole), ("bad", {n: a for n, a in (whole | columns).items() if a is not None})):
        pq.write_table(pa.table(table), tmp_path / name)
    assert list(read_records(TokenRange, [tmp_path / "good"])) == [TokenRange("a", 1, 1, 1, "a", "a", "a")]
    refusal(list, read_records(TokenRange, [tmp_path / "bad"]), match=re.escape(says))


@pytest.mark.parametrize("records", [{}, [1], [{"kind": "files"}], [{"kind": "ftp", "slug": "a", "files": []}],
                                     [{"kind": [], "slug": ""}]])  # fmt: skip
def test_what_is_no_record_of_sources_is_one_line(tmp_path, records):
    write_json(tmp_path / "sources.json", records or {"a": 1})
    refusal(read_sources, tmp_path / "sources.json", match=r"sources\.json: holds no records of sources")


@pytest.mark.parametrize("name", ["../a", "/a", "a\\b", "a\x1b"])
def test_a_file_that_is_fetched_has_a_plain_name(name):
    refusal(FileSpec, "pkg:generic/a@1", name, "0" * 64, 1, match="pkg:generic/a@1: file ")
