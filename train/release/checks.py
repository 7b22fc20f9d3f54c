"""The table of checks: one function a claim, which makes again what can be made again and returns what differs.

A check's name is its function's, and stays: `openness.ROWS` refers to it.
"""

from train.release.canonical import canonical
from train.release.code_checks import chain, collected, components, environment, installs, snapshot
from train.release.contents import Check
from train.release.data_checks import (
    counts,
    order,
    overlap,
    selection,
    source_kinds,
    split,
    statistics,
    tokens,
)
from train.release.layout import layout
from train.release.model_checks import (
    checkpoints,
    logits,
    losses,
    optimizer_state,
    scores,
    settings,
    tokenizer,
    weights,
)
from train.release.prepared import prepared
from train.release.source_checks import generated, provenance, sources
from train.release.terms_checks import code_terms, data_terms, licences, parameter_terms, use_restrictions
from train.release.word_checks import (
    cards,
    labelling,
    machine_paths,
    metadata,
    mof,
    osaid,
    placeholders,
    report,
    secrets,
)

CHECKS: tuple[Check, ...] = (
    provenance, sources, generated, statistics, counts, labelling, split, selection, tokens, source_kinds, data_terms,
    components, settings, tokenizer, scores, overlap, code_terms, environment, weights, logits, checkpoints, losses,
    optimizer_state, parameter_terms, use_restrictions, chain, licences, cards, metadata, osaid, placeholders,
    machine_paths, layout, canonical, order, mof, snapshot, collected, secrets, report,
)  # fmt: skip
SOURCED = (prepared,)
DEEP: tuple[Check, ...] = (installs,)
