"""The outcome of a check: it holds, it fails, or it was not checked, with the reason. Standard library alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

MOST_OPERATIONS = 10**13  # floating-point ones of one check, above which a sample does: a quarter of an hour, two cores
Status = Literal["holds", "fails", "not checked"]


class NotChecked(Exception):
    """Raised by a check that cannot decide here, with the reason: no network, no key, no room. It is no failure."""


@dataclass(frozen=True)
class Result:
    name: str
    status: Status
    detail: str
    ok: bool = field(init=False)  # what was not checked does not hold

    def __post_init__(self) -> None:
        object.__setattr__(self, "ok", self.status == "holds")


# Checks that need what no release holds, a clone that knows its commit or has its configs, or keys: without these they
# take no rung away.
BESIDE = ("snapshot", "recipe", "signatures")


def against(results: Iterable[Result]) -> list[Result]:
    """What keeps a rung from holding: all that fails, and what was not checked and could have been."""
    return [each for each in results if each.status == "fails" or (not each.ok and each.name not in BESIDE)]


def exit_status(results: Iterable[Result]) -> int:
    """0 if the rung holds, 1 if anything fails, 2 if nothing fails but something was not checked."""
    outcomes = {result.status for result in against(results)}
    return 1 if "fails" in outcomes else 2 if "not checked" in outcomes else 0


def rungs(results: Iterable[Result], of: Mapping[str, str]) -> dict[str, str]:
    """The outcome of each rung that was looked at, where `of` tells the rung of a check; "consistent" of all others."""
    by_rung: dict[str, list[Result]] = {}
    for result in results:
        by_rung.setdefault(of.get(result.name, "consistent"), []).append(result)
    words = {0: "holds", 1: "FAILS", 2: "not checked"}
    return {rung: words[exit_status(each)] for rung, each in by_rung.items()}


def tally(results: Iterable[Result]) -> str:
    """How many checks hold, fail and were not made: `35 of 37 checks hold, 1 fails, 1 not checked`."""
    outcomes = [result.status for result in results]
    failures, unmade = outcomes.count("fails"), outcomes.count("not checked")
    parts = [f"{outcomes.count('holds')} of {len(outcomes)} checks hold"]
    parts += [f"{failures} fail{'s' * (failures == 1)}"] if failures else []
    return ", ".join(parts + ([f"{unmade} not checked"] if unmade else []))
