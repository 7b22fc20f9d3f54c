"""Plain data is compared leaf by leaf."""

import pytest

from train.differences import NOTHING, differences, first_difference
from train.release.differences import bytes_apart


@pytest.mark.parametrize(("a", "b", "found"), [
    ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, []), ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [("a[1].b", 2, 3)]),
    ({"a": 1}, {"b": 1}, [("a", 1, NOTHING), ("b", NOTHING, 1)]), ({"a": None}, {}, [("a", None, NOTHING)]),
    ([1], [1, 2], [("[1]", NOTHING, 2)]), ({}, {"a": {"b": 1, "c": {}}}, [("a.b", NOTHING, 1), ("a.c", NOTHING, {})]),
    ({"a": {"b": 1}}, {"a": {}}, [("a.b", 1, NOTHING)]), ({"a": [1]}, {"a": {"b": 1}}, [("a", [1], {"b": 1})]),
    ({".ci/a": 1}, {}, [(".ci/a", 1, NOTHING)]), (1, 1.0, [("", 1, 1.0)]), (True, 1, [("", True, 1)]),
    (0.5, 0.6, [("", 0.5, 0.6)]), (float("inf"), 0.6, [("", float("inf"), 0.6)]),
])  # fmt: skip
def test_every_leaf_that_differs_is_told_with_both_values(a, b, found):
    assert list(differences(a, b)) == found


def test_the_first_one_is_a_line_and_may_be_within_a_tolerance():
    assert first_difference({"a": 0.5, "b": 1}, {"a": 0.6, "b": 2}, "x") == "x.a: 0.5 is recorded, 0.6 was made"
    assert first_difference({"a": 0.5, "b": 1}, {"a": 0.6}, "x", 0.2) == "x.b: 1 is recorded, nothing was made"
    assert first_difference(float("nan"), float("nan"), tolerance=1.0) and first_difference([1], [1]) is None


LONG = "a" * 100


@pytest.mark.parametrize(("name", "recorded", "made", "says"), [
    ("a.json", '{"a": 1}', '{"a": 2}', "a: 1 is recorded, 2 was made"),
    ("a.json", '{"a": "1"}', '{"a": 1}', "a: '1' is recorded, 1 was made"),
    ("a.json", '{"a":1}', '{"a": 1}', 'line 1: {"a":1} is recorded, {"a": 1} was made'),
    ("a.json", "{", "{}", "line 1: { is recorded, {} was made"),
    ("a.md", "x\ny\n", "x\nz\n", "line 2: y is recorded, z was made"),
    ("a.md", "x", "x\n\n", "the same values, spelt otherwise"),
    ("a.md", f"{LONG}b", f"{LONG}c", f"line 1: ...{'a' * 20}b is recorded, ...{'a' * 20}c was made"),
])  # fmt: skip
def test_of_two_files_the_value_or_line_is_told_that_differs_first(name, recorded, made, says):
    assert bytes_apart(name, recorded.encode(), made.encode()) == says
