import time

import pytest

from train.data import rules
from train.data.rules import email_addresses, licences, secrets


@pytest.mark.parametrize(
    ("rule", "inside", "outside", "threshold", "saw"),
    [
        (rules.too_short, "four", "fou", 4, "3 characters"),
        (rules.too_long, "four", "fours", 4, "5 characters"),
        (rules.mostly_symbols, "ab c 12", "ab c 123", 2 / 7, "0.3750 of characters"),
        (rules.repeated_lines, "a\na\nbcde", "a\na\nbcd", 2 / 6, "0.4000 of the text"),
        (rules.exact_duplicates, "here", "there", "here", "same text as here"),
    ],
)
def test_a_predicate_passes_just_inside_and_drops_just_outside(rule, inside, outside, threshold, saw):
    assert rule(inside, threshold) is None
    assert rule(outside, threshold) == saw


def test_letters_of_any_script_are_no_symbols():
    assert rules.mostly_symbols("Größe λόγος слово 言葉", 0) is None
    assert rules.mostly_symbols("", 0) is None


def test_blank_lines_and_indentation_do_not_count_as_repetition():
    assert rules.repeated_lines("a\n\n\n\nb", 0) is None
    assert rules.repeated_lines("  a\na", 0.9) == "1.0000 of the text"


@pytest.mark.parametrize(
    "text",
    [
        "ann@site.org",
        "a.b+c%d-e_f@mail.some-site.co.uk",
        "ANN@SITE.ORG",
        "mailto:ann@site.org",
        "<ann@site.org>.",
        "ann@notexample.com",
    ],
)
def test_an_address_is_redacted(text):
    redacted, found = email_addresses(f"write to {text} now", "<email>")
    assert found == 1
    assert "@" not in redacted
    assert redacted.startswith("write to ") and redacted.endswith(" now")


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com",
        "ANN@MAIL.EXAMPLE.ORG",
        "ann@example",
        "ann@my.test",
        "root@localhost",
        "git@forge.org:x/y.git",
        "@pytest.fixture",
        "@person@host.social",
        "a @ b.T",
        "a@b.T",
        "name@1.2.3",
        "pkg:pypi/django@6.1.3",
        "user@host",
    ],
)
def test_what_only_looks_like_an_address_stays(text):
    assert email_addresses(text, "<email>") == (text, 0)


# Put together here, so that no scanner takes this file for a leak.
KEY = "A1b2C3d4" * 6
BLOCK = "-----BEGIN RSA PRIVATE " + f"KEY-----\n  {KEY}\n  {KEY}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        "AK" + "IA" + "ABCDEFGHIJKLMNOP",
        "gh" + "p_" + KEY[:36],
        "github" + "_pat_" + KEY + KEY[:20],
        "xox" + "b-" + "123456789012-" + KEY[:24],
        "AI" + "za" + KEY[:35],
        "sk_" + "live_" + KEY[:24],
        "glpat-" + KEY[:20],
        "npm_" + KEY[:36],
        "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "eyJ" + KEY[:20] + ".eyJ" + KEY[:20] + "." + KEY[:30],
    ],
)
def test_a_secret_is_redacted(text):
    assert secrets(f"key = '{text}'\n", "<secret>") == ("key = '<secret>'\n", 1)


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        BLOCK.replace("PRIVATE", "PUBLIC"),
        "AKIA",
        "AK" + "IAIOSFODNN",
        "ghp_short",
        "hf_hub_download",
        "npm_config_registry",
        "xoxo",
        "sk_live_key",
        "pypi-index",
        "0123456789abcdef" * 4,
    ],
)
def test_what_only_looks_like_a_secret_stays(text):
    assert secrets(text, "<secret>") == (text, 0)


def test_two_key_blocks_are_two_finds_and_what_is_between_them_stays():
    placeholder = "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"
    text = f"{placeholder}\none\n{BLOCK}\ntwo\n{BLOCK}"
    assert secrets(text, "#") == (f"{placeholder}\none\n#\ntwo\n#", 2)


def test_a_mark_is_taken_literally():
    assert email_addresses("to ann@site.org", r"\1\g<0>") == (r"to \1\g<0>", 1)
    assert secrets(BLOCK, r"\1") == (r"\1", 1)


def test_no_text_can_make_a_rule_slow():
    hostile = [
        "a" * 10**6,
        "a." * 10**5 + "@",
        "a@" * 10**5,
        "a@" + "b." * 10**5,
        BLOCK[:60] * 10**4,
        "ey" + "J-" * 10**5,
        "-" * 10**6,
    ]
    for text in hostile:
        started = time.process_time()
        email_addresses(text, "")
        secrets(text, "")
        assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("expression", "allowed", "passes"),
    [
        ("MIT", ["MIT"], True),
        ("MIT", ["BSD-3-Clause"], False),
        ("MIT AND BSD-3-Clause", ["MIT"], False),
        ("MIT AND BSD-3-Clause", ["MIT", "BSD-3-Clause"], True),
        ("GPL-2.0-only OR MIT", ["MIT"], True),
        ("GPL-2.0-only OR Apache-2.0", ["MIT"], False),
        ("MIT AND (GPL-2.0-only OR BSD-3-Clause)", ["MIT", "BSD-3-Clause"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], False),
        ("GPL-2.0-only", ["GPL-2.0-only WITH Classpath-exception-2.0"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
        ("Whatever", ["Whatever"], False),
        ("MIT AND", ["MIT"], False),
        ("", ["MIT"], False),
    ],
)
def test_licences(expression, allowed, passes):
    assert (licences(expression, allowed) is None) == passes


def test_the_licence_problem_names_licence_and_list():
    assert licences("CC-BY-SA-4.0", ["MIT", "BSD-3-Clause"]) == "'CC-BY-SA-4.0' is not among BSD-3-Clause, MIT"


def test_every_rule_describes_itself_in_a_line():
    described = rules.described()
    assert next(iter(described)) == "licences"
    assert {"too_short", "secrets", "exact_duplicates"} <= described.keys()
    assert all(20 < len(line) < 120 and line.endswith(".") for line in described.values())
