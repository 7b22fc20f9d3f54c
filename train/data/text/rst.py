"""From reStructuredText to readable prose, with a light touch.

The rule. Kept: paragraphs, lists, headings (their text), the text of notes and of most other directives, the
signatures of described objects, the cells of tables, footnotes, and every code sample and literal block, indented
by four spaces. Gone: names, options and arguments of directives, tables of contents, images, comments,
link targets, substitution definitions, raw HTML, the lines that underline headings and frame tables, and the marks
of emphasis, roles and links, of which the text stays. What is code is never touched inside; inline code stands in
single back-quotes. It is line by line and knows no document tree: odd markup comes through as it was written.
"""

import re
from collections.abc import Callable, Iterator
from itertools import takewhile

DEPTH = 30  # of nested directives; deeper ones stay as they are

# Directives whose body goes with them.
NOISE = re.compile(
    r"auto.*|bibliography|c:alias|click:run|codeauthor|contents|cpp:alias|cssclass|default-domain|default-role|digraph|"
    r"footer|graph|graphviz|header|highlight|highlightlang|image|include|index|inheritance-diagram|literalinclude|"
    r"mermaid|meta|minigallery|moduleauthor|program|(?:[a-z]+:)?(?:current)?module|raw|role|rst-class|sectionauthor|"
    r"sectnum|tabularcolumns|testcleanup|testsetup|title|toctree|uml"
)
# Directives whose body is code or a formula.
CODE = re.compile(
    r"click:example|code|code-block|code-cell|code-tab|console|doctest|ipython|jupyter-execute|math|parsed-literal|plot|"
    r"productionlist|prompt|sourcecode|testcode|testoutput"
)
# Directives whose argument is the signature or name of what the body describes.
OBJECTS = re.compile(
    r"(?:[a-z]+:)?(?:attribute|class|classmethod|cmdoption|command|concept|confval|data|decorator|decoratormethod|"
    r"describe|directive(?::option)?|django-admin|django-admin-option|enum|enumerator|envvar|event|exception|"
    r"fieldlookup|fixture|function|globalvar|hook|interface|macro|member|method|object|option|property|reqmeta|role|"
    r"setting|signal|stat|staticmethod|struct|templatefilter|templatetag|type|union|var)"
)
# Directives whose argument is text.
TEXT = re.compile(
    r"admonition|attention|caution|centered|danger|deprecated|dropdown|epigraph|error|hint|important|note|pull-quote|"
    r"rubric|seealso|sidebar|snippet|tip|todo|topic|version-?(?:added|changed|deprecated|removed)|warning"
)
VERSION = {"added": "Added in version ", "changed": "Changed in version ", "removed": "Removed in version "}
NUMBERED = {"pep": "PEP ", "rfc": "RFC ", "cve": "CVE-", "cwe": "CWE-"}

DIRECTIVE = re.compile(r"\.\. +([A-Za-z][\w:.+-]*?) ?::(?: +(.*))?$")
REPLACEMENT = re.compile(r"^ *\.\. +\|([^|\n]+)\| +replace:: *(.*)$", re.MULTILINE)
FOOTNOTE = re.compile(r"\.\. +(\[[^\]]+\] .*)$")
OPTION = re.compile(r"[^\S\n]*:[A-Za-z][\w -]*:(?:\s|$)")
ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}$|([=~^\"'-])\2$")
TABLE_BORDER = re.compile(r"(?:[+|](?=[+| ]*[-=])[-=+| ]*[+|]|=+(?: +=+)+|-+(?: +-+)+)$")
LIST_ITEM = re.compile(r"(?:[-*+•]|\(?(?:\d+|#|[A-Za-z])[.)]) +")
PARAMETER = re.compile(r"^([^\S\n]*):(?:param|parameter|arg|argument|key|keyword|type|var|ivar|cvar)\s++"
                       r"(?:[^:`]*\s)?(\\?\*{0,2}\w+):(?=\s|$)", re.MULTILINE)  # fmt: skip
FIELD = re.compile(r"^([^\S\n]*):(?=[^:`\n]*:(?:\s|$))([A-Za-z][\w /-]*)(?: [^:`\n]*)?:(?=\s|$)", re.MULTILINE)
FILE_FIELD = re.compile(r":(?:orphan|nosearch|tocdepth|nocomments|hide-\w+|html_theme[\w.]*|template):.*$")

RST_INLINE = re.compile(
    r"``(?P<literal>(?:[^`]|`(?!`))+)``"
    r"|:(?P<role>[A-Za-z][\w.+:-]{0,40}):`(?P<target>[^`]+)`"
    r"|`(?P<link>[^`<]*)<(?P<url>[^`<>]*)>`_{0,2}"
    r"|`(?P<text>[^`]+)`_{0,2}"
    r"|\*\*(?P<strong>[^\s*](?:[^*]*[^\s*])?)\*\*"
    r"|(?<![\w*/])\*(?P<emphasis>[^\s*](?:[^*]*[^\s*])?)\*(?![\w*])"
    r"|\|(?P<substitution>[^\s|](?:[^|\n]*[^\s|])?)\|_{0,2}"
    r"|\s?(?P<footnote>\[(?:\#[\w-]*|\*)\]_)"
    r"|(?<=[A-Za-z0-9\]])(?P<reference>__?)(?=[\s.,;:!?)\]'\"]|\Z)"
    r"|\\(?P<escaped>.|\n)",
    re.DOTALL,
)


def restructuredtext(text: str) -> str:
    """`text` without its reStructuredText markup, by the rule above."""
    replacements = {name: _rst_inline(value, {}) for name, value in REPLACEMENT.findall(text)}
    lines = [line.expandtabs(8).rstrip() for line in text.split("\n")]
    return _tidy(_rst(lines, 0, lambda paragraph: _rst_inline(paragraph, replacements)))


def _tidy(lines: Iterator[str]) -> str:
    text = "\n".join(line.rstrip() for line in lines).strip("\n")
    return re.sub(r"\n{3,}", "\n\n", text) + "\n" if text.strip() else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _block(lines: list[str], start: int, indent: int) -> int:
    """One past the last line from `start` on that is blank or indented deeper than `indent`."""
    end = start
    while end < len(lines) and (not lines[end] or _indent(lines[end]) > indent):
        end += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return end


def _dedent(lines: list[str]) -> list[str]:
    margin = min((_indent(line) for line in lines if line), default=0)
    return [line[margin:] for line in lines]


def _verbatim(lines: list[str], margin: str = "    ") -> Iterator[str]:
    yield ""
    yield from (margin + line if line else "" for line in _dedent(lines))
    yield ""


def _rst(lines: list[str], depth: int, inline: Callable[[str], str]) -> Iterator[str]:
    if depth > DEPTH:
        yield from lines
        return
    paragraph: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        text = line.lstrip()
        indent = len(line) - len(text)
        if text.startswith(".. ") or text in ("..", "__") or text.startswith("__ "):
            yield from _flush(paragraph, inline)
            end = at if text == ".." and not "".join(lines[at : at + 1]) else _block(lines, at, indent)
            body = lines[at:end]
            at = end
            yield from (" " * indent + line if line else "" for line in _explicit(text, body, depth, inline))
        elif text.startswith(">>> "):
            yield from _flush(paragraph, inline)
            begin, at = at - 1, next((i for i in range(at, len(lines)) if not lines[i]), len(lines))
            yield from _verbatim(lines[begin:at])
        elif text.endswith("::") and not FILE_FIELD.match(text):
            # A literal block is deeper than the text before it, which in a list item starts after the bullet.
            item = None if paragraph else LIST_ITEM.match(text)
            margin = indent + (item.end() if item else 0)
            paragraph.append(line.removesuffix("::") + ("" if text == "::" or text.endswith(" ::") else ":"))
            yield from _flush(paragraph, inline)
            end = _block(lines, at, margin)
            if not "".join(lines[at : at + 1]):
                yield from _verbatim(lines[at:end])
                at = end
        elif not text:
            yield from _flush(paragraph, inline)
            yield ""
        elif TABLE_BORDER.match(text):
            yield from _flush(paragraph, inline)
        elif ADORNMENT.match(text):
            yield from _flush(paragraph, inline)
            yield ""
        elif FILE_FIELD.match(text):
            continue
        elif text.startswith("| ") or text == "|":
            yield from _flush(paragraph, inline)
            cells = (cell.strip() for cell in re.split(r"(?:^|\s)\|(?:\s|$)", text))
            yield inline(" " * indent + "  ".join(filter(None, cells)))
        else:
            paragraph.append(line)
    yield from _flush(paragraph, inline)


def _flush(paragraph: list[str], inline: Callable[[str], str]) -> Iterator[str]:
    """Yield the paragraph so far, and empty it."""
    if paragraph:
        yield from inline("\n".join(paragraph)).split("\n")
        paragraph.clear()


def _explicit(text: str, body: list[str], depth: int, inline: Callable[[str], str]) -> Iterator[str]:
    """What stays of an explicit markup block: a directive, footnote, target, substitution or comment."""
    if footnote := FOOTNOTE.match(text):
        yield from _rst([footnote[1], *_dedent(body)], depth + 1, inline)
    directive = DIRECTIVE.match(text)
    if directive is None or NOISE.fullmatch(directive[1]):
        return
    name, argument = directive[1].lower(), directive[2] or ""
    head = len(list(takewhile(bool, body)))
    body = _dedent([line for i, line in enumerate(body) if i >= head or not OPTION.match(line)])
    if CODE.fullmatch(name):
        yield from _verbatim([argument, *body] if name == "math" else body)
    elif OBJECTS.fullmatch(name):
        signature = list(takewhile(bool, body))
        yield from ["", argument, *signature, *_rst(_dedent(body[len(signature) :]), depth + 1, inline), ""]
    else:
        opening = [_opening(name) + argument] if TEXT.fullmatch(name) else []
        yield from ["", *_rst(opening + body, depth + 1, inline), ""]


def _opening(name: str) -> str:
    """What introduces the argument of a directive about versions; empty for others."""
    if name.startswith("version"):
        return VERSION.get(name.removeprefix("version").removeprefix("-"), "Deprecated since version ")
    return "Deprecated since version " if name == "deprecated" else ""


def _rst_inline(paragraph: str, replacements: dict[str, str]) -> str:
    def shown(match: re.Match[str]) -> str:
        kind = match.lastgroup
        value = match[kind] if kind else ""
        if kind == "literal":
            return f"`{value}`"
        if kind == "target":
            return role(match["role"], value)
        if kind == "url":
            return match["link"].rstrip() or value
        if kind == "text":
            return role("", value)
        if kind == "substitution":
            return replacements.get(value, value)
        if kind in ("reference", "footnote"):
            return ""
        if kind == "escaped":
            return value if not value.isspace() else ""
        return value

    paragraph = PARAMETER.sub(r"\1\2:", paragraph)
    return RST_INLINE.sub(shown, FIELD.sub(r"\1\2:", paragraph))


def role(name: str, target: str) -> str:
    """What a reader sees of an interpreted text: its title if it has one, else its target's short name.

    >>> role("class", "~foo.Bar")
    'Bar'
    """
    title, opened, _ = target.partition("<")
    if opened and title.strip() and target.endswith(">"):
        return title.rstrip()
    target = target.removeprefix("!")
    if target.startswith("~"):
        return target[1:].rpartition(".")[2] or target[1:]
    if name in NUMBERED:
        return NUMBERED[name] + target
    if name == "doc":
        return target.rpartition("/")[2]
    return re.sub(r"^(?:\.|_[a-z]+\.)(?=\w)", "", target)
