"""Checks of what costs too much to compute again whole: a sample, drawn from the identity and a word of the checker's.

Whoever made the release could not know the word, so no document of it was safe from being drawn.
"""

from hashlib import sha256
from typing import Any

from train.data.schema import read_rows
from train.data.tokens import ranges_path, read_tokens
from train.evaluation.measure import MeasureConfig, model_scores, score_documents
from train.evaluation.minimal_pairs import summary
from train.release import bundle
from train.release.view import Release


def scoring_operations(release: Release) -> int:
    """What scoring all held-out text takes, counted as in `flops_per_token`, of which a third is forward."""
    tokens = sum(row["end"] - row["start"] for row in _ranges(release))
    return tokens * bundle.model_of(release.path).flops_per_token() // 3


def sampled_scores(release: Release, config: MeasureConfig, most: int) -> list[str]:
    """Some documents scored again have the recorded bits, and the model's scores follow from those of all documents.

    At least one is drawn, and as many as `most` operations allow. What is left is said in the release's notes.
    """
    model, ranges = bundle.model_of(release.path).to(release.world.machine.device), _ranges(release)
    recorded = {row["id"]: row for row in release.json("evaluation/documents.json")}
    if [(row["id"], row["end"] - row["start"], row["bytes"]) for row in ranges] != [
        (row["id"], row["tokens"], row["bytes"]) for row in recorded.values()
    ]:
        return ["evaluation/documents.json: other documents than were held out"]
    chosen = drawn(release, ranges, most * 3 // model.flops_per_token())
    tokens = read_tokens(release.tokens, "held_out")
    mark, batch = bundle.tokenizer.load(release.path).end_of_text, config.evaluation.batch
    found = score_documents(model, tokens, chosen, end_of_text=mark, batch=batch, world=release.world)
    problems = [f"document {row['id'][:12]}: scored {row}, recorded is {recorded[row['id']]}"
                for row in found if row != recorded[row["id"]]]  # fmt: skip
    told, pairs = release.json("evaluation/scores.json"), release.json("evaluation/pairs.json")
    follows = model_scores(list(recorded.values()), config.model.context, config.evaluation)
    problems += [f"evaluation/scores.json: {name} does not follow from the documents' scores"
                 for name, score in follows.items() if told.get(name) != score]  # fmt: skip
    if summary(pairs, release.folders["benchmarks"], config.evaluation.confidence) != release.json(
        "evaluation/minimal_pairs.json"
    ):
        problems.append("evaluation/minimal_pairs.json: does not follow from the pairs")
    names = ", ".join(row["id"][:8] for row in chosen[:5]) + (", ..." if len(chosen) > 5 else "")
    release.notes.append(
        f"a sample: {len(chosen)} of {len(ranges)} held-out documents, by nonce {release.nonce}: {names}; "
        "pairs, samples and baselines were not computed again; --deep does all"
    )
    return problems


def drawn(release: Release, ranges: list[dict[str, Any]], tokens: int) -> list[dict[str, Any]]:
    """Documents of about so many tokens together, at least one, in the order in which they stand."""
    seed = f"{release.json('MANIFEST.json')['identity']} {release.nonce}"
    order = sorted(ranges, key=lambda row: sha256(f"{seed} {row['id']}".encode()).digest())
    chosen: list[dict[str, Any]] = []
    taken = 0
    for row in order:
        taken += row["end"] - row["start"]
        if chosen and taken > tokens:
            break
        chosen.append(row)
    return sorted(chosen, key=lambda row: row["start"])


def _ranges(release: Release) -> list[dict[str, Any]]:
    return list(read_rows([ranges_path(release.tokens, "held_out")]))
