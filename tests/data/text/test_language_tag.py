"""Language tags, and the language of ISO 639 in them."""

import pytest

from train.data.text.language_tag import check_tag, language


@pytest.mark.parametrize(("tag", "by_iso"), [
    ("en", "en"), ("pt-BR", "pt"), ("zh-Hant-TW", "zh"), ("sr-Latn", "sr"), ("es-419", "es"), ("gsw", "gsw"),
    ("de-CH-1996", "de"), ("sl-rozaj-biske", "sl"), ("zh-cmn-Hans-CN", "zh"), ("en-a-bbb-x-a-ccc", "en"),
    ("mul", "mul"), ("und", "und"), ("haw-US", "haw"),
])  # fmt: skip
def test_a_tag_has_its_language(tag, by_iso):
    check_tag(tag)
    assert language(tag) == by_iso


@pytest.mark.parametrize(("tag", "hint"), [
    ("English", ""), ("german", ""), ("xx", ""), ("jp", ""), ("", ""), ("-", ""), ("en-", ""), ("en--US", ""),
    ("x-klingon", ""), ("en, de", ""), ("de/en", ""), ("en_US", "'en-US'"), ("EN", "'en'"), ("pt-br", "'pt-BR'"),
    ("zh-hant-tw", "'zh-Hant-TW'"), ("multilingual", ""), ("pt\n", ""), ("\uff45\uff4e", ""),
])  # fmt: skip
def test_a_word_that_is_no_tag_is_refused(tag, hint):
    with pytest.raises(ValueError, match=r"language: expected a tag of BCP 47") as refused:
        check_tag(tag)
    assert (f"did you mean {hint}?" in str(refused.value)) == bool(hint)
