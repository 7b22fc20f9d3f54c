import random
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import refusal

from train.artifact import Input, Manifest, write_json
from train.data.mixture import MixtureStage, Part
from train.data.schema import LEDGER, RANGES, SELECTED, write_rows
from train.errors import UserError
from train.explore.lineage import Lineage, Order, lineage, readings
from train.training.steps import checkpoint_steps

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
    ranges = {split: tmp_path / f"{split}.parquet" for split in ("train", "held_out")}
    for split, path in ranges.items():
        write_rows(path, rows_of([row for row in rows if row["split"] == split], RANGES), RANGES)
    mixture = tuple(
        MixtureStage(share, (Part("f", ("few",), weight), Part("m", ("many",), 2)))
        for share, weight in zip(request.param, (1, 5), strict=False)
    )
    order = Order(STEPS, BATCH, CONTEXT, SEED, 10, mixture)
    return Lineage(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, ranges, order)


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


def test_without_training_there_are_no_steps(found):
    refusal(readings, replace(found, order=None), [], match="nothing was trained")


def test_ranges_of_documents_that_were_not_kept_are_refused(found):
    write_rows(found.folder / "documents" / "part-0000.parquet", [], SELECTED)
    with pytest.raises(UserError, match="was not kept"):
        _ = found.kept


def test_documents_without_ranges_are_refused(found):
    write_rows(found.ranges["train"], [], RANGES)
    with pytest.raises(UserError, match="no range of tokens"):
        _ = found.kept
    with pytest.raises(UserError, match="no training text"):
        _ = found.training


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
    assert (newest.selected, newest.sources) == (runs / "selected-cccccccc", runs / "raw-aaaaaaaa" / "sources.json")
    assert newest.order == Order(steps=3, batch=2, context=4, seed=0, checkpoint_every=2)
    assert lineage(runs / "weights-22222222").folder.name == "weights-22222222"


def test_an_artifact_before_the_tokens_is_refused(runs):
    refusal(lineage, runs / "selected-cccccccc", match="made from tokenizer, tokens; name a weights or tokens")


@pytest.mark.parametrize("manifest", [{}, {"stage": "tokens"}, {"stage": "tokens", "inputs": {"raw": {}}}, [1]])
def test_a_manifest_that_does_not_lead_on_is_refused(tmp_path, manifest):
    write_json(tmp_path / "manifest.json", manifest)
    refusal(lineage, tmp_path, match=r"manifest\.json: ")


def test_a_folder_that_holds_neither_is_refused(tmp_path):
    refusal(lineage, tmp_path, match="neither a release")
