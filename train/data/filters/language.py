"""Which language a text is in, by CLD2: the only module that knows pycld2 (the extra `language`).

Its tables are in the wheel and its scores are whole numbers: the answer is the same on every machine and for any
number of threads, which no identifier that adds floating-point numbers can promise.
"""

import re
from collections.abc import Mapping

from train.errors import UserError


def language(text: str, least: Mapping[str, int]) -> str | None:
    """No language of those listed makes up its least per cent of the text, by CLD2. FineWeb asked for English at 65.

    Codes are CLD2's, which for most languages are those of ISO 639-1.
    """
    parts = shares(text)
    if any(parts.get(code, 0) >= per_cent for code, per_cent in least.items()):
        return None
    return ", ".join(f"{code} {per_cent} %" for code, per_cent in parts.items()) or "no known language"


def shares(text: str) -> dict[str, int]:
    """The three languages that make up most of a text: code -> per cent; fewer, or none, when CLD2 knows no more."""
    try:
        import pycld2
    except ImportError:
        raise UserError(
            "data.selected.language: the package pycld2 is missing; install it with pip install -e '.[language]', "
            "or set data.selected.language to null"
        ) from None
    _, _, languages = pycld2.detect(REFUSED.sub(" ", text), isPlainText=True)
    return {code: per_cent for _, code, per_cent, _ in languages if code != "un"}


# Control characters and what Unicode says is no character: CLD2 takes no text that holds one.
PLANES = "".join(f"{chr(end - 1)}-{chr(end)}" for end in range(0xFFFF, 0x110000, 0x10000))
REFUSED = re.compile(rf"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef{PLANES}]")
