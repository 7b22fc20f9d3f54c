"""Minimal pairs: known costs, ties that are not hidden, intervals that are known, and files as BLiMP has them."""

import json

import numpy as np
import pytest
import torch
import warm
from little import MODEL as TINY
from little import WORLD, costs, write_tokenizer

from train.artifact import digest, write_json
from train.data.schema import ITEM, Item, write_rows
from train.data.tokenizer import load
from train.evaluation.baselines import count_grams
from train.evaluation.items import Row, choice_bits, score_items, scored_items, wilson
from train.evaluation.minimal_pairs import average, score, summary
from train.model import Transformer

TEXTS = ["the cat sat on the mat.", "a cat", "x", "", "the cats sit over the hills and far away, all of them, always."]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    text = "the cat sat on the mat and the cats sit. " * 9
    return load(write_tokenizer(tmp_path_factory.mktemp("tokenizer"), 262, text))


@pytest.fixture(scope="module")
def model(tokenizer):
    return Transformer(TINY, tokenizer.vocabulary, seed=1).double()


def sentence_bits(model, tokenizer, texts, batch):
    return choice_bits(model, tokenizer, [("", text) for text in texts], batch=batch, world=WORLD)


def naive(model, tokens):
    """Bits of a sentence after the mark, its end left out."""
    return sum(costs(model, [0, *tokens])[0]) / np.log(2)


@pytest.mark.parametrize("batch", [1, 2, 7, 100])
def test_a_sentence_costs_the_same_alone_and_beside_others(model, tokenizer, batch):
    expected = [naive(model, tokens) for tokens in tokenizer.encode(TEXTS)]
    assert len(tokenizer.encode(TEXTS)[4]) > TINY.context > len(tokenizer.encode(TEXTS)[1])
    found = sentence_bits(model, tokenizer, TEXTS, batch=batch)
    assert found == pytest.approx(expected, abs=6e-4)
    assert found == [sentence_bits(model, tokenizer, [text], batch=1)[0] for text in TEXTS]


@pytest.mark.parametrize(("texts", "computed"), [  # a letter is a token; the context is 8
    (["xqzvw", "xqzkk"], 4 + 1 + 1),
    (["xqzvw", "k", "xqzkk", "v"], 4 + 1 + 1 + 2),
    (["xqzvw", "xqz"], 3 + 2 + 2),  # with padding
    (["xqzvw", "xqzvw"], 4 + 1 + 1),
    (["xqzvw", "xqzvw", "xqzvk"], 4 + 1 + 1 + 5),
    (["x", "x"], 1 + 1),
    (["vqzxw", "xqzvw"], 5 + 5),
    (["xqzvwkyjqq", "xqzvwkyjkk"], 7 + 1 + 1 + 2 + 2),  # windows of eight and two
])  # fmt: skip
def test_what_two_sentences_begin_with_is_computed_once(model, tokenizer, texts, computed):
    inputs = []
    seen = model.model.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0].numel()))
    found = sentence_bits(model, tokenizer, texts, batch=1000)
    seen.remove()
    assert found == pytest.approx([naive(model, tokens) for tokens in tokenizer.encode(texts)], abs=6e-4)
    assert sum(inputs) == computed


TAGS = {"a": ("syntax", "order"), "b": ("syntax", "length")}


def items(home, pairs):
    """An artifact `benchmarks` with one set of these (group, choices)."""
    rows = [
        Item("mine", group, *TAGS.get(group, ("", "")), str(number), "", choices, 0)
        for number, (group, *choices) in enumerate(pairs)
    ]
    write_rows(home / "mine.parquet", rows, ITEM)
    (home / "sets.json").write_text(json.dumps([{"name": "mine", "purl": "pkg:generic/mine@3", "licence": "MIT"}]))
    return home


def test_where_all_tokens_cost_the_same_the_shorter_wins_and_equals_tie(tokenizer, tmp_path):
    flat = Transformer(TINY, tokenizer.vocabulary).double()
    torch.nn.init.zeros_(flat.model.embed_tokens.weight)
    benchmarks = items(tmp_path, [("b", "x y", "x y z"), ("b", "x y z", "x y"), ("a", "xyz", "zyx"), ("a", "a text")])
    some = scored_items(benchmarks)
    pairs = score_items(flat, tokenizer, count_grams([b"x y", b"xyz"]), some, batch=3, world=WORLD)
    assert len(pairs) == 3  # a text alone is no pair
    assert pairs[2].bits == [round(3 * np.log2(262), 3)] * 2
    found = summary(some, pairs, benchmarks, 0.95)["mine"]
    assert found["average"]["value"] == 0.25 and found["fields"].keys() == {"syntax"} == {*found["fields"]}
    assert {name: each["value"] for name, each in found["phenomena"].items()} == {"length": 0.5, "order": 0.0}
    assert (found["value"], found["pairs"], found["ties"]) == (round(1 / 3, 6), 3, 1)
    assert {group: (s["value"], s["ties"]) for group, s in found["groups"].items()} == {"a": (0.0, 1), "b": (0.5, 0)}
    assert found["byte_4gram"] == round(2 / 3, 6)  # it knows `xyz`, and that `x y` ends there
    assert (found["purl"], found["licence"]) == ("pkg:generic/mine@3", "MIT")
    assert found["sha256"] == digest([["0", "x y", "x y z"], ["1", "x y z", "x y"], ["2", "xyz", "zyx"]])


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),  # of Newcombe 1998, table I, where he has them
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_literature(right, count, low, high):
    assert wilson(right, count, 0.95) == pytest.approx((low, high), abs=6e-5)


def test_where_all_are_right_the_interval_is_no_point():
    found = score([Row("", "", "", [1.0, 2.0], [2.0, 1.0])] * 20, 0.95)
    assert (found["value"], found["high"], found["byte_4gram"]) == (1.0, 1.0, 0.0) and 0.8 < found["low"] < 0.9
    assert score([Row("", "", "", [1.0, 2.0], [2.0, 1.0])] * 20, 0.99)["low"] < found["low"]


def test_without_pairs_there_is_nothing_to_tell(tmp_path):
    assert score_items(None, Nothing(), count_grams([b"x"]), scored_items(tmp_path), batch=1, world=WORLD) == []
    assert summary([], [], tmp_path, 0.95) == {}


class Nothing:
    def encode(self, texts):
        return []


def test_an_average_counts_groups_alike_and_has_their_intervals():
    groups = [{**score([Row("", "", "", [1.0, 2.0], [1.0, 1.0])] * count, 0.95)} for count in (20, 40)]
    assert {**average(groups[:1]), "value": 1.0}.items() >= {"low": groups[0]["low"], "high": 1.0, "pairs": 20}.items()
    wrong = score([Row("", "", "", [2.0, 1.0], [1.0, 1.0])] * 1000, 0.95)
    found = average([groups[0], wrong])
    assert (found["value"], found["groups"], found["pairs"]) == (0.5, 2, 1020)
    assert found["low"] == pytest.approx(0.5 - (1 - groups[0]["low"]) / 2, abs=1e-6)
    assert found["high"] == pytest.approx(0.5 + wrong["high"] / 2, abs=1e-6)


def test_several_runs_are_shown_with_their_spread(tmp_path, capsys):
    from train.commands.release import show_spread

    for seed, value in enumerate((1.0, 2.0, 4.5)):
        scores = {"byte_4gram": 2.0, "bits_per_byte": value, "next_token_accuracy": 1 - value / 10, "perplexity": value}
        scores = {name: {"value": value} for name, value in scores.items()}
        write_json(tmp_path / str(seed) / "scores.json", scores)
        write_json(tmp_path / str(seed) / "minimal_pairs.json", {"pairs": {"value": 0.5}})
        write_json(tmp_path / str(seed) / "multiple_choice.json", {})
    show_spread([tmp_path / str(seed) for seed in range(3)], print)
    head, bits, _, accuracy, bytes_, pairs = capsys.readouterr().out.strip().splitlines()
    assert head.split() == ["spread", "over", "3", "runs", "mean", "sd", "least", "most"]
    assert bits.split() == ["bits_per_byte", "2.5000", "1.8028", "1.0000", "4.5000"]
    assert accuracy.split() == ["next_token_accuracy", "0.7500", "0.1803", "0.5500", "0.9000"]
    assert bytes_.split() == ["baseline", "byte_4gram", "2.0000", "0.0000", "2.0000", "2.0000"]
    assert pairs.split() == ["minimal", "pairs,", "pairs", "0.5000", "0.0000", "0.5000", "0.5000"]


def test_releases_that_would_replace_each_other_are_refused_before_anything_is_made(tmp_path):
    said = warm.command("release", "--multirun", "recipe=tiny", "training.steps=1,2", cwd=tmp_path, status=1)
    assert said.startswith("error: --multirun: 2 releases would be called tiny-0.1.0")
    assert list(tmp_path.iterdir()) == []
