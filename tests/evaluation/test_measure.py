"""Scores, baselines and overlap: known logits to known bits, each token predicted once."""

import copy
import dataclasses
import lzma
import math

import numpy as np
import pytest
import torch
from conftest import MACHINE, WORLD, refusal
from little import MODEL as TINY
from little import costs

from train.artifact import read_json
from train.data.benchmarks import BenchmarksConfig, PairsConfig, gather
from train.data.schema import ITEM, RANGES, SELECTED, Item, TokenRange, read_rows, write_rows
from train.data.tokenizer import TokenizerConfig, learn, load
from train.data.tokens import encode, read_tokens
from train.evaluation import baselines
from train.evaluation import measure as scoring
from train.evaluation.baselines import compressed_size, count_grams, grams_of
from train.evaluation.measure import DocumentScore, EvaluationConfig, MeasureConfig, measure
from train.evaluation.overlap import TOKENS, overlap
from train.evaluation.prediction import batches, predict
from train.inference.generate import SamplesConfig
from train.kernels import Fine
from train.model import Transformer, weights_of
from train.training.checkpoint import WEIGHTS, write_tensors
from train.world import Inputs, World

# Scores: known logits to known bits, each token predicted once, the same bytes whatever the threads ------------------


SAMPLES = SamplesConfig(("the cat", ""), 10, 0.8, 20, 1)
SETTINGS = EvaluationConfig(3, 200, 0.9, 5, SAMPLES)
VOCABULARY = 270


def world(threads=1):
    return World(0, 1, dataclasses.replace(MACHINE, threads=threads))


def ranges(lengths):
    ends = np.cumsum(lengths)
    return [TokenRange(str(n), int(end - length), int(end), 3 * length, "", "", "")
            for n, (length, end) in enumerate(zip(lengths, ends, strict=True))]  # fmt: skip


def spans(ranges):
    return [(each.start, each.end) for each in ranges]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Every input of the stage, of sentences that this file makes up."""
    home = tmp_path_factory.mktemp("artifacts")
    generator = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "été", "come", "over", "hills"]
    rows = []
    for n in range(40):
        text = " ".join(generator.choice(words, 5 + n)) + "."
        row = {"id": f"{n:02d}", "text": text, "split": "train" if n % 4 else "held_out"}
        rows.append(dict.fromkeys(SELECTED.names, "") | row)
    inputs = Inputs(**{name: home / name for name in ("benchmarks", "selected", "tokenizer", "tokens", "weights")})
    write_rows(inputs.selected / "documents" / "part-0000.parquet", rows, SELECTED)
    learn(TokenizerConfig(VOCABULARY, None), inputs, inputs.tokenizer, world())
    encode(None, inputs, inputs.tokens, world())
    write_tensors(inputs.weights / WEIGHTS, weights_of(Transformer(TINY, VOCABULARY, seed=1)))
    gather(BenchmarksConfig(PairsConfig(1, 3), None), {}, inputs.benchmarks, world())
    return inputs


def with_other(artifacts, **other):
    return Inputs(**vars(artifacts) | other)


@pytest.fixture(scope="module")
def measured(artifacts, tmp_path_factory):
    """What the stage writes on one thread."""
    measure(MeasureConfig(TINY, SETTINGS), artifacts, out := tmp_path_factory.mktemp("measured"), world())
    return out


@pytest.fixture
def threads():
    """Leave the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    return Transformer(TINY, 31, seed=1).double()


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_each_token_is_predicted_once_as_a_naive_loop_does(model, batch):
    lengths = [1, 8, 9, 3, 25, 16, 7]  # the context is 8
    tokens = np.random.default_rng(0).integers(1, 31, sum(lengths)).astype(np.uint16)
    rows = ranges(lengths)
    tokens[[end - 1 for _, end in spans(rows)]] = 0
    fine = copy.deepcopy(model)
    fine.compute_by(Fine())
    nats, correct = predict(fine, tokens, spans(rows), end_of_text=0, batch=batch, world=world())
    expected = [costs(model, [0, *tokens[start:end].tolist()]) for start, end in spans(rows)]
    assert nats == pytest.approx(np.concatenate([e[0] for e in expected]), abs=1e-4)
    assert correct.tolist() == [c for e in expected for c in e[1]]


def test_batches_hold_as_many_tokens_as_asked_for_and_every_window_once():
    lengths = np.random.default_rng(3).integers(1, 9, 300)
    windows = np.cumsum(lengths)[:, None] + np.stack([-lengths, 0 * lengths], 1)
    found = batches(np.random.default_rng(4).integers(0, 3, lengths.sum()), windows, 40)
    assert sorted(member for _, members in found for member in members) == list(range(300))
    assert all(len(members) * lengths[members].max() <= 40 for _, members in found)
    assert sum(lengths[members].max() * len(members) for _, members in found) < 1.2 * lengths.sum()
    assert sum(shared > 0 for shared, _ in found) > 5


def test_known_logits_give_known_bits():
    model = Transformer(TINY, 32).double()
    torch.nn.init.zeros_(model.model.embed_tokens.weight)  # all logits are 0: 32 tokens, 5 bits each
    tokens, rows = np.array([7, 9, 0, 4, 0], np.uint16), ranges([3, 2])
    documents = scoring.score_documents(model, tokens, rows, end_of_text=0, batch=4, world=world())
    # Where all are equally likely none has a higher logit, so each counts as right.
    assert documents == [DocumentScore("0", 3, 9, 15.0, 3), DocumentScore("1", 2, 6, 10.0, 2)]
    scores = scoring.model_scores(documents, TINY.context, SETTINGS)
    assert scores["bits_per_byte"]["value"] == round(25 / 15, 6) and scores["perplexity"]["value"] == 32.0
    assert scores["next_token_accuracy"]["value"] == 1.0
    assert {scores["perplexity"][name] for name in ("tokens", "bytes", "documents")} == {5, 15, 2}


def test_a_context_is_never_more_than_the_window(model):
    rows = ranges([20])
    tokens = np.arange(1, 21, dtype=np.uint16)
    before, _ = predict(model, tokens, spans(rows), end_of_text=0, batch=4, world=world())
    tokens[0] = 30  # an input of the first window alone
    after, _ = predict(model, tokens, spans(rows), end_of_text=0, batch=4, world=world())
    assert not np.allclose(before[:8], after[:8]) and before[8:] == pytest.approx(after[8:], abs=1e-12)


def test_intervals_are_the_same_each_time_and_hold_the_value():
    generator = np.random.default_rng(0)
    bits, size = generator.integers(1000, 9000, 50), generator.integers(500, 3000, 50)
    found = scoring.interval(bits, size, SETTINGS, lambda ratio: ratio)
    assert (
        found == scoring.interval(bits, size, SETTINGS, lambda ratio: ratio)
        and found["value"] == bits.sum() / size.sum()
    )
    assert found["low"] < found["value"] < found["high"]
    wider = scoring.interval(bits, size, EvaluationConfig(3, 200, 0.99, 5, SAMPLES), lambda ratio: ratio)
    assert wider["low"] < found["low"] and wider["high"] > found["high"]


def test_the_interval_of_equal_documents_is_a_point_and_some_bytes_do_not_change_a_compressor_score():
    found = scoring.interval(np.full(9, 30), np.full(9, 20), SETTINGS, lambda ratio: ratio)
    assert found == {"value": 1.5, "low": 1.5, "high": 1.5, "confidence": 0.9}
    documents = [DocumentScore("0", 1, 100_000, 0.0, 0)]
    one, other, more = (scoring.compressor_score(size, documents) for size in (25_010, 25_020, 25_500))
    assert one == other != more and one["value"] == 2.0


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        bits = np.round(1000 * generator.normal(2, 0.5, 40)).astype(np.int64)
        found = scoring.interval(bits, np.full(40, 1000), SETTINGS, lambda ratio: ratio)
        held += found["low"] <= 2 <= found["high"]
    assert 80 <= held <= 97  # 90 expected


def test_the_stage_writes_what_follows_from_its_records(artifacts, measured, threads):
    scores, documents, samples = (read_json(measured / f"{n}.json") for n in ("scores", "documents", "samples"))
    assert list(scores) == ["bits_per_byte", "byte_4gram", "next_token_accuracy", "perplexity", "xz_whole_text"]
    texts = [r["text"] for r in read_rows([artifacts.selected / "documents" / "part-0000.parquet"])][::4]
    size, tokens = sum(len(t.encode()) for t in texts), len(read_tokens(artifacts.tokens, "held_out"))
    assert {(s["bytes"], s["tokens"], s["documents"]) for s in scores.values()} == {(size, tokens, 10)}
    bits = sum(document["bits"] for document in documents)
    assert scores["bits_per_byte"]["value"] == round(bits / size, 6)
    assert scores["perplexity"]["value"] == pytest.approx(2 ** (bits / tokens), abs=1e-4)
    assert scores["next_token_accuracy"]["value"] == round(sum(d["correct"] for d in documents) / tokens, 6)
    assert 0 < scores["byte_4gram"]["low"] < scores["byte_4gram"]["value"] < scores["byte_4gram"]["high"] < 8
    assert [sample["prompt"] for sample in samples] == ["the cat", ""]
    assert all(0 <= sample["tokens"] <= 10 and sample["text"] for sample in samples)


@pytest.mark.parametrize("count", [2, 3])
def test_the_number_of_threads_changes_no_product(artifacts, measured, tmp_path, threads, count):
    measure(MeasureConfig(TINY, SETTINGS), artifacts, tmp_path, world(count))
    for name in ("scores.json", "documents.json", "samples.json", "pairs.json", "minimal_pairs.json"):
        assert (tmp_path / name).read_bytes() == (measured / name).read_bytes()


@pytest.mark.parametrize("batch", [1, 7])
def test_how_many_windows_go_together_changes_no_score(artifacts, measured, tmp_path, threads, batch):
    measure(MeasureConfig(TINY, EvaluationConfig(batch, 200, 0.9, 5, SAMPLES)), artifacts, tmp_path, world())
    for name in ("scores.json", "pairs.json"):
        assert (tmp_path / name).read_bytes() == (measured / name).read_bytes()


def test_load_model_is_the_model_in_float64(artifacts):
    model = scoring.load_model(artifacts.weights, TINY, VOCABULARY)
    expected = Transformer(TINY, VOCABULARY, seed=1)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float64
        assert torch.equal(parameter, dict(expected.named_parameters())[name].double())


def scaled(embedding, norm):
    """A change of weights by factors far off, or beyond float64."""

    def change(weights):
        weights |= {name: tensor.double() for name, tensor in weights.items()}
        weights["model.embed_tokens.weight"] *= embedding
        weights["model.norm.weight"] *= norm

    return change


@pytest.mark.parametrize(("change", "says"), [
    (lambda w: w.pop("model.norm.weight"), "model.norm.weight"),
    (lambda w: w.update({"model.norm.weight": torch.ones(13)}), "model.norm.weight: shape"),
    (lambda w: w.update({"model.norm.weight": torch.full((12,), math.nan)}), "not finite"),
    (lambda w: w.pop("model.embed_tokens.weight"), "larger model than the file holds"),
    (scaled(3e38, 3e38), "beyond measure"), (scaled(1e10, 1e307), "beyond measure"),
])  # fmt: skip
def test_weights_that_do_not_fit_are_named(artifacts, tmp_path, change, says):
    weights = weights_of(Transformer(TINY, VOCABULARY, seed=1))
    change(weights)
    write_tensors(tmp_path / WEIGHTS, weights)
    inputs = with_other(artifacts, weights=tmp_path)
    said = refusal(measure, MeasureConfig(TINY, SETTINGS), inputs, tmp_path / "out", world(), match=says)
    assert (str(tmp_path / WEIGHTS) in said or says == "beyond measure") and not (tmp_path / "out").exists()


def test_torn_weights_and_tokens_of_other_documents_are_refused(artifacts, tmp_path):
    (tmp_path / WEIGHTS).write_bytes((artifacts.weights / WEIGHTS).read_bytes()[:-9])
    refusal(scoring.load_model, tmp_path, TINY, VOCABULARY, match="cannot be read as safetensors")
    rows = list(read_rows([artifacts.tokens / "ranges/held_out.parquet"]))
    write_rows(tmp_path / "ranges/held_out.parquet", rows[:-1], RANGES)
    np.save(tmp_path / "held_out.npy", read_tokens(artifacts.tokens, "held_out")[: rows[-1]["start"]])
    others = with_other(artifacts, tokens=tmp_path)
    refusal(measure, MeasureConfig(TINY, SETTINGS), others, tmp_path / "out", world(), match="other documents")


# The byte 4-gram model, counted by hand and as a probability; the compressors ----------------------------------------


TEXTS = [b"the cat sat on the mat", b"a mat, a cat, a hat", bytes(range(256)), b""]


def test_grams_end_in_each_byte_and_the_end_mark():
    assert [f"{code:08x}" for code in grams_of(b"abc")] == ["00000061", "00006162", "00616263", "61626300"]


def test_a_text_of_one_byte_by_hand():
    # Seen: "a", then the end, each once. With no context: c = 1 of C = 2, T = 2 kinds.
    empty = (1 + 2 / 256) / 4
    # Each longer context (NULs before "a"; then "a" before the end) was seen once, before one kind of byte.
    after = empty
    for _ in range(3):
        after = (1 + after) / 2
    assert count_grams([b"a"]).bits(b"a") == pytest.approx(-2 * math.log2(after), abs=1e-12)


def test_an_unseen_byte_by_hand():
    # "b" is new: no context; nor is anything known after it, so its end is predicted without context.
    first = 2 / 256 / 4 / 2 / 2 / 2
    end = (1 + 2 / 256) / 4
    assert count_grams([b"a"]).bits(b"b") == pytest.approx(-math.log2(first) - math.log2(end), abs=1e-12)


@pytest.mark.parametrize("context", [b"\0\0\0", b"\0\0t", b"the", b"at ", b"xyz", b"\xff\xfe\xfd", b" ca", b"zca"])
def test_sums_to_one_over_all_next_bytes(context):
    codes = np.array([int.from_bytes(context + bytes([byte]), "big") for byte in range(256)], np.uint32)
    p = count_grams(TEXTS).probability(codes)
    assert p.min() > 0 and p.sum() == pytest.approx(1, abs=1e-12)


def test_beats_uniform_on_text_like_its_own_and_pays_for_noise():
    model, text, noise = count_grams([b"the cat sat on the mat. " * 20]), b"the mat sat", bytes(range(128, 160))
    assert model.bits(text) < 8 * (len(text) + 1) and model.bits(noise) > 8 * (len(noise) + 1)


def test_chunks_and_order_do_not_matter(monkeypatch):
    whole = count_grams(TEXTS)
    monkeypatch.setattr(baselines, "GRAMS_AT_A_TIME", 5)
    for texts in (TEXTS, TEXTS[::-1]):
        for one, other in zip(whole.orders, count_grams(texts).orders, strict=True):
            for column in vars(one):
                assert np.array_equal(getattr(one, column), getattr(other, column))


def test_xz_reads_all_texts_as_one_stream():
    texts = [text for text in TEXTS if text] * 3
    assert compressed_size(texts) == len(lzma.compress(b"".join(texts), preset=9))


# What is planted in the training text is counted, item by item, and what is not there is not -------------------------


LONG = " ".join(f"held{number}" for number in range(32))  # 20 13-grams of words
ITEMS = {"whole": "she sees herself", "absent": "he sees himself", "long": "and then " * 3 + LONG}


def document(id, text, split):
    return dict.fromkeys(SELECTED.names, "") | {"id": id, "text": text, "split": split}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    home = tmp_path_factory.mktemp("overlap")
    inputs = Inputs(**{name: home / name for name in ("benchmarks", "selected", "tokenizer", "tokens")})
    filler = [f"word{number} is between here and there" for number in range(60)]
    rows = [document(f"t{n:02d}", text, "train") for n, text in enumerate(filler)]
    rows += [
        document("t90", "Look: she sees HERSELF. " + " ".join(LONG.split()[:15]), "train"),  # 3 13-grams
        document("t91", "and she sees", "train"),
        document("t92", "herself and he sees", "train"),  # no n-gram reaches from a document to the next
        document("h1", LONG, "held_out"),
        document("h2", "nothing of this stands anywhere else than in this text, which is held out whole", "held_out"),
    ]
    write_rows(inputs.selected / "documents" / "part-0000.parquet", rows, SELECTED)
    items = [Item("pairs", "g", "", "", id, "", [text], 0) for id, text in ITEMS.items()]
    other = [Item("other", "g", "", "", "1", "word7 is ", ["beside", "between"], 1)]
    for name, some in (("pairs", items), ("other", other)):
        write_rows(inputs.benchmarks / f"{name}.parquet", some, ITEM)
    learn(TokenizerConfig(275, None), inputs, inputs.tokenizer, WORLD)
    encode(None, inputs, inputs.tokens, WORLD)
    return inputs


def naive(inputs, text):
    """Different token n-grams of the text, and how many of them stand within a training document."""
    from train.data.selected import kept_documents

    encode_one = lambda text: load(inputs.tokenizer).encode([text])[0]  # noqa: E731
    tokens = encode_one(text)
    length = min(TOKENS, len(tokens))

    def grams(tokens):
        return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}

    training = set().union(*(grams(encode_one(row.text)) for row in kept_documents(inputs.selected, "train")))
    return {"ngrams": len(grams(tokens)), "shared": len(grams(tokens) & training)}


def test_planted_items_are_counted_and_others_are_not(inputs):
    found = overlap(inputs, WORLD)
    pairs, other, held_out = found["sets"]["pairs"], found["sets"]["other"], found["held_out"]
    assert pairs["items"] == 3 and other["items"] == 1 and held_out["items"] == 2
    assert pairs["words"] == {"ngrams": 1 + 1 + 26, "shared": 1 + 3, "share": round(4 / 28, 6), "items": 2}
    assert pairs["found"]["whole"]["words"] == {"ngrams": 1, "shared": 1}
    assert pairs["found"]["long"]["words"] == {"ngrams": 26, "shared": 3}
    assert other["words"] == {"ngrams": 1, "shared": 1, "share": 1.0, "items": 1}
    assert held_out["words"] == {"ngrams": 20 + 3, "shared": 3, "share": round(3 / 23, 6), "items": 1}
    assert "h2" not in held_out["found"] or held_out["found"]["h2"]["words"]["shared"] == 0


def test_tokens_are_compared_within_documents(inputs, monkeypatch):
    found = overlap(inputs, WORLD)
    for id, text in ITEMS.items():
        wanted = naive(inputs, text)
        assert found["sets"]["pairs"]["found"].get(id, {"tokens": {**wanted, "shared": 0}})["tokens"] == wanted
    assert found["held_out"]["found"]["h1"]["tokens"] == naive(inputs, LONG)
    monkeypatch.setattr("train.evaluation.overlap.AT_A_TIME", 7)  # pieces smaller than an n-gram
    assert overlap(inputs, WORLD) == found


def test_without_evaluation_sets_there_is_the_held_out_split(inputs, tmp_path):
    found = overlap(Inputs(**vars(inputs) | {"benchmarks": tmp_path}), WORLD)
    assert found["sets"] == {} and found["held_out"]["items"] == 2
