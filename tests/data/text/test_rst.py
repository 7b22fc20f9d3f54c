"""Known markup becomes known prose."""

import pytest
from conftest import is_linear

from train.data.text.rst import restructuredtext, role

RST = {
    "heading": ("=====\nTitle\n=====\n\nGo\n--\n\nText.\n", "Title\n\nGo\n\nText.\n"),
    "roles": ("See :class:`~foo.Bar`, :ref:`the guide <guide>` and :pep:`8`.\n", "See Bar, the guide and PEP 8.\n"),
    "links": ("A `link <https://x.org>`_, a `phrase`_ and a word_.\n", "A link, a phrase and a word.\n"),
    "emphasis": ("*One* and **two**, but 2 * 3 * 4.\n", "One and two, but 2 * 3 * 4.\n"),
    "literals": ("Call ``f(*args, **kwargs)`` or ``coef_`` now.\n", "Call `f(*args, **kwargs)` or `coef_` now.\n"),
    "escapes": (r"Two\ words and \*stars\*." + "\n", "Twowords and *stars*.\n"),
    "targets and comments": (".. _label:\n\n.. A comment\n   over lines\n\n.. _x: https://x.org\n\nText.\n", "Text.\n"),
    "table of contents": (".. toctree::\n   :maxdepth: 2\n\n   one\n   two\n\nText.\n", "Text.\n"),
    "note": (".. note:: Mind\n   the *gap*.\n\nText.\n", "Mind\nthe gap.\n\nText.\n"),
    "nested": (
        ".. tip::\n\n   Try:\n\n   .. code-block:: sh\n      :caption: no\n\n      ls *\n",
        "Try:\n\n    ls *\n",
    ),
    "version": (".. versionadded:: 3.2\n   The *key*.\n", "Added in version 3.2\nThe key.\n"),
    "object": (".. function:: f(*args)\n   :async:\n\n   Does **it**.\n", "f(*args)\n\nDoes it.\n"),
    "fields": (":orphan:\n\n:param int size: Bytes.\n:returns: A file.\n", "size: Bytes.\nreturns: A file.\n"),
    "literal block": ("Like so::\n\n  a = *b*\n\n  c\n\nEnd.\n", "Like so:\n\n    a = *b*\n\n    c\n\nEnd.\n"),
    "literal block in a list": ("- Item::\n\n    *x*\n\n  More *text*.\n", "- Item:\n\n    *x*\n\n  More text.\n"),
    "doctest": ("Try:\n\n>>> f(**x)\n*y*\n\nEnd.\n", "Try:\n\n    >>> f(**x)\n    *y*\n\nEnd.\n"),
    "substitution": ("A |new| day.\n\n.. |new| replace:: *fresh*\n", "A fresh day.\n"),
    "grid table": ("+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n+---+---+\n", "a  b\n1  2\n"),
    "simple table": ("===  ===\na    b\n===  ===\n1    2\n===  ===\n", "a    b\n1    2\n"),
    "footnote": ("Text [#a]_ and [1]_.\n\n.. [1] A *book*.\n", "Text and [1].\n\n[1] A book.\n"),
    "raw and image": (".. raw:: html\n\n   <b>x</b>\n\n.. image:: x.png\n   :alt: y\n\nText.\n", "Text.\n"),
    "figure": (".. figure:: x.png\n   :width: 3\n\n   The caption.\n", "The caption.\n"),
    "unknown directive": (".. curious:: arg\n\n   Its text.\n", "Its text.\n"),
    "only markup": (".. toctree::\n\n   a\n", ""),
}


@pytest.mark.parametrize(("source", "expected"), RST.values(), ids=RST.keys())
def test_restructuredtext(source, expected):
    assert restructuredtext(source) == expected


@pytest.mark.parametrize(("name", "target", "expected"), [
    ("class", "~foo.Bar", "Bar"), ("class", "foo.Bar", "foo.Bar"), ("class", "_orm.Session", "Session"),
    ("meth", "!x.y", "x.y"), ("doc", "/topics/db", "db"), ("ref", "A title <label>", "A title"),
    ("rfc", "4180", "RFC 4180"),
])  # fmt: skip
def test_roles(name, target, expected):
    assert role(name, target) == expected


PIECES = ["`", "*a ", "[", ":a", "<", "| ", "|=", ">>> a\n\n"]
LONG = [
    *(lambda size, piece=piece: piece * size for piece in PIECES),
    *(lambda size, start=start: start + " " * size for start in ("`", ":a", ":param")),
    lambda size: "".join(" " * i + ".. note::\n" for i in range(int(size**0.5))),
    lambda size: "".join("`" * i + "{note}\n" for i in range(3, int(size**0.5))),
]


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_a_text_twice_as_long_takes_about_twice_as_long(text):
    assert is_linear(restructuredtext, text, 80_000)
