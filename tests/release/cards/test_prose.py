"""People's words come into cards without structure of their own, whatever they hold."""

import re

import pytest
from conftest import edit, failure, refusal

from train.artifact import write_json
from train.release.about import require_words
from train.release.bundle import write_manifest
from train.release.cards import data_card, model_card, prose, report
from train.release.cards.facts import Facts
from train.release.cards.prose import cell, line

STRUCTURE = {
    "a comment": "<!-- the true tables -->", "half a comment": "<!--", "HTML": "<table><tr><td>1</td></tr></table>",
    "a block": "<script>alert(1)</script>", "an address in brackets": "<https://localhost>", "a heading": "# Scores",
    "a deep heading": "###### Scores", "an underlined heading": "Scores\n======", "another": "Scores\n---",
    "a rule": "***", "a spaced rule": "- - -", "a table": "| a | b |\n| --- | --- |\n| 1 | 2 |",
    "a table without edges": "a | b\n--- | ---\n1 | 2", "a table of one column": "a\n:---", "a fence": "```\ncode",
    "another fence": "~~~\ncode", "a block of code": "    rm -rf /", "a tab of code": "\trm -rf /",
    "a heading in a list": "* # Scores", "a heading in a quotation": "> # Scores", "a fence in a list": "1. ```",
    "nested": "* > - # Scores", "a rule in a list": "* ---", "an image": "![a](http://localhost/a.png)",
    "a definition": "[the card]: http://localhost", "a definition in a list": "* [a]: http://localhost",
}  # fmt: skip


@pytest.fixture
def markdown():
    """HTML of Markdown as GitHub has it."""
    parser = pytest.importorskip("markdown_it", reason="reads Markdown as GitHub does")
    return parser.MarkdownIt("gfm-like", {"linkify": False}).render


@pytest.mark.parametrize("kind", STRUCTURE)
def test_words_have_no_structure_of_their_own(kind, markdown):
    text = f"Before.\n\n{prose.prose(STRUCTURE[kind])}\n\nAfter.\n"
    made = markdown(text)
    assert not re.search(r"<(h\d|table|hr|pre|script|img|!--)|&lt;/?p>", made), made
    assert made.startswith("<p>Before.</p>") and made.rstrip().endswith("<p>After.</p>"), made
    single = f"# {line(STRUCTURE[kind])}\n\nAfter.\n"
    assert re.findall("<(h1|table|pre|script|img|!--)", markdown(single)) == ["h1"]


def test_paragraphs_lists_emphasis_code_and_links_stay(markdown):
    text = "One **two** `three` [four](http://localhost).\n\n* a\n  b\n* c\n\n1. d\n\n- not a rule"
    assert markdown(prose.prose(text)) == markdown(text)


@pytest.mark.parametrize("text", ["a\u202eb", "a\x1b[31m", "a\x00", "a\u2066b", "a\x85b", "a\u2028# b", "a" * 50_000])
def test_what_hides_turns_or_overflows_is_refused_before_any_work_and_replaced_in_tables(text):
    for way in (line, prose.prose):
        refusal(way, text, match=r"holds the character|characters; ")
    refusal(require_words, {"title": text}, match=r"^title: ", error=ValueError)
    assert len(cell(text)) < 40_010 and not re.search("[\x00-\x08\x1b\u202e\u2066\x85\u2028]", cell(text))


FIELDS = ("title", "description", "intended_use", "limits", "contact")


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_of_a_release_reaches_a_card_or_the_page_as_structure(copy, field, markdown):
    before = [re.findall(r"<h\d", markdown(made(copy).decode())) for made in CARDS]
    edit(copy / "code/config.json", "release", field, to="<!-- \n# Scores\n\n| a |\n| --- |\n\n<b>best</b>")
    assert [re.findall(r"<h\d", markdown(made(copy).decode())) for made in CARDS] == before
    assert all("<!--" not in made(copy).decode() and "<b>best" not in made(copy).decode() for made in CARDS)
    assert b"<b>best" not in report.report(copy, "0" * 64)


CARDS = (model_card.model_card, data_card.data_card)


def test_a_section_may_not_be_called_as_what_the_pipeline_writes():
    text = "\n".join(f"## {heading}\n\nWords.\n" for heading in (*data_card.SECTIONS, "Sources"))
    head = "".join(f"{key}: x\n" for key in data_card.HEAD)
    refusal(data_card.parsed, f"---\n{head}---\n{text}", "card", "x", match="'## Sources' is written by the pipeline")


def test_a_command_is_one_line_that_a_shell_takes_as_it_was_meant(copy):
    write_json(copy / "code/overrides.json", ["recipe=tiny", "release.title=a b; rm -rf ~"])
    assert Facts(copy).command == "python scripts/run.py recipe=tiny 'release.title=a b; rm -rf ~'"
    write_json(copy / "code/overrides.json", ["recipe=tiny", "release.title=a\n# Scores"])
    assert Facts(copy).command == "python scripts/run.py --config config.json"


LEAKS = {
    "of a mirror": ("raw/retrieved", "a", {"retrieved": "now", "from": "http://localhost/simple"},
                    "a is from 'http://localhost/simple'"),
    "of a home": ("weights/run", "platform", "/home/somebody/linux", "'/home/somebody/linux'"),
    "of a folder": ("release/asked", "places", {"a": {"path": "my/texts"}},
                    "logs/release/asked.json: a: {'path': 'my/texts'} tells a place"),
    "of a password": ("release/asked", "places", {"a": {"mirrors": ["https://me:secret@localhost/a"]}},
                      "https://me:secret@localhost/a"),
}  # fmt: skip


@pytest.mark.parametrize("leak", LEAKS)
def test_no_log_tells_a_path_an_index_or_a_password(copy, leak):
    name, key, value, words = LEAKS[leak]
    edit(copy / f"logs/{name}.json", key, to=value)
    write_manifest(copy)
    assert words in failure(copy, "machine_paths")
