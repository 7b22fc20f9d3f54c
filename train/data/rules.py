"""What makes us drop or change a document: one pure function a reason.

A function's name is its threshold's name in the config, its `reason` in the ledger and its row in the data card,
which shows the first line of its docstring.

* A predicate takes (text, threshold) and returns what it saw, or None when the text passes.
* A redactor takes (text, mark) and returns the text with `mark` in the place of each find, and how many it found.

Redactors run first and predicates judge what is left, so each rule can be checked again on the text we keep.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing

from train.data.contamination import contaminated

Predicate = Callable[[str, float], str | None]
Redactor = Callable[[str, str], tuple[str, int]]


def too_short(text: str, threshold: float) -> str | None:
    """Fewer characters than the threshold."""
    return f"{len(text)} characters" if len(text) < threshold else None


def too_long(text: str, threshold: float) -> str | None:
    """More characters than the threshold."""
    return f"{len(text)} characters" if len(text) > threshold else None


def mostly_symbols(text: str, threshold: float) -> str | None:
    """A larger share of characters than the threshold is neither a letter nor white space: tables, dumps, markup."""
    share = len(PROSE.sub("", text)) / max(1, len(text))
    return f"{share:.4f} of characters" if share > threshold else None


PROSE = re.compile(r"[^\W\d_]+|\s+")


def repeated_lines(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in lines that occur more than once."""
    lines = Counter(line for line in map(str.strip, text.splitlines()) if line)
    total = sum(len(line) * times for line, times in lines.items())
    repeated = sum(len(line) * times for line, times in lines.items() if times > 1)
    share = repeated / max(1, total)
    return f"{share:.4f} of the text" if share > threshold else None


def email_addresses(text: str, mark: str) -> tuple[str, int]:
    """E-mail addresses, replaced by a mark. Those at reserved example domains (RFC 2606) belong to nobody and stay."""
    if "@" not in text:
        return text, 0
    return EMAIL.subn(lambda _: mark, text)


# Beside example domains, `git@host` (a way to reach a repository) and `@person@host` (a page) stay.
EMAIL = re.compile(
    r"(?<![\w.+%@-])(?!git@)[A-Za-z0-9][\w.+%-]{0,63}@"
    r"(?!(?i:(?:[\w-]+\.)*(?:example(?:\.(?:com|net|org))?|test|invalid|localhost))(?![\w-]|\.\w))"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}(?![\w@])"
)


def secrets(text: str, mark: str) -> tuple[str, int]:
    """Private keys and access tokens of well-known services, replaced by a mark; only forms hard to mistake."""
    return SECRET.subn(lambda _: mark, text) if SECRET_HINT.search(text) else (text, 0)


SECRET = re.compile(
    "|".join(
        (
            # Placeholders with `...` for a body stay. Nothing is tried twice, however a text is made.
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?>(?:(?!-----)[\s\S]){0,400}?[A-Za-z0-9+/]{40})(?:(?!-----)[\s\S]){0,20000}+"
            r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",  # AWS access key id
            r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b",  # GitHub
            r"\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
            r"\bglpat-[\w-]{20,}\b",  # GitLab
            r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}\b",  # Slack
            r"\bhttps://hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,}",
            r"\bAIza[\w-]{35}(?![\w-])",  # Google
            r"\bsk_live_[A-Za-z0-9]{20,}\b",  # Stripe
            r"\bnpm_[A-Za-z0-9]{36}\b",
            r"\bhf_[A-Za-z]{34}\b",  # Hugging Face
            r"\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}",
            r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}",  # JSON Web Token
        )
    )
)
# The literal starts alone, to pass quickly over the many texts that hold none.
SECRET_HINT = re.compile(
    r"PRIVATE KEY|A[KS]IA|gh[pousr]_|github_pat_|glpat-|xox|slack|AIza|sk_live_|npm_|hf_|pypi-|eyJ"
)


def exact_duplicates(document: str, kept: str) -> str | None:
    """The same text stands in another document; the first one by source and path is kept."""
    return f"same text as {kept}" if document != kept else None


def near_duplicates(document: str, kept: str, similarity: float) -> str | None:
    """Most runs of five words stand in another document too (MinHash); the longest of all that are alike is kept."""
    return f"{similarity:.2f} like {kept}" if document != kept else None


def licences(expression: str, allowed: Iterable[str]) -> str | None:
    """A source's licence is outside the allowed ones: the build stops.

    `expression` is SPDX. AND needs both sides allowed, OR one of them; `X WITH exception` must be allowed as a whole.
    """
    spdx = get_spdx_licensing()
    try:
        wanted = spdx.parse(expression, validate=True)
    except ExpressionError as error:
        return f"'{expression}' is no SPDX expression ({error})"
    names = set(allowed)

    def within(node: Any) -> bool:
        if isinstance(node, spdx.AND):
            return all(map(within, node.args))
        if isinstance(node, spdx.OR):
            return any(map(within, node.args))
        return str(node) in names

    return None if wanted is not None and within(wanted) else f"'{expression}' is not among {', '.join(sorted(names))}"


PREDICATES: tuple[Predicate, ...] = (too_short, too_long, mostly_symbols, repeated_lines)
REDACTORS: tuple[Redactor, ...] = (email_addresses, secrets)
COMPARISONS = (exact_duplicates, near_duplicates, contaminated)  # with other documents and with evaluation sets


def described() -> dict[str, str]:
    """Every rule's name and, in a sentence, what it finds; in the order in which they apply."""
    named = (licences, *REDACTORS, *PREDICATES, *COMPARISONS)
    return {rule.__name__: str(rule.__doc__).splitlines()[0] for rule in named}
