import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from train.config import ConfigError, build, plain


@dataclass(frozen=True)
class Leaf:
    size: int
    rate: float
    mode: Literal["linear", "cosine"]
    limit: int | None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size: expected at least 1, got {self.size}")


@dataclass(frozen=True)
class Cat:
    kind: Literal["cat"]
    lives: int


@dataclass(frozen=True)
class Dog:
    kind: Literal["dog"]
    tricks: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    pets: tuple[Cat | Dog, ...]
    where: Path
    marks: dict[str, bool]


GOOD = {
    "leaf": {"size": 3, "rate": 1, "mode": "linear", "limit": None},
    "pets": [{"kind": "dog", "tricks": ["sit"]}, {"kind": "cat", "lives": 9}],
    "where": "a/b",
    "marks": {"x": True},
}


def problems(mapping):
    with pytest.raises(ConfigError) as caught:
        build(Tree, mapping)
    return caught.value.problems


def test_builds_nested_frozen_values_and_plain_is_the_inverse():
    tree = build(Tree, GOOD)
    assert tree == Tree(Leaf(3, 1.0, "linear", None), (Dog("dog", ("sit",)), Cat("cat", 9)), Path("a/b"), {"x": True})
    assert isinstance(tree.leaf.rate, float)
    assert build(Tree, plain(tree)) == tree


def test_reports_every_problem_at_once_with_its_path():
    found = problems(
        {
            "leaf": {"size": "many", "rate": True, "mode": "cosin", "limi": 4},
            "pets": [{"kind": "cow"}, {"kind": "cat", "lives": 9.5}],
            "marks": {"x": 1},
        }
    )
    assert found == [
        "leaf: unknown key 'limi'; did you mean 'limit'?",
        "leaf.size: expected int, got 'many'",
        "leaf.rate: expected float, got True",
        "leaf.mode: expected one of 'linear', 'cosine', got 'cosin'; did you mean 'cosine'?",
        "leaf.limit: missing",
        "pets[0].kind: expected one of 'cat', 'dog', got 'cow'",
        "pets[1].lives: expected int, got 9.5",
        "where: missing",
        "marks.x: expected bool, got 1",
    ]


def test_invariants_are_reported_with_the_path_of_their_dataclass():
    assert problems({**GOOD, "leaf": {**GOOD["leaf"], "size": 0}}) == ["leaf: size: expected at least 1, got 0"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1e-3", None])
def test_a_float_is_a_finite_number(value):
    assert len(problems({**GOOD, "leaf": {**GOOD["leaf"], "rate": value}})) == 1


@pytest.mark.parametrize("value", [None, 3, "text", []])
def test_what_is_no_mapping_is_refused(value):
    assert problems(value) == [f"config: expected mapping, got {value!r}"]


ROOT = Path(__file__).resolve().parents[1]
GROUPS = {
    path.name: sorted(file.stem for file in path.glob("*.yaml"))
    for path in (ROOT / "configs").iterdir()
    if path.is_dir()
}


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, names in sorted(GROUPS.items()) for n in names])
def test_every_file_in_configs_composes_and_builds(group, name):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from run import compose
    finally:
        sys.path.pop(0)
    from train.pipeline import Run

    where = "rules@data.selected" if group == "rules" else group
    config = build(Run, compose([f"{where}={name}"]))
    assert config.overrides == (f"{where}={name}",)
    assert build(Run, plain(config)) == config


def test_every_data_config_has_its_card():
    assert sorted(path.stem for path in (ROOT / "data_cards").glob("*.md")) == GROUPS["data"]


@pytest.mark.parametrize("name", GROUPS["data"])
def test_every_data_card_says_where_its_sources_are_to_be_had(name):
    from train.data.sources import availability

    assert availability((ROOT / "data_cards" / f"{name}.md").read_text())


def test_the_cards_that_come_with_the_code_have_no_blanks_but_the_one_to_be_filled_in():
    from train.release.word_checks import PLACEHOLDER

    blank = [name for name in GROUPS["data"] if PLACEHOLDER.search((ROOT / "data_cards" / f"{name}.md").read_text())]
    assert "my_text" in blank  # the template; a project's own is filled in when its people are ready
    assert not {"common_pile", "fineweb_edu", "opendocs", "stories", "tinystories"} & set(blank)


def test_multirun_lists_every_combination():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from run import combinations
    finally:
        sys.path.pop(0)
    found = combinations(["recipe=tiny", "training.steps=1,2", "training.seed=3,4,5"])
    wanted = itertools.product([1, 2], [3, 4, 5])
    assert found == [["recipe=tiny", f"training.steps={a}", f"training.seed={b}"] for a, b in wanted]
