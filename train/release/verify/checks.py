"""The table of checks, which make again what can be made again, and return what differs; by name in `osaid.ROWS`."""

from train.release.cards import model_card
from train.release.standards import forms
from train.release.verify import cards, code, data, layout, licences, model, prepared, sources, witnesses
from train.release.view import Check, Release


def derived(name: str, *paths: str) -> Check:
    """The check that files which are written from others have the same bytes when they are written again."""

    def check(release: Release) -> list[str]:
        return release.written(*paths)

    check.__name__ = name
    return check


CHECKS: tuple[Check, ...] = (
    sources.provenance, sources.sources, sources.generated, derived("statistics", "data/statistics.json"), data.counts,
    cards.labelling, data.split, data.selection, data.tokens, data.source_kinds, licences.data_terms, code.components,
    model.settings, model.tokenizer, model.scores, data.overlap, licences.code_terms, code.environment, model.weights,
    derived("logits", "evaluation/logits.json"), model.checkpoints, model.losses, model.optimizer_state,
    licences.parameter_terms, licences.use_restrictions, code.chain, licences.licences,
    derived("cards", "README.md", "data/README.md", "CITATION.cff"),
    derived("metadata", "data/croissant.json", "provenance/bom.json", model_card.SCORES, *forms.pages()),
    cards.osaid, cards.placeholders, cards.machine_paths, layout.layout, layout.canonical, data.order,
    derived("mof", "provenance/mof.yml"), code.snapshot, code.collected, cards.secrets, cards.report,
    witnesses.witnesses, code.recipe,
)  # fmt: skip
SOURCED = (prepared.prepared,)
DEEP: tuple[Check, ...] = (code.installs,)
