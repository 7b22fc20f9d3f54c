"""What the records of a release say, and Markdown and YAML that are made of it: pointers, commands, front matter."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yaml import YAMLError, safe_load

from train import initial
from train.artifact import file_digest, read_json
from train.errors import UserError
from train.release.cards.prose import Markdown, plain
from train.unicode import OBEYED, harmless

MOST_YAML = 2**16  # characters
LONGEST = 100  # characters of a setting on a card


def command(release: Path) -> str:
    """What makes the release, in a copy of its code, as it is typed in a shell: computed, not as somebody typed it."""
    settings = read_json(release / "code/overrides.json")
    if not settings or any("\n" in each or harmless(each) != each for each in settings):
        settings = ["--config", "config.json"]
    begun = (release / initial.FOLDER).is_dir()
    return shlex.join(["python", "scripts/run.py", *settings, *[f"machine.init_from=../{initial.FOLDER}"] * begun])


def settings(release: Path) -> Markdown:
    """The digest of the configuration, the recipe that is nearest to it, and each setting that differs from that."""
    config = f"`code/config.json`, whose SHA-256 is `{file_digest(release / 'code' / 'config.json')}`"
    recipe, *others = [word.removeprefix("recipe=") for word in read_json(release / "code/overrides.json")] or [""]
    if not others:
        return Markdown(f"{config}: the recipe `{recipe}`." if recipe else f"{config}.")
    others = [plain(one) for one in others]
    lines = "\n".join(f"    {one if len(one) <= LONGEST else f'{one[:LONGEST]} ...'}" for one in others)
    return Markdown(f"{config}: the recipe `{recipe}`, but for\n\n{lines}")


def front_matter(value: Mapping[str, Any]) -> Markdown:
    return Markdown(f"---\n{yaml(value)}---\n")


def yaml(value: Mapping[str, Any]) -> str:
    """A mapping as YAML, a key a line; the values are JSON, which YAML holds, and nothing in them opens a comment."""
    return "".join(f"{key}: {literal(item)}\n" for key, item in value.items())


def read_yaml(text: str, what: str) -> dict[str, Any]:
    """A mapping as YAML without any tag of Python; UserError when it is too large or something else.

    Keys `<<`, which merge mappings, are refused: a few lines of them make a mapping larger than any memory.
    """
    if len(text) > MOST_YAML or "<<" in text:
        raise UserError(f"{what}: more than {MOST_YAML} characters of YAML, or a key `<<`")
    try:
        mapping = safe_load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{what}: cannot be read as YAML ({type(error).__name__})") from None
    if mapping is not None and not isinstance(mapping, dict):
        raise UserError(f"{what}: expected a mapping, found {type(mapping).__name__}")
    return mapping or {}


def literal(item: Any) -> str:
    """A value as JSON, which YAML and TOML read alike, with nothing in it that opens a comment or turns text."""
    spelt = json.dumps(item, ensure_ascii=False)
    return re.sub(f"<|{OBEYED.pattern}", lambda match: f"\\u{ord(match[0]):04x}", spelt)
