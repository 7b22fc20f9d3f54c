"""What a release would be refused for at its end, told before any work: blanks, missing words, texts of no licence."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from train.config import plain, strings
from train.errors import UserError
from train.licences import OTHER_TEXT, OURS_TEXT, claim_problem
from train.release.about import ReleaseConfig
from train.release.bundle import source_tree
from train.release.cards import data_card
from train.release.cards.prose import check_date
from train.release.resolved import Resolved
from train.release.standards import osaid
from train.release.verify.cards import PLACEHOLDER, placeholders_in, private, secret
from train.release.verify.integrity import wrong_name

PRIVATE = "holds a path of a machine, or a password in an address"


def unready(config: Resolved, root: Path, *, release: bool) -> list[str]:
    """What people still have to write or correct: a line each, with the file and line where it stands, if it has one.

    `config` is the resolved configuration, `root` the checkout. Before weights only what enters them counts: the data's
    part of the config; before a release its card and all else that people say.
    """
    settings = plain(config) if release else {"data": plain(config.data)}
    values = [(".".join(map(str, path)), text) for path, text in strings(settings)]  # as an override spells the key
    problems = [f"{_place(root, config, key, text)}: {text!r}" for key, text in values if PLACEHOLDER.search(text)]
    if release:
        problems += [f"{key}: {PRIVATE}, {text!r}" for key, text in values if private(text)]
        problems += [f"{key}: holds a secret" for key, text in values if secret(text)]
        tree = source_tree(root)
        problems += [f"{path}: {why}" for path in tree if (why := wrong_name(f"code/{path}"))]
        problems += [f"LICENSE: {OTHER_TEXT}"] if tree.get("LICENSE") != OURS_TEXT else []
        problems += _unsaid(config.release) + _card(config, root)
    return problems


def _unsaid(about: ReleaseConfig) -> list[str]:
    """What the release's config has to say and does not."""
    stated = {each.item for each in about.statements if each.text.strip() and each.name.strip()}
    wanted = [row for row in osaid.ROWS if row.kind == "statement"]
    problems = [f"release.statements: none on '{row.id}' ({row.requirement})" for row in wanted if row.id not in stated]
    unused = about.not_used.items()
    return problems + [f"release.not_used.{item}: no reason is given" for item, why in unused if not why.strip()]


def _card(config: Resolved, root: Path) -> list[str]:
    """What is wrong with the data card that people wrote."""
    name = f"data_cards/{config.data.name}.md"
    try:
        text = data_card.card_text(root / name, name)
        problems = [f"{name}:{line}: {blank!r}" for line, blank in placeholders_in(text)]
        if not problems:
            head, _, _ = data_card.parsed(text, name, config.release.licence)
            check_date(head["date"])
    except UserError as error:
        return [str(error)]
    except ValueError as error:
        return [f"{name}: {error}"]
    problems += [f"{name}: {PRIVATE}"] if private(text) else []
    return problems + ([f"{name}: holds a secret"] if secret(text) else [])


def _place(root: Path, config: Resolved, key: str, text: str) -> str:
    """Where a value of the config was written: `file:line: key`; its key alone where no file has it."""
    name = next(part for part in reversed(key.split(".")) if not part.isdigit())
    group, of = key.partition(".")[0], config.data.name
    begin = text.split("\n")[0].strip()[:40]
    files = sorted((root / "configs" / group).glob("*.yaml"), key=lambda path: (path.stem != of, path.name))
    for path in [*files, *sorted((root / "configs/recipe").glob("*.yaml"))]:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if f"{name}:" in line and begin in line:
                return f"{path.relative_to(root).as_posix()}:{number}: {key}"
    return key


def check_evidence(claims: Iterable[tuple[str, str, Mapping[str, str]]], folder: Path) -> list[str]:
    """Hold licence files (path -> SHA-256, the name in `folder`) against what is claimed; notes, or UserError."""
    notes, problems = list[str](), list[str]()
    for purl, licence, files in claims:
        texts = {name: (folder / f"{sha}.txt").read_bytes() for name, sha in files.items()}
        problem, against = claim_problem(texts, licence)
        if problem:
            (problems if against else notes).append(f"{purl}: {problem}")
    if problems:
        remedy = "correct its `licence` in data.raw.sources, or give in `licence_files` the text under which it stands"
        raise UserError("\n".join(f"{problem}; {remedy}" for problem in problems))
    return notes
