"""Language tags (BCP 47): whether a word is one, and its language by ISO 639, which is all that some readers know."""

import re

UNFILLED = "TODO"  # a template's: to be replaced before anything is trained
TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(-[a-z]{3}){0,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?"
    r"(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(-[a-wy-z0-9](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?"
)
ISO_639_1 = """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es
    et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki
    kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no
    nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te
    tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""


def check_tag(tag: str) -> None:
    """ValueError unless `tag` is a language tag of BCP 47 in its usual spelling: 'en', 'pt-BR', 'zh-Hant-TW'.

    Languages of two letters must be in ISO 639-1; those of three letters, which are thousands, are taken as they are.
    """
    subtags = TAG.fullmatch(tag)
    if subtags is None or (len(subtags["language"]) == 2 and subtags["language"] not in ISO_639_1.split()):
        usual = _usual(tag)
        hint = f"; did you mean '{usual}'?" if usual != tag and TAG.fullmatch(usual) else ""
        raise ValueError(f"language: expected a tag of BCP 47, such as 'en' or 'pt-BR', got {tag!r}{hint}")


def language(tag: str) -> str:
    """The language in a tag, by ISO 639: 'pt' of 'pt-BR'."""
    return tag.partition("-")[0]


def _usual(tag: str) -> str:
    """A tag's parts in their usual letters: language small, script with a capital, region large."""
    first, *rest = tag.replace("_", "-").lower().split("-")
    spelled = {2: str.upper, 4: str.capitalize}
    return "-".join([first, *(spelled.get(len(part), str)(part) for part in rest)])
