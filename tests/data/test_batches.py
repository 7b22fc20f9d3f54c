"""What a step reads: windows of all text in a fixed order, or by a mixture of sources."""

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from conftest import refusal

from train.config import build
from train.data.batches import batch_at, ordered, permuted, prefetch, window_count, windows_at
from train.data.mixture import MixtureStage, borders, pattern
from train.errors import ConfigError

# batches -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 65, 1000])
def test_permutation_is_one(count):
    found = permuted(np.arange(count, dtype=np.uint64), count, seed=7, epoch=2)
    assert sorted(found.tolist()) == list(range(count))


def test_permutation_depends_on_seed_and_epoch():
    index = np.arange(1000, dtype=np.uint64)
    one = permuted(index, 1000, 1, 0)
    assert (one == permuted(index, 1000, 1, 0)).all() and (one != permuted(index, 1000, 2, 0)).mean() > 0.9
    assert (one != permuted(index, 1000, 1, 1)).mean() > 0.9


def test_permutation_is_these_numbers_on_every_platform():
    assert permuted(np.arange(10, dtype=np.uint64), 10, 0, 0).tolist() == [0, 7, 2, 5, 9, 6, 3, 4, 1, 8]


def test_neighbours_are_sent_apart():
    # A linear permutation would send all neighbours the same distance apart.
    found = permuted(np.arange(4096, dtype=np.uint64), 4096, 0, 0).astype(int)
    assert len(set(np.diff(found).tolist())) > 2000


def test_one_element_is_computed_alone():
    whole, one = permuted(np.arange(777, dtype=np.uint64), 777, 3, 4), np.array([[0], [5], [776]], np.uint64)
    assert [int(permuted(each, 777, 3, 4)[0]) for each in one] == whole[[0, 5, 776]].tolist()


def test_every_window_once_an_epoch_across_batch_borders():
    seen = np.concatenate([windows_at(10, 4, seed=5, step=s) for s in range(10)])  # four epochs of ten windows
    assert [sorted(seen[i : i + 10].tolist()) for i in range(0, 40, 10)] == [list(range(10))] * 4


def test_a_batch_larger_than_an_epoch_is_still_pure():
    assert windows_at(3, 8, 0, 1).tolist() == np.concatenate([windows_at(3, 1, 0, s) for s in range(8, 16)]).tolist()


def test_batch_holds_windows_and_their_targets():
    tokens = np.arange(100, dtype=np.uint16)
    batch = batch_at(tokens, context=7, batch=3, seed=0, step=0)
    assert batch.shape == (3, 8) and batch.dtype == np.int64
    assert (np.diff(batch) == 1).all() and (batch[:, 0] % 7 == 0).all()


@pytest.mark.parametrize(("tokens", "context", "windows"), [(0, 4, 0), (4, 4, 0), (5, 4, 1), (8, 4, 1), (9, 4, 2)])
def test_window_count(tokens, context, windows):
    assert window_count(tokens, context) == windows


def test_what_is_made_ahead_comes_in_order_each_once_and_its_errors_too():
    made = []
    found = prefetch(lambda number: made.append(number) or number * 10, range(3, 7))
    assert next(found) == (3, 30) and list(found) == [(4, 40), (5, 50), (6, 60)] and made == [3, 4, 5, 6]
    assert list(prefetch(str, range(0))) == []
    with pytest.raises(ZeroDivisionError):
        list(prefetch(lambda number: 1 // number, range(2)))


# What a mixture reads: held against counting sequence by sequence, over many random ones -----------------------------


CONTEXT = 7


def stages(*parts, shares=None):
    """Stages of equal length, or of these shares, whose parts are given as {name: (weight, source, ...)}."""
    shares = shares or [1 / len(parts)] * len(parts)
    made = [
        {"share": share, "parts": [{"name": n, "weight": w, "sources": [*s]} for n, (w, *s) in each.items()]}
        for share, each in zip(shares, parts, strict=True)
    ]
    return tuple(build(MixtureStage, each) for each in made)


def corpus(draw, sources):
    """Documents of many lengths, sources in no order: spans as the ranges of tokens tell them."""
    spans, end = [], 0
    for _ in range(draw.randint(20, 60)):
        start, end = end, end + draw.randint(1, 40)
        spans.append((draw.choice(sources), start, end))
    spans += [(source, end + 100 * n, end + 100 * (n + 1)) for n, source in enumerate(sources)]
    return spans


def order(mixture, spans, steps=40, batch=4, repeats="many", seed=3):
    return ordered(mixture, repeats, spans, spans[-1][2], steps=steps, batch=batch, context=CONTEXT, seed=seed)


def drawn(draw):
    """A random mixture over random sources, with its corpus."""
    sources = [f"pkg:generic/{letter}@1" for letter in "abcdef"[: draw.randint(1, 6)]]
    parts = []
    for _ in range(draw.randint(1, 3)):
        left, stage = draw.sample(sources, draw.randint(1, len(sources))), {}
        while left:
            cut = draw.randint(1, len(left))
            stage[str(len(stage))] = (draw.choice([1, 2, 3, 0.7, 0.25, 5, 40]), *left[:cut])
            left = left[cut:]
        parts.append(stage)
    shares = {1: [1.0], 2: [0.7, 0.3], 3: [0.7, 0.2, 0.1]}[len(parts)]
    return stages(*parts, shares=shares), corpus(draw, sources)


@pytest.mark.parametrize("seed", range(40))
def test_any_mixture_is_in_proportion_at_every_prefix_and_repeats_nothing_before_it_is_used_up(seed):
    draw = random.Random(seed)
    mixture, spans = drawn(draw)
    steps, batch = draw.randint(20, 120), draw.choice([4, 8])
    found = order(mixture, spans, steps, batch)
    texts, windows, epochs = found.sequences(0, steps * batch)
    ends = borders(mixture, steps)
    assert ends[0] == 0 and ends[-1] == steps
    for stage, (start, end) in zip(mixture, pairwise(ends), strict=True):
        read = texts[start * batch : end * batch]
        for part in stage.parts:
            share = Fraction(str(part.weight)) / sum(Fraction(str(each.weight)) for each in stage.parts)
            members = [n for n, text in enumerate(found.texts) if part.holds(text.sources[0])]
            of_part = np.cumsum(np.isin(read, members))
            if len(members) == 1:  # exact; else a part is its texts', each within one
                assert all(abs(int(n) - k * share) < 1 for k, n in enumerate(of_part, 1))
            held = [found.windows[n] for n in members]
            for member, size in zip(members, held, strict=True):
                rate = share * size / sum(held)
                each = np.cumsum(read == member)
                assert all(abs(int(n) - k * rate) < 1 + k / 10_000 for k, n in enumerate(each, 1))
    for number, count in enumerate(found.windows):
        mine, when = windows[texts == number], epochs[texts == number]
        assert when.tolist() == [n // count for n in range(len(mine))]
        assert all(len(set(part)) == len(part) for part in (mine[when == e].tolist() for e in set(when.tolist())))
    taken = sum(np.array([row["tokens"] for row in found.table() if row["sources"] == [*found.texts[n].sources]]).sum()
                for n in range(len(found.texts)))  # fmt: skip
    assert taken == steps * batch * CONTEXT


@pytest.mark.parametrize("seed", range(10))
def test_a_step_is_a_function_of_its_number_and_each_rank_has_its_share(seed):
    draw = random.Random(seed)
    mixture, spans = drawn(draw)
    found, again = order(mixture, spans, 60, 8), order(mixture, spans, 60, 8)
    whole = [each.reshape(60, 8) for each in found.sequences(0, 480)]
    for step in draw.sample(range(60), 12):  # in no order, by an object that has seen nothing else
        for ranks in (1, 2, 4):
            size = 8 // ranks
            parts = [again.sequences(step * 8 + rank * size, size) for rank in range(ranks)]
            for together, each in zip(whole, zip(*parts, strict=True), strict=True):
                assert np.concatenate(each).tolist() == together[step].tolist()


@pytest.mark.parametrize("seed", range(10))
def test_a_sequence_holds_the_tokens_of_its_sources_end_to_end(seed):
    draw = random.Random(seed)
    mixture, spans = drawn(draw)
    found, tokens = order(mixture, spans), np.arange(spans[-1][2])
    source = np.concatenate([[s] * (end - start) for s, start, end in spans])
    for step in range(0, 40, 7):
        texts, windows, _ = found.sequences(step * 4, 4)
        for text, window, sequence in zip(texts, windows, found.batch_at(tokens, step), strict=True):
            whole = np.flatnonzero(np.isin(source, found.texts[text].sources))
            assert sequence.tolist() == whole[window * CONTEXT : window * CONTEXT + CONTEXT + 1].tolist()


def test_without_a_mixture_the_order_is_that_of_all_text():
    found = order((), [("pkg:generic/a@1", 0, 300)])
    count = window_count(300, CONTEXT)
    texts, windows, epochs = found.sequences(0, 160)
    assert windows.tolist() == np.concatenate([windows_at(count, 4, 3, step) for step in range(40)]).tolist()
    assert not texts.any() and epochs.tolist() == [n // count for n in range(160)] and found.table() == []


def test_a_mixture_of_everything_in_one_part_reads_as_without():
    spans = corpus(random.Random(1), ["pkg:generic/a@1", "pkg:generic/b@1"])
    spans = [(s, a, b) for s, a, b in spans if b <= spans[-3][2]]
    all_of_it = order(stages({"all": (1, "pkg:*")}), spans)
    assert len(all_of_it.texts[0].starts) == 1
    tokens = np.arange(spans[-1][2])
    assert all((all_of_it.batch_at(tokens, s) == order((), spans).batch_at(tokens, s)).all() for s in range(40))


def test_a_source_goes_on_in_the_next_stage_where_it_was():
    spans = [("pkg:generic/a@1", 0, 2000), ("pkg:generic/b@1", 2000, 4000)]
    found = order(stages({"a": (1, "*a@1"), "b": (3, "*b@1")}, {"a": (3, "*a@1"), "b": (1, "*b@1")}), spans, 60)
    texts, windows, _ = found.sequences(0, 240)
    assert len(set(windows[texts == 0])) == (texts == 0).sum() == 120


@pytest.mark.parametrize("turns", [[1], [1, 1], [7, 2, 1], [0, 3, 1], [1] * 9, [97, 1, 1, 1], [500, 300, 7, 3, 1, 1]])
def test_a_pattern_holds_each_text_as_often_as_it_should_and_in_proportion(turns):
    found, total = pattern(turns), sum(turns)
    assert np.bincount(found, minlength=len(turns)).tolist() == turns
    for text, count in enumerate(turns):
        assert all(abs(int(n) * total - k * count) < total for k, n in enumerate(np.cumsum(found == text), 1))


A, B = "pkg:generic/a@1", "pkg:generic/b@1"


@pytest.mark.parametrize(("parts", "steps", "error"), [
    ([{"x": (1, "pkg:none")}], 40, r"mixture\[0\].parts\[0\].sources\[0\]: 'pkg:none' names no source; there"),
    ([{"x": (1, "*")}, {"x": (1, A, "*z*")}], 40, r"mixture\[1\].parts\[0\].sources\[1\]: '\*z\*' names no"),
    ([{"x": (1, A), "y": (1, "*")}], 40, rf"mixture\[0\].parts: 'x' and 'y' both hold {A}"),
    ([{"x": (1, A), "y": (1, "*tiny*")}], 40, r"mixture\[0\].parts\[1\].sources: 'y' has no window of 8 tokens"),
    ([{"x": (1, A), "y": (1, B)}], 80, r"mixture\[0\].parts\[0\].weight: 'x' would be read 5.\d* times over"),
    ([{"x": (1, A), "y": (0, B)}], 40, r"mixture\[0\].parts\[0\].weight: 'x' would be read"),
    ([{"y": (1, B)}, {"x": (1, A)}], 80, r"mixture\[1\].parts\[0\].weight: 'x' would be read 5.* by step 80, more"),
])  # fmt: skip
def test_what_a_corpus_cannot_give_is_refused_by_its_path(parts, steps, error):
    spans = [(A, 0, 212), (B, 212, 800), ("pkg:generic/tiny@1", 800, 807)]
    refusal(order, stages(*parts), spans, steps, repeats=None, match=r"^training\." + error)


def test_more_than_four_times_over_is_read_where_that_is_asked_for():
    spans = [(A, 0, 212), (B, 212, 800)]
    found = order(stages({"x": (1, A), "y": (1, B)}), spans, 80, repeats="many")
    assert found.table()[0]["epochs"] > 4


@pytest.mark.parametrize(("share", "parts", "error"), [
    (1, [], "parts: expected a length of at least 1"), (0, [1], "share: expected above 0 and at most 1"),
    (1.5, [1], "share: expected above 0 and at most 1"), (1, [0, 0], "parts: expected weights that add up to above 0"),
    (1, [1, -1], r"parts\[1\].weight: expected at least 0, got -1"),
    (1, [1, 0.123456], "parts: expected weights that add up to above 0 and, as integers"),
    (1, [1, float("inf")], r"parts\[1\].weight: expected finite float"),
    (1, [1, "much"], r"parts\[1\].weight: expected float"),
])  # fmt: skip
def test_what_no_corpus_could_mend_is_refused_when_the_config_is_built(share, parts, error):
    made = [{"name": str(n), "sources": ["*"], "weight": weight} for n, weight in enumerate(parts)]
    refusal(build, MixtureStage, {"share": share, "parts": made}, match=error, error=ConfigError)
