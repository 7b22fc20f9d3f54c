"""Checks of what costs too much to compute again whole: a sample, drawn by a word that its maker could not know."""

from hashlib import sha256
from itertools import accumulate
from typing import Any

from train.data.schema import read_rows
from train.data.selected import kept_documents
from train.data.tokenizer import load as load_tokenizer
from train.data.tokens import ranges_path, read_tokens
from train.differences import first_difference
from train.evaluation.baselines import ByteModel, compressed_size, count_grams
from train.evaluation.measure import MeasureConfig, byte_model_score, compressor_score, model_scores, score_documents
from train.evaluation.minimal_pairs import pairs_of, sentence_bits, summary
from train.model import Transformer
from train.release import bundle
from train.release.view import Release

PAIRS = 100  # minimal pairs that are scored again
SIDES = ("text", "contrast")  # of a pair: the good sentence and the bad one


def scoring_operations(release: Release) -> int:
    """What scoring all held-out text takes, counted as in `flops_per_token`, of which a third is forward."""
    tokens = sum(row["end"] - row["start"] for row in _ranges(release))
    return tokens * bundle.model_of(release.path).flops_per_token() // 3


def sampled_scores(release: Release, config: MeasureConfig, most: int) -> list[str]:
    """Documents drawn for `most` operations have the recorded bits, and the scores follow from those of all."""
    model, ranges = bundle.model_of(release.path).to(release.world.machine.device), _ranges(release)
    recorded = {row["id"]: row for row in release.json("evaluation/documents.json")}
    if [(row["id"], row["end"] - row["start"], row["bytes"]) for row in ranges] != [
        (row["id"], row["tokens"], row["bytes"]) for row in recorded.values()
    ]:
        return ["evaluation/documents.json: other documents than were held out"]
    chosen = drawn(release, ranges, most * 3 // model.flops_per_token())
    tokens = read_tokens(release.tokens, "held_out")
    mark, batch = load_tokenizer(release.path).end_of_text, config.evaluation.batch
    again = score_documents(model, tokens, chosen, end_of_text=mark, batch=batch, world=release.world)
    problems = [f"document {row['id'][:12]}: scored {row}, recorded is {recorded[row['id']]}"
                for row in again if row != recorded[row["id"]]]  # fmt: skip
    documents = list(recorded.values())
    grams = count_grams(document.text.encode() for document in kept_documents(release.folders["selected"], "train"))
    held_out = [document.text.encode() for document in kept_documents(release.folders["selected"], "held_out")]
    follows = {
        **model_scores(documents, config.model.context, config.evaluation),
        "byte_4gram": byte_model_score([grams.bits(text) for text in held_out], documents, config.evaluation),
        "xz_whole_text": compressor_score(compressed_size(held_out), documents),
    }
    if apart := first_difference(release.json("evaluation/scores.json"), follows):
        problems.append(f"evaluation/scores.json: does not follow from the documents: {apart}")
    problems += sampled_pairs(release, config, model, grams)
    names = ", ".join(row["id"][:8] for row in chosen[:5]) + (", ..." if len(chosen) > 5 else "")
    release.notes.append(
        f"a sample: {len(chosen)} of {len(ranges)} held-out documents, by nonce {release.nonce}: {names}; "
        f"of the pairs at most {PAIRS}, and no samples; --deep does all"
    )
    return problems


def sampled_pairs(release: Release, config: MeasureConfig, model: Transformer, grams: ByteModel) -> list[str]:
    """Some minimal pairs scored again, and the yardstick of all; the summary follows from all of them."""
    recorded, sets = release.json("evaluation/pairs.json"), release.folders["benchmarks"]
    rows = pairs_of(sets)
    same = [{**{name: row[name] for name in ("set", "group", "id")},
             "byte_4gram": [round(grams.bits(row[side].encode()), 3) for side in SIDES]} for row in rows]  # fmt: skip
    if apart := first_difference([{k: v for k, v in each.items() if k != "bits"} for each in recorded], same):
        return [f"evaluation/pairs.json: {apart}"]
    chosen = sorted(range(len(rows)), key=lambda number: _draw(release, f"pair {number}"))[:PAIRS]
    texts = [rows[number][side] for number in chosen for side in SIDES]
    words = load_tokenizer(release.path)
    bits = sentence_bits(model, words, texts, batch=config.evaluation.batch, world=release.world)
    problems = [f"evaluation/pairs.json: pair {rows[number]['id']}: scored {again}, recorded is {before}"
                for place, number in enumerate(chosen)
                if (before := recorded[number].get("bits")) != (again := bits[2 * place : 2 * place + 2])]  # fmt: skip
    follows = summary(recorded, sets, config.evaluation.confidence)
    if apart := first_difference(release.json("evaluation/minimal_pairs.json"), follows):
        problems.append(f"evaluation/minimal_pairs.json: does not follow from the pairs: {apart}")
    return problems


def drawn(release: Release, ranges: list[dict[str, Any]], tokens: int) -> list[dict[str, Any]]:
    """Documents of about so many tokens together, at least one, in the order in which they stand."""
    order = sorted(ranges, key=lambda row: _draw(release, row["id"]))
    taken = list(accumulate(row["end"] - row["start"] for row in order))
    count = max(1, sum(total <= tokens for total in taken))
    return sorted(order[:count], key=lambda row: row["start"])


def _draw(release: Release, name: str) -> bytes:
    return sha256(f"{release.json('MANIFEST.json')['identity']} {release.nonce} {name}".encode()).digest()


def _ranges(release: Release) -> list[dict[str, Any]]:
    return list(read_rows([ranges_path(release.tokens, "held_out")]))
