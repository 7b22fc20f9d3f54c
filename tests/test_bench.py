"""`make bench` measures what is there and says what is not."""

from bench import installed
from conftest import SMALL
from warm import command

SILENT = [*SMALL, "machine.progress=none"]


def test_a_benchmark_names_its_contestants_and_how_they_compare(prepared):
    said = command("bench", "encoding", *SILENT, f"machine.runs={prepared / 'runs'}").splitlines()
    assert said[1] == "encoding: Text to tokens, all contestants to the same ones."
    assert [line.split()[0] for line in said[2:]] == ["pellucid", "tokenizers", "datasets.map"]
    assert said[2].endswith("1.00x   1.00x") and all(" MB/s " in line for line in said[2:])


def test_preparation_and_extraction_stand_beside_reading(prepared):
    said = command("bench", "extract", *SILENT, f"machine.runs={prepared / 'runs'}").splitlines()
    assert said[1].startswith("extract: Files to documents") and said[-1].startswith("reading ")
    assert next(line.split()[0] for line in said[2:] if " MB/s " in line) == "pellucid"


def test_a_missing_peer_is_named():
    assert installed("json") and not installed("json", "no_such_peer")


def test_an_unknown_benchmark_is_one_line():
    assert command("bench", "encodng", status=1) == "error: encodng: no such benchmark; did you mean 'encoding'?\n"
