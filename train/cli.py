"""The command line, `pellucid VERB`: help, errors, lines or JSON, and exit status of every verb of `train/verbs.toml`.

What a verb does is in `train/commands/`, imported only when its arguments can be read. `run` of a command gives a
report, which --json prints, and its template VERB.jinja or its `lines` tells to people; `status` is its exit status.
"""

import argparse
import contextlib
import errno
import importlib
import json
import os
import re
import sys
import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from train.errors import UserError, did_you_mean
from train.terminal import Unread, explain, fail, guarded, note, say

ROOT = Path(__file__).resolve().parents[1]
INTERRUPTED = "130 interrupted"
# How long a thread of OpenMP (libgomp) spins before it sleeps. Its own default, milliseconds, is right for idle cores
# alone: of two threads on two busy cores each waits for the other, and a step takes forty times as long.
SPIN = "1000"
THREADS = re.compile(r"machine\.threads=([1-9][0-9]{0,2})")  # what every verb takes: how many of the processor compute


def duration(text: str) -> float:
    """A number above 0 and no infinity; ValueError for another."""
    if not 0 < float(text) < 1e9:
        raise ValueError
    return float(text)


def path(text: str) -> Path:
    """A path, in which ~ is one's home wherever it stands in the argument.

    UserError for none, which would mean `.`, and for links in a circle, of which Python tells in several ways.
    """
    if not text:
        raise UserError("an empty argument where a path is expected; does a variable of the shell have no value?")
    where = Path(os.path.expanduser(text) if text.split("/")[0] == "~" else text)  # as a shell: ~ without a home
    try:
        os.stat(where)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(explain(error)) from None
    return where


TYPES = {"path": path, "int": int, "float": float, "duration": duration}


@dataclass(frozen=True)
class Verb:
    does: str
    example: str
    arguments: dict[str, dict[str, Any]]  # name, or option -> what argparse takes
    exclusive: tuple[str, ...] = ()  # options of which one at a time can be given
    more: str = ""
    judges: tuple[str, str] | None = None  # what the exit statuses 0 and 1 mean
    needs_tree: bool = False


def read(text: str) -> dict[str, Verb]:
    """The table of verbs, by name, from TOML."""
    tables = tomllib.loads(text)
    shared = tables.pop("shared")
    for verb in tables.values():
        options = {name: shared[name] if own is True else own for name, own in verb["arguments"].items()}
        verb["arguments"] = {name: {**own, "type": TYPES[own["type"]]} if "type" in own else own
                             for name, own in options.items()}  # fmt: skip
    return {name: Verb(**table) for name, table in tables.items()}


VERBS = read(Path(__file__).with_name("verbs.toml").read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb with its arguments; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    return guarded(answer, words, failure(VERBS[words[0]]) if words[0] in VERBS else 1)


def answer(words: Sequence[str]) -> int:
    """Tell what there is, or run the verb that the first word is; returns the exit status."""
    name = words[0]
    if name in ("-h", "--help"):
        verbs = [f"  {each:<10} {verb.does}" for each, verb in VERBS.items()]
        say("\n".join(["usage: pellucid VERB ...", "", *verbs, "", "pellucid VERB --help tells the rest; --version"]))
        return 0
    if name == "--version":
        say(f"pellucid {version()}")
        return 0
    if name not in VERBS:
        kind = "option" if name.startswith("-") else "verb"
        known = [*VERBS, "--help", "--version"]
        hint = "; a verb comes first" * name.startswith("-") + "; `pellucid --help` lists all verbs"
        fail(f"{name}: no such {kind}{did_you_mean(name, known) or hint}", 2)
    args = parse(name, list(words[1:]))
    args.say = note if args.json else say
    return perform("plan" if getattr(args, "dry_run", False) else name, args)


def perform(name: str, args: argparse.Namespace) -> int:
    """Run one verb and print its report, as lines or as JSON; returns the exit status."""
    if VERBS[name].needs_tree and not source_tree():
        without = ", ".join(each for each, verb in VERBS.items() if not verb.needs_tree)
        raise UserError(
            f"{name}: works in a clone of the repository alone, as a release holds the source tree that made it; this "
            f"is an installed package. Clone it and work there. What works without: {without}"
        )
    if args.threads:
        os.environ["OMP_NUM_THREADS"] = args.threads  # read when torch is loaded
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN)  # read when torch is loaded, by children too
    command: Any = importlib.import_module(f"train.commands.{name}")
    report = command.run(args)
    with contextlib.suppress(Unread):  # nobody has to read all of a report
        if args.json:
            say(json.dumps(report, indent=2, default=vars))
        elif hasattr(command, "lines"):
            say("\n".join(command.lines(report, args)))
        elif Path(command.__file__).with_suffix(".jinja").is_file():  # else all was said
            say("\n".join(by_template(name, report, args)))
    return int(command.status(report)) if VERBS[name].judges else 0


def by_template(name: str, report: Any, args: argparse.Namespace) -> list[str]:
    """The lines that the template of a verb, `train/commands/VERB.jinja`, makes of its report."""
    from train.release.cards import templates
    from train.release.standards.osaid import ladder

    return templates.lines(f"{name}.jinja", report=report, args=args, ladder=ladder, repr=repr)


def source_tree() -> bool:
    """Whether this code lies in its source tree, with configs, tests and lock."""
    return (ROOT / "pyproject.toml").is_file()


def failure(verb: Verb) -> int:
    """The exit status of a verb that cannot be done."""
    return 2 if verb.judges else 1


def version() -> str:
    """The version of the source tree, or of the installed package."""
    if source_tree():
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("pellucid")


class Parser(argparse.ArgumentParser):
    """The argument parser of one verb; says what is wrong with them in one line, and what was probably meant."""

    failure = 1

    def error(self, message: str) -> NoReturn:
        match = re.match(r"unrecognized arguments: (-[^\s=]*)|.*invalid choice: '([^']*)'", message)
        word = (match[1] or match[2]) if match else ""
        choices = [str(each) for action in self._actions for each in action.choices or ()]
        hint = did_you_mean(word, [*self._option_string_actions, *choices]) if word else ""
        fail(f"{message}{hint or '; --help shows what is allowed'}", self.failure)


def parse(name: str, words: list[str]) -> argparse.Namespace:
    """Parse the arguments of a verb, which may stand in any order."""
    verb = VERBS[name]
    judged = [f"0 {verb.judges[0]}", f"1 {verb.judges[1]}", "2 cannot tell"] if verb.judges else []
    statuses = judged or ["0 done", "1 it could not be done"]
    parser = Parser(
        prog=f"pellucid {name}",
        description=textwrap.fill(f"{verb.does[0].upper()}{verb.does[1:]}. {verb.more}".strip(), 100),
        epilog=f"example:\n  pellucid {name} {verb.example}\n\nexit status:\n  {', '.join([*statuses, INTERRUPTED])}",
        allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.failure = failure(verb)
    group = parser.add_mutually_exclusive_group() if verb.exclusive else parser
    for argument, options in verb.arguments.items():
        (group if argument in verb.exclusive else parser).add_argument(argument, **options)
    parser.add_argument("--json", action="store_true", help="print what comes out as JSON")
    threads, typed = [], words[: words.index("--")] if "--" in words else words
    if not {"machine", "overrides", "words"} & verb.arguments.keys() and name != "verify":  # they take all of `machine`
        threads = [match[1] for word in typed if (match := THREADS.fullmatch(word))]
        words = [*(word for word in typed if not THREADS.fullmatch(word)), *words[len(typed) :]]
    args = parser.parse_args(words) if "--" in words else parser.parse_intermixed_args(words)
    args.threads = threads[-1] if threads else None
    return args
