"""Checks of what costs too much to compute again whole: a sample, drawn by a word that its maker could not know."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate

from train.config import plain, read
from train.data.schema import TokenRange, read_records
from train.data.selected import kept_documents
from train.data.tokenizer import load as load_tokenizer
from train.data.tokens import ranges_path, read_tokens
from train.evaluation import measure
from train.evaluation.baselines import ByteModel, compressed_size, count_grams
from train.evaluation.items import Row, baseline_row, score_items, scored_items
from train.evaluation.measure import DocumentScore, MeasureConfig
from train.initial import identity_of
from train.model import Transformer
from train.release import bundle
from train.release.differences import mismatch
from train.release.view import Release

ITEMS = 100  # pairs and questions that are scored again


def scoring_operations(release: Release) -> int:
    """What scoring all held-out text takes, counted as in `flops_per_token`, of which a third is forward."""
    tokens = sum(each.end - each.start for each in _ranges(release))
    return int(tokens * bundle.model_of(release.path).flops_per_token() // 3)


def sampled_scores(release: Release, config: MeasureConfig, most: int) -> Iterator[str]:
    """Documents drawn for `most` operations have the recorded bits, and the scores follow from those of all."""
    model, ranges = bundle.model_of(release.path).to(release.world.machine.device), _ranges(release)
    documents = read(list[DocumentScore], release.path / "evaluation/documents.json")
    recorded = {each.id: each for each in documents}
    sizes = [(each.id, each.end - each.start, each.bytes) for each in ranges]
    if sizes != [(each.id, each.tokens, each.bytes) for each in documents]:
        yield "evaluation/documents.json: other documents than were held out"
        return
    chosen = drawn(release, ranges, most * 3 // model.flops_per_token())
    tokens = read_tokens(release.tokens, "held_out")
    mark, batch = load_tokenizer(release.path).end_of_text, config.evaluation.batch
    again = measure.score_documents(model, tokens, chosen, end_of_text=mark, batch=batch, world=release.world)
    yield from (f"document {each.id[:12]}: scored {vars(each)}, recorded is {vars(recorded[each.id])}"
                for each in again if each != recorded[each.id])  # fmt: skip
    selected = release.inputs().selected
    grams = count_grams(document.text.encode() for document in kept_documents(selected, "train"))
    held_out = [document.text.encode() for document in kept_documents(selected, "held_out")]
    follows = {
        **measure.model_scores(documents, config.model.context, config.evaluation),
        "byte_4gram": measure.byte_model_score([grams.bits(text) for text in held_out], documents, config.evaluation),
        "xz_whole_text": measure.compressor_score(compressed_size(held_out), documents),
    }
    wrong = "evaluation/scores.json: does not follow from the documents"
    yield from mismatch(wrong, release.json("evaluation/scores.json"), follows)
    yield from sampled_items(release, config, model, grams)
    names = ", ".join(each.id[:8] for each in chosen[:5]) + (", ..." if len(chosen) > 5 else "")
    release.notes.append(
        f"a sample: {len(chosen)} of {len(ranges)} held-out documents, by nonce {release.nonce}: {names}; "
        f"of pairs and questions at most {ITEMS}, and no samples; --deep does all"
    )


def sampled_items(release: Release, config: MeasureConfig, model: Transformer, grams: ByteModel) -> Iterator[str]:
    """Some pairs and questions scored again, and the baseline of all; the summaries follow from all of them."""
    paths = [release.path / f"evaluation/{name}.json" for name in ("pairs", "choices")]
    recorded = [row for path in paths for row in read(list[Row], path)]
    sets, settings = release.inputs().benchmarks, config.evaluation
    items = scored_items(sets)
    same = [baseline_row(item, grams) for item in items]
    path = "evaluation/pairs.json, choices.json"
    unscored = [plain([replace(row, bits=[]) for row in rows]) for rows in (recorded, same)]
    if unscored[0] != unscored[1]:
        yield from mismatch(path, *unscored)
        return
    word = _word(release)
    numbers = sorted(range(len(items)), key=lambda number: sha256(f"{word} pair {number}".encode()).digest())[:ITEMS]
    chosen, words = [items[number] for number in numbers], load_tokenizer(release.path)
    again = score_items(model, words, grams, chosen, batch=settings.batch, world=release.world)
    pairs = zip(again, (recorded[number] for number in numbers), strict=True)
    yield from (f"{path}: {row.id}: scored {row.bits}, recorded is {before.bits}"
                for row, before in pairs if row.bits != before.bits)  # fmt: skip
    for name, record in measure.item_records(items, recorded, sets, settings.confidence).items():
        path = f"evaluation/{name}"
        yield from mismatch(f"{path}: does not follow from the items", release.json(path), record)


def drawn(release: Release, ranges: list[TokenRange], tokens: int) -> list[TokenRange]:
    """Documents of about so many tokens together, at least one, in the order in which they stand."""
    word = _word(release)
    order = sorted(ranges, key=lambda each: sha256(f"{word} {each.id}".encode()).digest())
    taken = list(accumulate(each.end - each.start for each in order))
    count = max(1, sum(total <= tokens for total in taken))
    return sorted(order[:count], key=lambda each: each.start)


def _word(release: Release) -> str:
    return f"{identity_of(release.path)} {release.nonce}"


def _ranges(release: Release) -> list[TokenRange]:
    return list(read_records(TokenRange, [ranges_path(release.tokens, "held_out")]))
