"""What we take out of a text and put a mark in its place: personal data and credentials.

Each redactor takes (text, mark) and returns the text with `mark` in the place of each find, and how many it found.
Only forms that are hard to mistake: a missed one does harm, and so does a hole torn into a harmless sentence.
"""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

from train.data.dedup.ngrams import Places
from train.data.filters.pieces import Shapes, measured

Redactor = Callable[[str, str], tuple[str, int]]


def email_addresses(text: str, mark: str) -> tuple[str, int]:
    """E-mail addresses, replaced by a mark. Those at reserved example domains (RFC 2606) belong to nobody and stay."""
    if "@" not in text:
        return text, 0
    parts, after, at = [], 0, -1
    while (at := text.find("@", at + 1)) >= 0:
        if at < after or not (before := BEFORE.match(text[max(after, at - LOCAL) : at][::-1])):
            continue
        if address := EMAIL.match(text, at - before.end()):
            parts += [text[after : address.start()], mark]
            after = address.end()
    return "".join([*parts, text[after:]]), len(parts) // 2


BEFORE = re.compile(r"[\w.+%-]+")  # from the @ back to where an address may begin
LOCAL = 65  # characters before the @, one more than an address may have
# Beside example domains, `git@host` (a way to reach a repository) and `@person@host` (a page) stay.
EMAIL = re.compile(
    r"(?<![\w.+%@-])(?!git@)[A-Za-z0-9][\w.+%-]{0,63}@"
    r"(?!(?i:(?:[\w-]+\.)*(?:example(?:\.(?:com|net|org))?|test|invalid|localhost))(?![\w-]|\.\w))"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}(?![\w@])"
)


def ip_addresses(text: str, mark: str) -> tuple[str, int]:
    """Public IP addresses (v4, v6), replaced by a mark. Loopback, private, reserved and documentation ranges stay."""
    text, count = _each(IPV4, _public_v4, text, mark) if IPV4_HINT.search(text) else (text, 0)
    text, more = _each(IPV6, _public_v6, text, mark) if IPV6_HINT.search(text) else (text, 0)
    return text, count + more


# A part of each find that begins with a rare character, which tells most texts to hold none several times faster.
IPV4_HINT = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d")
IPV6_HINT = re.compile(r":(?<=[23][0-9A-Fa-f]{3}:)[0-9A-Fa-f]{1,4}:")
PHONE_HINTS = re.compile(r"\+\d{1,3}[ .-]\(?\d"), re.compile(r"tel:\+\d"), re.compile(r"\(\d{3}\)[ -]")
# Each pattern begins with the first character and looks back from there, which is several times faster to search for.
# Not a part of a longer number, name, path or version.
IPV4 = re.compile(
    r"[1-9](?<![\w.+=<>~^-].)(?<![^/]/.)(?<!(?i:version) .)(?<!(?i:release) .)"
    r"\d{0,2}(?:\.(?:0|[1-9]\d{0,2})){3}(?![\w+-]|\.[\w*])(?!/[\w.]*[A-Za-z])"
)
IPV6 = re.compile(r"[23](?<![\w:.].)[0-9A-Fa-f]{3}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{1,29}(?![\w:.]*[\w:])")
# The registries of special-purpose addresses (RFC 6890 and later) as they stood in 2025, written here because Python's
# own list changes with its version. Global unicast is 2000::/3, which the pattern asks for.
SPECIAL_V4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
SPECIAL_V6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20"
NETWORKS_V4 = [IPv4Network(network) for network in SPECIAL_V4.split()]
NETWORKS_V6 = [IPv6Network(network) for network in SPECIAL_V6.split()]


def _public_v4(address: str) -> bool:
    """Section numbers and object identifiers look like 4.2.1.12 and 2.5.4.3: some part must be large, the first too."""
    parts = [int(part) for part in address.split(".")]
    if max(parts) > 255 or max(parts) < 100 or parts[0] < 3:
        return False
    return not any(IPv4Address(address) in network for network in NETWORKS_V4)


def _public_v6(address: str) -> bool:
    try:
        return not any(IPv6Address(address) in network for network in NETWORKS_V6)
    except AddressValueError:
        return False


def phone_numbers(text: str, mark: str) -> tuple[str, int]:
    """Telephone numbers in international form or written (212) 736-5000, replaced by a mark. Fictional 555s stay."""
    return _each(PHONE, _diallable, text, mark) if any(hint.search(text) for hint in PHONE_HINTS) else (text, 0)


PHONE = re.compile(
    r"(?:\+(?<![\w.+-].)[1-9]\d{0,2}(?:[ .-]\(?\d{1,4}\)?){2,5}|tel:\+\d{9,15}|"
    r"\((?<![\w.+-].)[2-9]\d\d\)[ -]\d{3}-\d{4})(?![\w+]|[.,-]\d)"
)


def _diallable(number: str) -> bool:
    digits = re.sub(r"\D", "", number)
    return 9 <= len(digits) <= 15 and "555" not in (digits[-10:-7], digits[-7:-4])


def secrets(text: str, mark: str) -> tuple[str, int]:
    """Private keys and access tokens of well-known services, replaced by a mark; only forms hard to mistake."""
    return SECRET.subn(lambda _: mark, text) if "PRIVATE KEY" in text or measured(text, suspicious) else (text, 0)


def suspicious(texts: Shapes) -> Places:
    """How many long words of each text hold what a secret begins with, (texts,)."""
    starts, ends = (places[texts.words.lengths >= SECRET_LENGTH] for places in texts.words)
    long = [texts.text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    some = bool(SECRET_HINT.search(" ".join(long)))  # seldom
    return texts.count(starts[[some and bool(SECRET_HINT.search(word)) for word in long]])


SECRET = re.compile(
    "|".join(
        (
            # Placeholders with `...` for a body stay. Nothing is tried twice, however a text is made.
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?>(?:(?!-----)[\s\S]){0,400}?[A-Za-z0-9+/]{40})(?:(?!-----)[\s\S]){0,20000}+"
            r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",  # AWS access key id
            r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b",  # GitHub
            r"\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
            r"\bglpat-[\w-]{20,}\b",  # GitLab
            r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}\b",  # Slack
            r"\bhttps://hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,}",
            r"\bAIza[\w-]{35}(?![\w-])",  # Google
            r"\bsk_live_[A-Za-z0-9]{20,}\b",  # Stripe
            r"\bnpm_[A-Za-z0-9]{36}\b",
            r"\bhf_[A-Za-z]{34}\b",  # Hugging Face
            r"\bpypi-AgEIcHlwaS5vcmc[\w-]{50,}",
            r"\bsk-(?:ant-[a-z]+\d\d|proj|svcacct)-[\w-]{40,}",  # Anthropic, OpenAI
            r"\bSG\.[\w-]{22}\.[\w-]{43}(?![\w-])",  # SendGrid
            r"\bdop_v1_[0-9a-f]{64}\b",  # DigitalOcean
            r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b",  # Shopify
            # JSON Web Token; where it may begin at every hyphen, its head is bounded
            r"(?:(?<![\w-])eyJ[\w-]{10,}+|\beyJ[\w-]{10,500}+)\.eyJ[\w-]{10,}+\.[\w-]{20,}",
        )
    )
)
# The literal starts alone, to pass quickly over the many texts that hold none; none but keys holds a blank.
SECRET_HINT = re.compile(
    r"A[KS]IA|gh[pousr]_|github_pat_|glpat-|xox|slack|AIza|sk_live_|npm_|hf_|pypi-|eyJ"
    r"|sk-(?:ant|proj|svc)|SG\.|dop_v1_|shp[acps][ats]_"
)
SECRET_LENGTH = 20  # characters of the shortest one


def _each(pattern: re.Pattern[str], wanted: Callable[[str], bool], text: str, mark: str) -> tuple[str, int]:
    """`text` with `mark` for each match that is `wanted`, and how many these are."""
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        if not wanted(match[0]):
            return match[0]
        count += 1
        return mark

    return pattern.sub(replace, text), count
