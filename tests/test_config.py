import itertools
import json
import shlex
import shutil
from dataclasses import astuple, dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args, get_type_hints

import pytest
from annotated_types import Ge, Le, Lt, MaxLen, MinLen
from conftest import ROOT, refusal, source

from train.commands.config import described, meanings
from train.config import Count, build, plain
from train.errors import ConfigError
from train.release.cards.prose import check_date


@dataclass(frozen=True)
class Leaf:
    """A leaf. It falls."""

    size: Count  # in pixels
    rate: Annotated[float, Ge(0), Lt(1)]
    mode: Literal["linear", "cosine"]
    # How far it grows;
    # null: on and on.
    limit: Count | None

    def __post_init__(self) -> None:
        if self.limit is not None and self.size > self.limit:
            raise ValueError(f"size: expected at most limit ({self.limit}), got {self.size}")


@dataclass(frozen=True)
class Pet:
    name: str  # to call it by


@dataclass(frozen=True)
class Cat(Pet):
    """An animal that purrs."""

    kind: Literal["cat"]
    lives: Annotated[int, Ge(0), Le(9)]  # left


@dataclass(frozen=True)
class Dog(Pet):
    """An animal that barks."""

    kind: Literal["dog"]
    tricks: Annotated[tuple[str, ...], MinLen(1), MaxLen(2)]  # learnt


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    pets: tuple[Cat | Dog, ...]  # in it
    where: Path  # it stands
    marks: dict[str, bool]  # by their names


GOOD = {
    "leaf": {"size": 3, "rate": 0, "mode": "linear", "limit": None},
    "pets": [{"name": "Rex", "kind": "dog", "tricks": ["sit"]}, {"name": "Tom", "kind": "cat", "lives": 9}],
    "where": "a/b",
    "marks": {"x": True},
}


def problems(mapping):
    with pytest.raises(ConfigError) as caught:
        build(Tree, mapping)
    return caught.value.problems


def test_builds_nested_frozen_values_and_plain_is_the_inverse():
    tree = build(Tree, GOOD)
    pets = Dog("Rex", "dog", ("sit",)), Cat("Tom", "cat", 9)
    assert tree == Tree(Leaf(3, 0.0, "linear", None), pets, Path("a/b"), {"x": True})
    assert isinstance(tree.leaf.rate, float) and build(Tree, plain(tree)) == tree


def test_reports_every_problem_at_once_with_its_path():
    found = problems(
        {
            "leaf": {"size": "many", "rate": True, "mode": "cosin", "limi": 4},
            "pets": [{"kind": "cow"}, {"name": "Tom", "kind": "cat", "lives": 9.5}],
            "marks": {"x": 1},
        }
    )
    assert found == [
        "leaf: unknown key 'limi'; did you mean 'limit'?", "leaf.size: expected int, got 'many'",
        "leaf.rate: expected float, got True",
        "leaf.mode: expected one of 'linear', 'cosine', got 'cosin'; did you mean 'cosine'?", "leaf.limit: missing",
        "pets[0].kind: expected one of 'cat', 'dog', got 'cow'", "pets[1].lives: expected int, got 9.5",
        "where: missing", "marks.x: expected bool, got 1",
    ]  # fmt: skip


@pytest.mark.parametrize(("part", "change", "line"), [
    ("leaf", {"size": 0}, "leaf.size: expected at least 1, got 0"),
    ("leaf", {"limit": 0}, "leaf.limit: expected null or at least 1, got 0"),
    ("leaf", {"limit": 2}, "leaf.size: expected at most limit (2), got 3"),  # by the invariant of its dataclass
    ("pets", [{"name": "Rex", "kind": [], "tricks": []}], "pets[0].kind: expected one of 'cat', 'dog', got []"),
    ("leaf", {"limit": 2**63}, "leaf.limit: expected null or number below 2^63, got 9223372036854775808"),
    ("leaf", {"limit": "x"}, "leaf.limit: expected null or int, got 'x'"),
    ("leaf", {"rate": 1}, "leaf.rate: expected at least 0 and below 1, got 1.0"),
    *(("leaf", {"rate": value}, "leaf.rate: expected ") for value in (float("nan"), float("inf"), "1e-3", None)),
    ("pets", [{"name": "Tom", "kind": "cat", "lives": 10}], "pets[0].lives: expected 0 to 9, got 10"),
    ("pets", [{"name": "Rex", "kind": "dog", "tricks": []}], "pets[0].tricks: expected a length of at least 1 and"),
    ("pets", [{"name": "Rex", "kind": "dog", "tricks": list("abc")}], "a length of at most 2, got ('a', 'b', 'c')"),
    *((None, value, f"config: expected mapping, got {value!r}") for value in (None, 3, "text", [])),
])  # fmt: skip
def test_the_limits_in_a_type_are_enforced(part, change, line):
    whole = {**GOOD, part: {**GOOD[part], **change} if isinstance(change, dict) else change} if part else change
    [problem] = problems(whole)
    assert line in problem


def test_each_setting_is_described_where_it_is_defined():
    assert [astuple(row) for row in described(build(Tree, GOOD))] == [
        ("leaf.size", "in pixels", "integer, at least 1", 3), ("leaf.rate", "", "number, at least 0 and below 1", 0.0),
        ("leaf.mode", "", "linear | cosine", "linear"),
        ("leaf.limit", "How far it grows; null: on and on.", "integer, at least 1 or null", None),
        ("pets.0.name", "to call it by", "text", "Rex"), ("pets.0.kind", "An animal that barks.", "dog", "dog"),
        ("pets.0.tricks", "learnt", "list of text, a length of at least 1 and a length of at most 2", ["sit"]),
        ("pets.1.name", "to call it by", "text", "Tom"), ("pets.1.kind", "An animal that purrs.", "cat", "cat"),
        ("pets.1.lives", "left", "integer, 0 to 9", 9), ("where", "it stands", "path", "a/b"),
        ("marks", "by their names", "mapping of true or false", {"x": True}),
    ]  # fmt: skip


def dataclasses_in(kind):
    """The dataclasses that a value of a type may hold."""
    if is_dataclass(kind):
        return {kind}.union(*map(dataclasses_in, get_type_hints(kind).values()))
    return set().union(*map(dataclasses_in, get_args(kind)))


def test_every_setting_of_the_configuration_has_its_meaning():
    from train.pipeline import Run

    classes = dataclasses_in(Run)
    leaves = [(cls, name) for cls in classes for name, kind in get_type_hints(cls).items() if not dataclasses_in(kind)]
    assert len(leaves) > 100 and [(cls, name) for cls, name in leaves if not meanings(cls)[name]] == []


GROUPS = {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in ROOT.glob("configs/*/")}


# A file of each group together, until all had their turn, and each recipe alone, as it chooses those of other groups.
PLACES = {"rules@data.selected" if group == "rules" else group: names for group, names in sorted(GROUPS.items())}
TURNS = [[f"{place}={names[turn % len(names)]}" for place, names in PLACES.items() if place != "recipe"]
         for turn in range(max(map(len, PLACES.values())))]  # fmt: skip


@pytest.mark.parametrize("words", [*TURNS, *([f"recipe={name}"] for name in GROUPS["recipe"])], ids=" ".join)
def test_every_file_in_configs_composes_and_builds(words):
    from train.compose import compose
    from train.pipeline import Run

    config = build(Run, compose(words))
    assert config.overrides == tuple(words) and build(Run, plain(config)) == config


def test_every_data_config_has_its_card_which_says_where_sources_are_and_has_no_blanks_but_those_to_be_filled_in():
    from train.data.sources.spec import availability
    from train.release.verify.cards import PLACEHOLDER

    cards = {path.stem: path.read_text() for path in (ROOT / "data_cards").glob("*.md")}
    assert sorted(cards) == GROUPS["data"] and all(map(availability, cards.values()))
    blank = {name for name, text in cards.items() if PLACEHOLDER.search(text)}
    assert "my_text" in blank  # the template; a project's own is filled in when its people are ready
    assert not {"common_pile", "fineweb_edu", "opendocs", "stories", "tinystories"} & blank


def test_multirun_lists_every_combination():
    from train.compose import combinations

    found = combinations(["recipe=tiny", "training.steps=1,2", "training.seed=3,4,5"])
    wanted = itertools.product([1, 2], [3, 4, 5])
    assert found == [["recipe=tiny", f"training.steps={a}", f"training.seed={b}"] for a, b in wanted]


@pytest.fixture
def composing(tmp_path, monkeypatch):
    """`compose` on a copy of the configs, which may be spoilt."""
    from train import compose

    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.setattr(compose, "CONFIGS", tmp_path / "configs")
    return compose


@pytest.mark.parametrize("overrides", [
    "data=[stories,tinystories]", "data=[my_text,opendocs]", "model=[1m,10m]", "recipe=[tiny,gpu]", "recipe=both",
    "recipe=two", "data=two",
])  # fmt: skip
def test_two_of_a_group_by_name_are_refused_for_the_last_alone_would_count(overrides, composing):
    recipe = (composing.CONFIGS / "recipe" / "tiny.yaml").read_text()
    for name, data in (("both", "[stories, shakespeare]"), ("two", "two")):
        (composing.CONFIGS / "recipe" / f"{name}.yaml").write_text(recipe.replace("data: stories", f"data: {data}"))
    (composing.CONFIGS / "data" / "two.yaml").write_text("defaults: [opendocs, my_text, _self_]\nname: two\n")
    refusal(composing.compose, [overrides], match="one name at a time, for the last alone", error=ConfigError)


@pytest.mark.parametrize(("languages", "words", "scored"), [
    (["en"], [], True), (["zh"], [], False), (["ar", "de-AT"], [], False), (["zh", "en-GB"], [], True),
    (["mul"], [], True), (["und"], [], True), (["zh"], ["benchmarks.pairs.count=3"], True),
])  # fmt: skip
def test_english_pairs_are_for_texts_in_english_unless_they_are_asked_for(languages, words, scored, composing):
    file = composing.CONFIGS / "data" / "my_text.yaml"
    sources = [source(licence="LicenseRef-TODO", language=language) for language in languages]
    head = file.read_text().partition("raw:")[0]
    file.write_text(f"{head}raw: {json.dumps({'sources': sources})}\n")
    assert bool(composing.compose(["recipe=my_text", *words])["benchmarks"]["pairs"]) is scored


TEMPLATE = (ROOT / "configs/data/my_text.yaml").read_text().split("\n")
LINE = next(number for number, line in enumerate(TEMPLATE, start=1) if line.startswith("      language:"))
LANGUAGE = TEMPLATE[LINE - 1] + "\n"


@pytest.mark.parametrize(("line", "says"), [
    (b"      language: Ann: x\n", "mapping values are not allowed here; a value with a colon"),
    (b"\tlanguage: en\n", "cannot start any token"),
    (b"      language: [en\n", "expected ',' or ']'"),
    (b"      language: 'en\n", "found unexpected"),
    (b"      kind: files\n", "found duplicate key kind"),
    (b"      language: caf\xe9\n", "is not UTF-8 (byte 0xe9); save the file as UTF-8"),
    (b"      language: \x07\n", "special characters are not allowed; take the character out"),
    (b"      language: 0x_\n", "invalid literal for int() with base 16: ''; a value that is meant as text"),
    (b"      language: " + 5000 * b"9" + b"\n", "a value that is meant as text stands in quotes"),
    (b"      language: !!python/name:os.system x\n", "could not determine a constructor"),
    (b"      language: !!binary abc$\n", "failed to decode base64 data"),
    (b"      language: *x\n", "found undefined alias 'x'"),
    (b"      <<: 3\n", "expected a mapping"),
    (b"      ? [a, b]\n      : x\n", "found unhashable key"),
    (b"---\nlanguage: en\n", "found another document"),
    (b"      language: ${nope}\n", "Interpolation key 'nope' not found"),
    (b"      language: ${oc.decode:'['}\n", "while resolving interpolation"),
    (b"      language: ${nope:1}\n", "Unsupported interpolation type nope"),
    (b"      language: '${'\n", "no viable alternative at input '${'"),
    (b'      language: "\\U00110000"\n', "chr() arg not in range(0x110000)"),
    (b"      language: 0200 # so many\n", "0200 is another number to YAML, by 8 or by 60"),
    (b"      language: 1:30\n", "1:30 is another number to YAML, by 8 or by 60"),
])  # fmt: skip
def test_a_slip_in_a_config_file_is_one_line_with_file_and_line(line, says, composing):
    file = composing.CONFIGS / "data" / "my_text.yaml"
    file.write_bytes(file.read_bytes().replace(LANGUAGE.encode(), line))
    with pytest.raises(ConfigError) as caught:
        composing.compose(["recipe=my_text"])
    [problem] = caught.value.problems
    places = range(LINE - 1, LINE + 4)  # where the parser notices
    assert problem.startswith(tuple(f"configs/data/my_text.yaml, line {place}: " for place in places)), problem
    assert says in problem and "\n" not in problem and len(problem) < 600


def test_what_is_wrong_with_a_file_as_a_whole_names_it_too(composing):
    from train.pipeline import Run

    file = composing.CONFIGS / "data" / "my_text.yaml"
    text = file.read_text()
    for data, says in (
        (text.encode("utf-16"), "data/my_text.yaml, line 1: is not UTF-8"),
        (b"\xef\xbb\xbf" + text.encode(), "configs/data/my_text.yaml: begins with a byte order mark; save the file"),
        (b"# @package a b c\n" + text.encode(), "data/my_text.yaml, line 1: Too many components"),
        (text.replace("- opendocs", "- nothere").encode(), "In 'data/my_text': Could not load 'data/nothere'"),
        (text.replace(LANGUAGE, "      language: " + 1200 * "[" + 1200 * "]" + "\n").encode(), "my_text.yaml, line "),
        (b"? \n: x\n", "Incompatible key type 'NoneType'"),
    ):
        file.write_bytes(data)
        said = refusal(composing.compose, ["recipe=my_text"], error=ConfigError)
        assert says in said
    for data, says in (
        (b"", "data.raw: missing"), (b"# nothing\n", "data.raw: missing"), (b"- a\n", "data: expected mapping, got "),
        (b"hello\n", "data: unknown key 'hello'"), (b"raw: [a]\n", "data.raw: expected mapping, got "),
    ):  # fmt: skip
        file.write_bytes(data)
        refusal(composing.built, Run, composing.compose(["recipe=my_text"]), match=says, error=ConfigError)


@pytest.mark.parametrize(("more", "says"), [
    ("steps: ???", ["steps: '???' stands for no value; write one"]),
    ("x: 3 # ???\ny: [{z: '???'}, '???']", ["y[0].z: '???' stands", "y[1]: '???' stands"]),
    ("x: &a [3]\ny: [*a, *a] # ???", []), ("x: &a [", []),
])  # fmt: skip
def test_no_value_in_a_config_file_is_refused(more, says, composing):
    file = composing.CONFIGS / "recipe/tiny.yaml"
    file.write_text(f"{file.read_text()}\n{more}\n")
    problems = []
    try:
        composing.refuse_other_values()
    except ConfigError as error:
        problems = error.problems
    assert [
        problem[: len("configs/recipe/tiny.yaml: " + text)] for problem, text in zip(problems, says, strict=True)
    ] == [f"configs/recipe/tiny.yaml: {text}" for text in says]


@dataclass(frozen=True)
class Written:
    text: str
    path: Path | None


@pytest.mark.parametrize("text", ["a\0b", "\udcff", "\ud800"])
@pytest.mark.parametrize("name", ["text", "path"])
def test_text_that_no_file_can_hold_is_refused(name, text):
    with pytest.raises(ConfigError, match=f"^{name}: expected (null or )?text without"):
        build(Written, {"text": "\x1b", "path": "x", name: text})


@pytest.mark.parametrize(("override", "says"), [
    ("release.title=C#", """release.title="C#"'"""),
    ("release.title==a=b", """release.title="=a=b"'"""),
    ("release.title=日本語", """release.title="日本語"'"""),
    ("release.title=(a)", """release.title="(a)"'"""),
    ("release.title=[a", """release.title="[a"'"""),
    ("release.title=http://host/?a=b", """release.title="http://host/?a=b"'"""),
    ("release.title=a#\\", """release.title="a#\\\\"'"""),
    ('release.title=a"b', """release.title="a\\"b"'"""),
    ("release.title=Ann's", "release.title=Ann's: a value with such signs stands in quotes"),
    ("training.mixture=[{'a:b':1}]", "a list or mapping with such signs is written in a recipe"),
    ("release.version=1.10", """expected str, got 1.1; put it in quotes: 'release.version="1.10"'"""),
    ("name=1e3", """name: expected str, got 1000.0; put it in quotes: 'name="1e3"'"""),
    ("name=null", """name: expected str, got None"""),
    ("release.title=a\nb", "release.title=a b: expected one line"),
    ("training.steps", "training.steps: expected KEY=VALUE"),
    ("a b=c", "a b=c: expected KEY=VALUE"),
    ("recipe=tinny", "Could not find 'recipe/tinny'"),
    ("training.steps=many", "training.steps: expected int, got 'many'"),
    ("training.steps=", "training.steps: expected int, got ''"),
    ("model.head_width=31", "head_width"), ("machine.threads=0", "machine.threads: "),
    ("machine.threads=100000", "machine.threads: expected null or 1 to 1024"),
    ("+training.extra=1", "training: unknown key 'extra'"), ("+release.level=x", "release: unknown key 'level'"),
    ("hydra.run.dir=x", "hydra.run.dir=x: Hydra's own settings mean nothing here"),
    ("+hydra.x=1", "+hydra.x=1: Hydra's own settings mean nothing here"),
    ("hydra/launcher=basic", "hydra/launcher=basic: Hydra's own settings mean nothing here"),
    ("data.raw.sources.x=1", "data.raw.sources.x=1: invalid literal for int()"),
    ("data.raw.sources.7.count=1", "data.raw.sources.7.count=1"),
    ("recipe=null", "recipe=null: Config group override must be a string"),
    ("data=1", "data=1: Config group override must be a string"),
    ("release.title=${nope}", "release.title=${nope}: Interpolation key 'nope' not found"),
    ("release.title=${oc.env:NO_SUCH}", "release.title: '${oc.env:NO_SUCH}' is another value elsewhere; write the"),
    *((f"release.title=${{{name}}}", f"release.title: '${{{name}}}' is another value elsewhere")
      for name in ("now:%Y", "hydra:runtime.cwd", "python_version:major", "oc.env:HOME,x")),
    ('release.title="a${oc.decode:${ oc.env:HOME}}"', "release.title: 'a${oc.decode:${ oc.env:HOME}}' is another"),
    ("machine.runs=${oc.env:NO_SUCH}", "machine.runs=${oc.env:NO_SUCH}: KeyError raised while resolving"),
    ("release.title=${.title}", "release.title=${.title}: Recursive interpolation detected"),
    ("release.title=${training}", "release.title: expected str, got {"),
    ("release.title=???", "release.title: '???' stands for no value; write one"),
    ("release.authors=[a,???]", "release.authors[1]: '???' stands for no value; write one"),
    ("training.steps=1,2", "training.steps=1,2"),
    ("machine.device=gpu", "machine.device: expected one of 'cpu', 'cuda', got 'gpu'"),
    ("name=../x", "expected letters and digits, also with _ - . between them, got '../x'"),
    ("name=", "expected letters and digits, also with _ - . between them, got ''"),
    ("name=.hidden", "got '.hidden'"),
    ("name=x_", "got 'x_'"),
    ("data.name=../x", "data.name: expected letters and digits"),
    ("training.optimizer.learning_rate=0", "training.optimizer.learning_rate: expected above 0, got 0.0"),
    ("training.optimizer.learning_rate=nan", "training.optimizer.learning_rate: expected finite float, got nan"),
    ("model.kv_heads=3", "model: heads (2) must be a multiple of kv_heads (3)"),
    ("machine.patience=0", "machine.patience: expected at least 1, got 0"),
    ("machine.save_every=0", "machine.save_every: expected null or at least 1, got 0"),
    ("machine.workers=0", "machine.workers: expected null or 1 to 1024, got 0"),
    ("machine.engine=slurm", "machine.engine: expected one of 'processes', 'ray', got 'slurm'"),
    ("training.optimizer.beta2=1", "training.optimizer.beta2: expected at least 0 and below 1, got 1.0"),
    ("training.optimizer.warmup_steps=-1", "training.optimizer.warmup_steps: expected at least 0, got -1"),
    ("training.optimizer.decay_fraction=2", "decay_fraction: expected above 0 and at most 1, got 2.0"),
    ("evaluation.batch=0", "evaluation.batch: "), ("evaluation.resamples=0", "evaluation.resamples: "),
    ("evaluation.confidence=1.0", "evaluation.confidence: "), ("evaluation.seed=-1", "evaluation.seed: "),
    *((f"evaluation.samples.{key}", f"evaluation.samples.{key.partition('=')[0]}: ") for key in
      ("tokens=0", "temperature=-0.1", "top_k=0", "seed=-1")),
    ("tokenizer.vocabulary=256", f"tokenizer.vocabulary: expected 257 to {2**24}, got 256"),
    (f"tokenizer.vocabulary={2**24 + 1}", f"tokenizer.vocabulary: expected 257 to {2**24}, got"),
    (f"tokenizer.sample_bytes={2**31}", "tokenizer.sample_bytes: expected null or 1 to 2147483647"),
    ("benchmarks.pairs.count=0", "benchmarks.pairs.count: expected 1 to 200, got 0"),
    ("+data.documents.formats.rst=restructured", "data.documents.formats.rst: expected one of "),
])  # fmt: skip
def test_an_override_that_does_not_fit_is_named_and_shown_as_it_is_typed(override, says, composing):
    from train.pipeline import Run

    with pytest.raises(ConfigError) as caught:
        composing.built(Run, composing.compose(["recipe=tiny", override]))
    [problem] = caught.value.problems
    assert says in problem and "\n" not in problem and "did you mean 'cpu'" not in problem


def test_a_group_that_is_left_out_is_missing(composing):
    assert "benchmarks" in composing.compose(["~training"])


@pytest.mark.parametrize("value", ["C#", "=a=b", "Ann's", 'say "hi"', "a\\", "1.10", "null", "[x", "${a", "日本語", ""])
def test_what_is_shown_is_read_as_the_value_that_was_meant(value, composing):
    [shown] = shlex.split(composing.typed("release.title", value))
    [parsed] = composing.check([shown])
    assert parsed.value() == value


@pytest.mark.parametrize("text", [
    "", "2026", "2026-11", "2026-13-01", "2026-02-30", "20261123", "2026-W48-1", "23.11.2026", "11/23/2026", "2026-1-2",
    "2026-11-23T00:00", " 2026-11-23", "today", "TODO: the day",
])  # fmt: skip
def test_what_is_no_day_is_refused(text):
    check_date("2024-02-29")  # a day is spelled in full
    refusal(check_date, text, match="date: expected a day such as", error=ValueError)
