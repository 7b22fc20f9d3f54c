"""What changed between two releases, kind by kind: what, before and after. What a release does not hold is empty."""

from pathlib import Path
from typing import Any

from train.artifact import read_json
from train.data.schema import read_records
from train.data.sources.spec import read_sources
from train.differences import NOTHING, differences
from train.initial import identity_of
from train.release.bundle import source_tree
from train.release.cards.statistics import Label, parquet
from train.release.differences import bits_apart
from train.training.checkpoint import WEIGHTS, read_tensors

NAMED = 5  # documents and tokens, of those that only one release has
Change = dict[str, Any]  # `what`, `before` and `after`; None where there is nothing


def changes(a: Path, b: Path) -> dict[str, Any]:
    """Whether two releases have the same identity; if not, what changed, by kind."""
    identities = [identity_of(release) for release in (a, b)]
    files = (read_json(release / "MANIFEST.json", "/products") for release in (a, b))
    by_kind = {
        "sources": leaves(sources(a), sources(b)),
        "documents": documents(a, b),
        "config": leaves(*(held(release, "code/config.json") for release in (a, b))),
        "code": leaves(*({n: sha[:12] for n, sha in source_tree(release / "code").items()} for release in (a, b))),
        "tokenizer": tokenizers(a, b),
        "weights": weights(a, b),
        "scores": leaves(*(held(release, "evaluation/scores.json") for release in (a, b))),
        "files": leaves(*({n: each["sha256"][:12] for n, each in products.items()} for products in files)),
    }
    return {"same": identities[0] == identities[1], "identities": identities, "changes": by_kind}


def leaves(before: Any, after: Any) -> list[Change]:
    """Every leaf of plain data that differs."""
    return [_change(path, *(None if side is NOTHING else side for side in sides))
            for path, *sides in differences(before, after)]  # fmt: skip


def _change(what: str, before: Any, after: Any) -> Change:
    return {"what": what, "before": before, "after": after}


def held(release: Path, name: str) -> Any:
    """A record of the release, or an empty one."""
    return read_json(release / name) if (release / name).is_file() else {}


def sources(release: Path) -> dict[str, Any]:
    """By Package URL without its version, every field of every source."""
    path = release / "data/sources.json"
    records = read_sources(path) if path.is_file() else []
    return {record.source.purl.partition("@")[0]: record.to_json() for record in records}


def documents(a: Path, b: Path) -> list[Change]:
    """Which documents only one of them has, which changed their split, and how many were kept and dropped, and why."""
    before, after = ({row.id: row for row in read_records(Label, parquet(each, "documents"))} for each in (a, b))
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    moved = [id for id in before.keys() & after.keys() if before[id].split != after[id].split]
    counts = {"only before": (len(gone), None), "only after": (None, len(new)), "in another split": (None, len(moved))}
    lines = [_change(name, *numbers) for name, numbers in counts.items() if any(numbers)]
    lines += [_change(f"{id[:12]} {before[id].path}", before[id].source, None) for id in gone[:NAMED]]
    lines += [_change(f"{id[:12]} {after[id].path}", None, after[id].source) for id in new[:NAMED]]
    return lines + leaves(held(a, "data/counts.json"), held(b, "data/counts.json"))


def tokenizers(a: Path, b: Path) -> list[Change]:
    """How many tokens each has, which only one has, how many merges come in another order; then every setting."""
    records = [dict(held(release, "tokenizer.json")) for release in (a, b)]
    models = [{**(each.get("model") or {})} for each in records]
    words, merges = ([model.pop(part, None) or [] for model in models] for part in ("vocab", "merges"))
    gone, new = (sorted(set(one) - set(other)) for one, other in (words, words[::-1]))
    lines = leaves({"tokens": len(words[0])}, {"tokens": len(words[1])})
    lines += [_change("only before", len(gone), gone[:NAMED])] if gone else []
    lines += [_change("only after", new[:NAMED], len(new))] if new else []
    first = next((n for n, pair in enumerate(zip(*merges, strict=False)) if pair[0] != pair[1]), None)
    if first is not None:
        lines.append(_change(f"merge {first}, the first other one", merges[0][first], merges[1][first]))
    return lines + leaves(*({**each, "model": model} for each, model in zip(records, models, strict=True)))


def weights(a: Path, b: Path) -> list[Change]:
    """Of each tensor that differs, the two values that lie farthest apart, or the two shapes; and how much differs."""
    before, after = (read_tensors(r / WEIGHTS) if (r / WEIGHTS).is_file() else {} for r in (a, b))
    kinds = [{name: f"{t.dtype} {tuple(t.shape)}" for name, t in each.items()} for each in (before, after)]
    lines = leaves(*kinds)
    for name in sorted(before.keys() & after.keys()):
        if kinds[0][name] == kinds[1][name] and (mask := bits_apart(before[name], after[name])).any():
            deviation = (before[name].double() - after[name].double()).abs().nan_to_num(nan=float("inf"))
            place = int(deviation.flatten().argmax())
            old, now = (float(tensors[name].flatten()[place]) for tensors in (before, after))
            share = f"{int(mask.sum())} of {mask.numel()} elements"
            lines.append(_change(f"{name}: {share}, by {float(deviation.flatten()[place]):.3g} at most", old, now))
    return lines
