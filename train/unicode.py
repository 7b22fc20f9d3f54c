"""Unicode: control characters that a terminal obeys, marks that end sentences, scripts without blanks, normal form."""

import re
import unicodedata
from array import array
from functools import cache

# Control characters but tab and line feed, lone surrogates, and the marks that turn the direction of what follows.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """`text` with a mark in place of each character that a terminal would obey, or that turns what follows."""
    return OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


CHARACTERS = 0x110000
JOINERS = "\u200c\u200d"  # zero width; between letters of Persian and of the scripts of India

# Marks that end a sentence and need no blank after them, as `.`, `!` and `?` do, which stand in numbers and links too.
# Ideographic and full-width; Arabic, Urdu, Syriac; Hebrew; Armenian; Devanagari (dandas) and its neighbours; Sinhala;
# Tibetan; Burmese; Ethiopic; Khmer; Mongolian; Balinese; Javanese; double marks.
ENDS = (
    "\u3002\uff01\uff0e\uff1f\uff61\u061d\u061e\u061f\u06d4\u0700\u0701\u0702\u05c3\u0589\u0964\u0965\u0df4"
    "\u0f0d\u0f0e\u104a\u104b\u1362\u1367\u1368\u17d4\u17d5\u1803\u1809\u1b5a\u1b5b\u1b5e\u1b5f\ua9c8\ua9c9\u203c\u203d\u2047\u2048\u2049"
)
CLOSING = "\"')]`\u2019\u201d\u00bb\u203a\u300d\u300f\u3011\u300b\u3009\uff09\uff3d\uff02\uff07"  # quotes and brackets

WORD_MARKS = "\u0f0b\u0f0c\u1361"  # stand between words, or syllables, as blanks do: Tibetan, Ethiopic

# Scripts that part no words by blanks: each letter with its marks counts as a word where words are compared.
UNPARTED = (
    # Thai and Lao, Burmese, Khmer, Tai Le and New Tai Lue, Tai Tham.
    (0x0E01, 0x0EFF), (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0x1780, 0x17D3), (0x1950, 0x19DF),
    (0x1A20, 0x1AAF),
    # Kana and bopomofo, ideographs.
    (0x3005, 0x3007), (0x3021, 0x312F), (0x31A0, 0x31FF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip


@cache
def characters() -> str:
    """Every character of Unicode, in order."""
    return array("I", range(CHARACTERS)).tobytes().decode("utf-32", "surrogatepass")


@cache
def categories() -> bytearray:
    """The first letter of each character's general category, such as L of a letter; M where it belongs to the letter
    before it: a vowel sign, an accent, a point, a joiner."""
    every, letters = characters(), bytearray(b"C" * CHARACTERS)
    for planes in (slice(0x40000), slice(0xE0000, 0xF0000)):  # the others hold what is private, or nothing
        letters[planes] = "".join(map(unicodedata.category, every[planes]))[::2].encode()
    for joiner in JOINERS:
        letters[ord(joiner)] = ord("M")
    return letters


def canonical(text: str) -> str:
    """`text` in the normal form (NFC) in which texts are compared: one text may be spelt in several."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
