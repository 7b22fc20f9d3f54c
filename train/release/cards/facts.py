"""What a release's records say, read once: the facts that cards, summary and page share."""

import shlex
import tomllib
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any

from train import initial
from train.artifact import digest, file_digest, read_json
from train.config import read
from train.data.counts import SelectionCounts
from train.data.sources.spec import read_sources
from train.data.text.language_tag import language
from train.layout import release_name
from train.release.about import ReleaseConfig, about
from train.release.cards.prose import Markdown, plain
from train.release.cards.statistics import UNITS
from train.release.standards import osaid, reuse
from train.unicode import harmless

LONGEST = 100  # characters of a setting on a card
CHANCE = 0.5  # of a guess at which of two sentences is the good one


class Facts:
    """The records of the release in a folder; UserError where one is not there."""

    rungs = osaid.RUNGS
    config: Any = cached_property(lambda self: self.record("code/config.json"))
    computed: Any = cached_property(lambda self: self.record("provenance/facts.json"))
    counts = cached_property(lambda self: read(SelectionCounts, self.release / "data/counts.json"))
    tokens: Any = cached_property(lambda self: self.record("data/tokens.json"))
    statistics: Any = cached_property(lambda self: self.record("data/statistics.json"))
    word: Any = cached_property(lambda self: osaid.word(self.release))  # what no rung establishes

    def __init__(self, release: Path) -> None:
        self.release = release

    def record(self, file: str, pointer: str = "") -> Any:
        return read_json(self.release / file, pointer)

    @cached_property
    def about(self) -> ReleaseConfig:
        """What people say of the release."""
        return about(self.release)

    @cached_property
    def begun(self) -> dict[str, str]:
        """The release that the training began with, and the digests of what was taken of it; empty without one."""
        identity, folder = osaid.begun_with(self.release), self.release / initial.FOLDER
        if not identity:
            return {}
        names = {"weights": initial.WEIGHTS, "tokenizer": initial.TOKENIZER}
        digests = {what: file_digest(folder / name) for what, name in names.items()}
        return {
            "name": release_name(self.record(f"{initial.FOLDER}/{initial.CONFIG}")),
            "identity": identity,
            **digests,
        }

    @property
    def command(self) -> str:
        """What makes the release, in a copy of its code, as typed in a shell: computed, not as somebody typed it."""
        settings = self.record("code/overrides.json")
        if not settings or any("\n" in each or harmless(each) != each for each in settings):
            settings = ["--config", "config.json"]
        begun = (self.release / initial.FOLDER).is_dir()
        return shlex.join(["python", "scripts/run.py", *settings, *[f"machine.init_from=../{initial.FOLDER}"] * begun])

    @property
    def settings(self) -> Markdown:
        """The digest of the configuration, the recipe that is nearest to it, and what differs from that."""
        config = f"`code/config.json`, whose SHA-256 is `{file_digest(self.release / 'code' / 'config.json')}`"
        recipe, *others = [word.removeprefix("recipe=") for word in self.record("code/overrides.json")] or [""]
        if not others:
            return Markdown(f"{config}: the recipe `{recipe}`." if recipe else f"{config}.")
        others = [plain(one) for one in others]
        lines = "\n".join(f"    {one if len(one) <= LONGEST else f'{one[:LONGEST]} ...'}" for one in others)
        return Markdown(f"{config}: the recipe `{recipe}`, but for\n\n{lines}")

    @property
    def name(self) -> str:
        """What the release's folder is called."""
        return release_name(self.config)

    @property
    def tool(self) -> str:
        """The program that made all this, and its version; no other can be named by what pyproject.toml says."""
        project = tomllib.loads((self.release / "code" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return f"pellucid {project['version']}"

    @cached_property
    def terms(self) -> dict[str, reuse.Terms]:
        """The licences of the documents, each with how much is under it, its standing and its duties."""
        return reuse.terms(self.release)

    @property
    def languages(self) -> list[str]:
        """The languages of the documents, as the hub names them."""
        return sorted({language(tag) for tag in self.record("data/statistics.json", "/languages")})

    @cached_property
    def sources(self) -> list[dict[str, Any]]:
        """Each source with what was kept of it: documents, bytes, tokens, its share of all tokens, and the licences."""
        under, none = reuse.by_source(self.release), dict.fromkeys(UNITS, 0)
        tokens, of = itemgetter("tokens", "sources")(self.statistics)
        sources = []
        for each in read_sources(self.release / "data/sources.json"):
            entry, purl = each.to_json(), each.source.purl
            kept = of.get(purl, none)
            sha256 = entry.get("sha256") or digest({file.path: file.sha256 for file in each.files})
            share = kept["tokens"] / tokens if tokens else 0.0
            sources.append({**entry, "kept": kept, "share": share, "under": under[purl], "sha256": sha256})
        return sources
