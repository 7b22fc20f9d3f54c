"""Plain data is compared leaf by leaf."""

import pytest

from train.differences import NOTHING, differences, first_difference


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, []),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, [("a[1].b", 2, 3)]),
        ({"a": 1}, {"b": 1}, [("a", 1, NOTHING), ("b", NOTHING, 1)]),
        ({"a": None}, {}, [("a", None, NOTHING)]),
        ([1], [1, 2], [("[1]", NOTHING, 2)]),
        ({}, {"a": {"b": 1, "c": {}}}, [("a.b", NOTHING, 1), ("a.c", NOTHING, {})]),
        ({"a": {"b": 1}}, {"a": {}}, [("a.b", 1, NOTHING)]),
        ({"a": [1]}, {"a": {"b": 1}}, [("a", [1], {"b": 1})]),
        ({".ci/a": 1}, {}, [(".ci/a", 1, NOTHING)]),
        (1, 1.0, [("", 1, 1.0)]),
        (True, 1, [("", True, 1)]),
        (0.5, 0.6, [("", 0.5, 0.6)]),
        (float("inf"), 0.6, [("", float("inf"), 0.6)]),
    ],
)
def test_every_leaf_that_differs_is_told_with_both_values(a, b, found):
    assert list(differences(a, b)) == found


def test_the_first_one_is_a_line_and_may_be_within_a_tolerance():
    assert first_difference({"a": 0.5, "b": 1}, {"a": 0.6, "b": 2}, "x") == "x.a: 0.5 is recorded, 0.6 was made"
    assert first_difference({"a": 0.5, "b": 1}, {"a": 0.6}, "x", 0.2) == "x.b: 1 is recorded, nothing was made"
    assert first_difference(float("nan"), float("nan"), tolerance=1.0)
    assert first_difference([1], [1]) is None
