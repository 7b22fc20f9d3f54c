"""Which documents a step read, and where a text stands in them."""

import hashlib
import random
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import refusal

from train.artifact import Input, Manifest, write_json
from train.data.mixture import MixtureStage, Part
from train.data.schema import LEDGER, RANGES, SELECTED, TokenRange, write_rows
from train.errors import UserError
from train.explore import search
from train.explore.lineage import Lineage, Order, lineage, readings
from train.explore.search import corpus, find, places, trace, window_hashes
from train.training.steps import checkpoint_steps
from train.world import Inputs

# lineage -------------------------------------------------------------------------------------------------------------


CONTEXT, BATCH, STEPS, SEED = 7, 4, 23, 5
LENGTHS = [1, 6, 7, 8, 7, 14, 15, 1, 2, 30, 3, 7, 21, 5]  # tokens; 127 in all, 18 windows, a little more than 5 epochs


@pytest.fixture(params=[[], [0.7, 0.3]], ids=["all text", "a mixture"])
def found(tmp_path, request):
    """Documents of these lengths, one after the other; one more is held out, at the same place.

    Every third is of a source of its own, which a mixture reads more of at last; every seventh of one it never reads.
    """
    ends = np.cumsum(LENGTHS).tolist()
    rows = [
        {**dict.fromkeys(SELECTED.names, "?"), "id": f"{number:02d}", "split": "train", "start": end - size, "end": end,
         "bytes": size, "source": "few" if number % 3 == 0 else "none" if number % 7 == 0 else "many"}
        for number, (size, end) in enumerate(zip(LENGTHS, ends, strict=True))
    ]  # fmt: skip
    rows.append({**rows[0], "id": "99", "split": "held_out"})
    write_rows(tmp_path / "documents" / "part-0000.parquet", rows_of(rows, SELECTED), SELECTED)
    write_rows(tmp_path / "ledger" / "part-0000.parquet", [], LEDGER)
    for split in ("train", "held_out"):
        of_split = [row for row in rows if row["split"] == split]
        write_rows(tmp_path / f"ranges/{split}.parquet", rows_of(of_split, RANGES), RANGES)
    mixture = tuple(
        MixtureStage(share, (Part("f", ("few",), weight), Part("m", ("many",), 2)))
        for share, weight in zip(request.param, (1, 5), strict=False)
    )
    order = Order(STEPS, BATCH, CONTEXT, SEED, 10, mixture)
    return Lineage(tmp_path, Inputs(selected=tmp_path, tokens=tmp_path), order)


def rows_of(rows, schema):
    return [{name: row[name] for name in schema.names} for row in rows]


def brute(order, start, end):
    """(step, sequence, epoch) of each sequence that holds one of these tokens, looking at every token of every step."""
    read = []
    for step in range(STEPS):
        batch = zip(order.places_at(step), order.sequences(step * BATCH, BATCH)[2], strict=True)
        for sequence, (tokens, epoch) in enumerate(batch, 1):
            read += [(step + 1, sequence, int(epoch) + 1)] * any(start <= token < end for token in tokens)
    return read


def told(found, ids):
    read = readings(found, [found.kept[id] for id in ids])
    return list(zip(*(read[name].tolist() for name in ("step", "sequence", "epoch")), strict=True))


@pytest.mark.parametrize("number", range(len(LENGTHS)))
def test_the_readings_of_a_document_are_all_there_were(found, number):
    row = found.kept[f"{number:02d}"]
    assert told(found, [row.id]) == brute(found.drawn, row.start, row.end)


def test_every_epoch_reads_a_long_document_and_none_a_held_out_one(found):
    assert {epoch for *_, epoch in told(found, ["09"])} >= set(range(1, 5)) and told(found, ["99"]) == []


def test_the_readings_of_several_documents_are_counted_once(found):
    draw = random.Random(3)
    for _ in range(20):
        ids = draw.sample(sorted(found.kept), 3)
        each = set().union(*(told(found, [id]) for id in ids))
        assert told(found, ids) == sorted(each)


@pytest.mark.parametrize(("every", "steps", "kept"), [(10, 23, [10, 20, 23]), (10, 20, [10, 20]), (50, 7, [7])])
def test_checkpoints_stand_at_multiples_and_at_the_end(every, steps, kept):
    assert checkpoint_steps(every, steps) == kept


def test_what_does_not_belong_together_is_refused(found):
    refusal(readings, replace(found, order=None), [], match="nothing was trained")
    documents, ranges = (
        found.folder / "documents" / "part-0000.parquet",
        found.artifacts.tokens / "ranges/train.parquet",
    )
    for path, schema, name, says in (
        (documents, SELECTED, "kept", "was not kept"), (ranges, RANGES, "kept", "no range of tokens"),
        (ranges, RANGES, "training", "no training text"),
    ):  # fmt: skip
        before = path.read_bytes()
        write_rows(path, [], schema)
        refusal(getattr, replace(found), name, match=says)
        path.write_bytes(before)


def artifact(folder, stage, key, **inputs):
    config = {"model": {"context": 4}, "training": {"steps": 3, "batch": 2, "seed": 0, "checkpoint_every": 2}}
    made = Manifest(stage, key, config, {}, {name: Input(k, "") for name, k in inputs.items()}, {})
    write_json(folder / f"{stage}-{key[:8]}" / "manifest.json", asdict(made))


@pytest.fixture
def runs(tmp_path):
    artifact(tmp_path, "raw", "a" * 64)
    artifact(tmp_path, "documents", "b" * 64, raw="a" * 64)
    artifact(tmp_path, "selected", "c" * 64, documents="b" * 64)
    artifact(tmp_path, "tokenizer", "d" * 64, selected="c" * 64)
    artifact(tmp_path, "tokens", "e" * 64, selected="c" * 64, tokenizer="d" * 64)
    return tmp_path


def test_the_newest_weights_lead_to_all_that_they_were_made_from(runs):
    assert (lineage(runs).folder.name, lineage(runs).order) == ("tokens-eeeeeeee", None)
    for key in ("2", "1"):  # made in this order
        artifact(runs, "weights", key * 64, tokens="e" * 64, tokenizer="d" * 64)
    artifact(runs, "weights", "3" * 64 + ".part")
    (runs / "weights-33333333").rename(runs / "weights-33333333.damaged")
    newest = lineage(runs)
    assert newest.folder == runs / "weights-11111111"
    assert newest.artifacts.selected == runs / "selected-cccccccc" and newest.artifacts.raw == runs / "raw-aaaaaaaa"
    assert newest.order == Order(steps=3, batch=2, context=4, seed=0, checkpoint_every=2)
    assert lineage(runs / "weights-22222222").folder.name == "weights-22222222"


@pytest.mark.parametrize("manifest", [{}, {"stage": "tokens"}, {"stage": "tokens", "inputs": {"raw": {}}}, [1], None])
def test_what_does_not_lead_on_is_refused(runs, tmp_path, manifest):
    refusal(lineage, runs / "selected-cccccccc", match="made from tokenizer, tokens; name a weights or tokens")
    if manifest is not None:
        write_json(tmp_path / "none" / "manifest.json", manifest)
    refusal(lineage, tmp_path / "none", match="neither a release" if manifest is None else r"manifest\.json: ")


# search --------------------------------------------------------------------------------------------------------------


TEXTS = [
    "The quick brown fox jumps over the lazy dog.\n",
    "A quick brown fox is not a dog. A quick brown fox is not a cat.\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Grüße aus Köln — 犬と猫 — and naïve façades 👩‍👧", "abcabcabcabc", "x",
]  # fmt: skip


def write(folder, texts, held_out=("This is held out, not trained on.",)):
    """Documents in three parts, and the rows of the training split's ranges."""
    rows = [
        {**dict.fromkeys(SELECTED.names, "?"), "id": hashlib.sha256(text.encode()).hexdigest(), "text": text,
         "split": split, "source": "pkg:generic/s@1", "path": f"{number}.txt", "licence": "MIT"}
        for split, group in (("train", texts), ("held_out", held_out))
        for number, text in enumerate(group)
    ]  # fmt: skip
    rows.sort(key=lambda row: row["id"])
    for part in range(3):
        write_rows(folder / "documents" / f"part-{part:04d}.parquet", rows[part::3], SELECTED)
    return [
        TokenRange(row["id"], 0, 0, len(row["text"].encode()), row["source"], row["path"], row["licence"])
        for row in rows
        if row["split"] == "train"
    ]


@pytest.fixture(scope="module", params=[7, 2**22], ids=lambda chunk: f"chunk{chunk}")
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "CHUNK", request.param)
        yield corpus(folder, write(folder, TEXTS))


def brute_search(made, wanted):
    """(id, byte) of every occurrence, overlapping ones too, by looking everywhere."""
    found = set()
    for text in TEXTS:
        data = text.encode()
        id = hashlib.sha256(data).hexdigest()
        found |= {(id, at) for at in range(len(data)) if data[at:].startswith(wanted)}
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 40])
def test_a_window_has_the_hash_of_its_bytes_wherever_it_stands(size):
    text = np.frombuffer(bytes(range(256)) * 2, np.uint8)
    hashes = window_hashes(text, size)
    assert len(hashes) == 513 - size and len(np.unique(hashes)) == 256
    assert hashes[5] == hashes[261] == window_hashes(text[5 : 5 + size], size)[0]
    assert not len(window_hashes(text[: size - 1], size))


WANTED = ["quick brown", "uick", "A", "aaaa", "a" * 40, "a" * 41, "abcabc", "犬", "naïve f", "x", "fox is not a", "\n",
          "The quick brown fox jumps over the lazy dog.\n", "held", "dog.\nA", "zzz", " "]  # fmt: skip


@pytest.mark.parametrize("wanted", WANTED)
def test_every_occurrence_is_found_wherever_tokens_end(made, wanted):
    found = find(made, wanted.encode())
    assert found == sorted(set(found))
    there = {(place.document.id, place.byte) for place in places(made, found)}
    assert there == brute_search(made, wanted.encode()) and len(there) == len(found)


def test_a_place_leads_to_its_document(made):
    (place,) = places(made, find(made, "Köln".encode()))
    assert (place.document.path, place.byte) == ("3.txt", len("Grüße aus ".encode()))


def spans_by_hand(text, least):
    """All spans that occur and are contained in no longer one that does."""
    there = lambda start, end: any(text[start:end] in other for other in TEXTS)  # noqa: E731
    longer = lambda start, end: (start and there(start - 1, end)) or (end < len(text) and there(start, end + 1))  # noqa: E731
    spans = ((start, end) for start in range(len(text)) for end in range(start + least, len(text) + 1))
    return [span for span in spans if there(*span) and not longer(*span)]


@pytest.mark.parametrize("least", [1, 3, 12])
@pytest.mark.parametrize("text", [
    "I saw a quick brown fox jump over the lazy dog.",
    "A quick brown fox is not a cat, nor the lazy dog; Grüße aus Kölle, 犬と猫!", "a" * 60, "caabcabcabcabcabcx",
    "", "QQQQ", *TEXTS,
])  # fmt: skip
def test_traced_spans_are_all_that_cannot_be_made_longer(made, text, least):
    spans = trace(made, text, least)
    assert [(span.start, span.end) for span in spans] == spans_by_hand(text, least)
    for span in spans:
        assert span.text == text[span.start : span.end]
        there = brute_search(made, span.text.encode())
        assert span.occurrences == len(there)
        assert {(p.document.id, p.byte) for p in span.places} <= there and len(span.places) == min(5, len(there))


@pytest.mark.parametrize("change", [lambda ranges: ranges.pop(), lambda ranges: ranges.append(ranges[0]),
                                    lambda ranges: ranges.__setitem__(0, replace(ranges[0], id="0" * 64))])  # fmt: skip
def test_ranges_of_other_documents_are_refused(tmp_path, change):
    ranges = write(tmp_path, TEXTS)
    change(ranges)
    with pytest.raises(UserError, match="make them again"):
        corpus(tmp_path, ranges)
