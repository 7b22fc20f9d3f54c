"""From a page of HTML to its main text, by `trafilatura`, the extractor that web corpora are made with.

The rule. Kept: headings, paragraphs, lists, tables and code of what the extractor finds to be the page's own content, a
line each, as plain text. Gone: navigation, headers, footers, side bars, adverts, forms, scripts, comments of readers,
images, the targets of links. A page without such content is empty. One with elements more than 255 deep in one
another is no document, for these are not read. What the extractor finds is its own release's finding: that is the one
that the lock pins, and another is refused.
"""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from train.errors import UserError

RELEASE = "2.3.1"  # of trafilatura, whose findings are products
LARGEST = 2**23  # bytes of a page: the extractor's time can grow with the square of them
BEGINNING = 50  # characters in which the extractor looks for "html"
# Control characters by their numbers, for which the extractor would give up the page.
CONTROL = re.compile(r"&#(?:0*(?:[0-8]|11|1[4-9]|2\d|3[01])|x0*(?:[0-8bef]|1[0-9a-f]));", re.IGNORECASE)


def main_text(page: str) -> str:
    """The main text of a page; UserError without the extractor, or with another release of it."""
    page = CONTROL.sub("", page)
    if "html" not in page[:BEGINNING].lower():  # its tags may be left out, but the extractor takes it for no page then
        page = f"<!doctype html>{page}"
    return extractor()(page, include_comments=False) or ""


def unread(page: str) -> str:
    """Why a page is not read to its end: its elements stand too deep in one another; else empty."""
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.HTMLParser(encoding="utf-8")
    with suppress(etree.LxmlError):  # a page of nothing
        etree.fromstring(page.encode(), parser)
    deep = any("Excessive depth" in entry.message for entry in parser.error_log)
    return "its elements stand more than 255 deep in one another, and are not read" if deep else ""


@cache
def extractor() -> Callable[..., str | None]:
    try:
        state = f"{version('trafilatura')} is"
    except PackageNotFoundError:
        state = "it is not"
    if state != f"{RELEASE} is":
        raise UserError(
            f"HTML is read by trafilatura {RELEASE}, and {state} installed: .venv/bin/python -m pip install "
            f"trafilatura=={RELEASE} lxml_html_clean, or exclude such files"
        )
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # that a page is empty is counted
    return trafilatura.extract
