"""The table of checks: one function a claim, which makes again what can be made again and returns what differs.

A check's name is its function's, and stays: `openness.ROWS` refers to it.
"""

from train.release.verify.canonical import canonical
from train.release.verify.cards import (
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
from train.release.verify.code import chain, collected, components, environment, installs, recipe, snapshot
from train.release.verify.data import counts, order, overlap, selection, source_kinds, split, statistics, tokens
from train.release.verify.layout import layout
from train.release.verify.licences import code_terms, data_terms, licences, parameter_terms, use_restrictions
from train.release.verify.model import (
    checkpoints,
    logits,
    losses,
    optimizer_state,
    scores,
    settings,
    tokenizer,
    weights,
)
from train.release.verify.prepared import prepared
from train.release.verify.sources import generated, provenance, sources
from train.release.verify.witnesses import witnesses
from train.release.view import Check

CHECKS: tuple[Check, ...] = (
    provenance, sources, generated, statistics, counts, labelling, split, selection, tokens, source_kinds, data_terms,
    components, settings, tokenizer, scores, overlap, code_terms, environment, weights, logits, checkpoints, losses,
    optimizer_state, parameter_terms, use_restrictions, chain, licences, cards, metadata, osaid, placeholders,
    machine_paths, layout, canonical, order, mof, snapshot, collected, secrets, report, witnesses, recipe,
)  # fmt: skip
SOURCED = (prepared,)
DEEP: tuple[Check, ...] = (installs,)
