"""Whatever a template of Markdown writes has no structure of its own; numbers in cards come from records."""

import jinja2
import pytest
from conftest import refusal

from train.release.cards import templates


@pytest.mark.parametrize(("template", "text"), [
    ("{{ x }}", "a \\| &lt;b> # c"), ("| {{ 1234 }} | {{ 0.5 }} | {{ true }} |\n", "| 1,234 | 0.5000 | True |\n"),
    ("# {{ x | line }}", "# a \\| &lt;b> # c"), ("{{ x | prose }}", "a \\| &lt;b>\n\\# c"),
    ("{{ x | quoted }}", "    a | <b>\n    # c\n"), ("`{{ x | json }}`", '`"a \\| &lt;b>\\n# c"`'),
    ("{{ {'low': 1, 'high': 0.5} | interval }}, {{ {} | interval }}.", "1 to 0.5000, ."),
])  # fmt: skip
def test_a_value_comes_into_a_page_by_one_door(tmp_path, monkeypatch, template, text):
    (tmp_path / "page.md.jinja").write_text(template)
    monkeypatch.setattr(templates, "ROOMS", [tmp_path])
    assert templates.markdown("page.md.jinja", x="a | <b>\n# c").decode() == text


def test_a_value_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "page.md.jinja").write_text("{{ nothing }}")
    monkeypatch.setattr(templates, "ROOMS", [tmp_path])
    refusal(templates.markdown, "page.md.jinja", error=jinja2.UndefinedError)
