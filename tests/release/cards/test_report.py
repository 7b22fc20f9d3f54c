"""The page of a release: what is on it, where it leads, and how a real browser sees it."""

import html
import json
import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree.ElementTree import fromstring

import pytest
from conftest import edit, failure

from train.artifact import read_json, write_json
from train.humanize import percent
from train.release.about import WORDS
from train.release.cards.report import charts, loss_chart, points, read_log, report, ticks
from train.unicode import harmless

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def page(release: Path) -> str:
    return (release / "report.html").read_text()


def links(text: str) -> list[str]:
    return [html.unescape(link) for link in re.findall(r"""(?:href|src)=["']([^"']*)["']""", text)]


def test_the_page_is_a_witness_and_a_function_of_the_folder(copy):
    listed = read_json(copy / "MANIFEST.json")
    assert "report.html" in listed["witnesses"] and "report.html" not in listed["products"]
    assert report(copy, listed["identity"]).decode() == page(copy)
    edit(copy / "logs/weights/run.json", "seconds", to=7384.0)
    assert "2\u00a0h 3\u00a0min" in report(copy, listed["identity"]).decode()


def test_the_chart_of_the_card_is_a_small_picture_without_a_script_that_follows_from_the_log(copy):
    svg = (copy / "logs/weights/loss.svg").read_bytes()
    assert loss_chart(copy) == svg and len(svg) < 30_000 and "script" not in svg.decode()
    texts = {each.text for each in fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    last = read_log(copy)[-1]
    assert {"Loss, nats a token: less is better", "step 0", f"training {last['loss']:.4f}"} <= texts
    (copy / "logs/weights/loss.svg").write_bytes(svg.replace(b"step 0", b"step 1"))
    said = r'logs/weights/loss.svg: line .*">step 1</text> is recorded, .*">step 0</text> was made'
    assert re.fullmatch(said, failure(copy, "report"))


def test_a_page_that_says_what_the_records_do_not_say_fails_verify(copy):
    value = f"{read_json(copy / 'evaluation/scores.json')['bits_per_byte']['value']:.4f}"
    (copy / "report.html").write_text(page(copy).replace(value, "0.5000"))
    said = rf"report.html: line .*0\.5000</dd></div> is recorded, .*{value}</dd></div> was made.*"
    assert re.fullmatch(said, failure(copy, "report"))


def test_the_page_shows_what_the_records_say(release):
    text = page(release)
    shown = re.sub(r"<[^>]*>|\s+", " ", text)
    for score in read_json(release / "evaluation/scores.json").values():
        assert f"{score['value']:.4f}" in text and score["method"] in html.unescape(shown)
    counts = read_json(release / "data/counts.json")
    for name, lost in counts["dropped"].items():
        assert (f"<div>{name.replace('_', ' ')}<small>" in text) == bool(lost["documents"])
    assert f"&minus;{max(lost['documents'] for lost in counts['dropped'].values())}" in text
    for sample in read_json(release / "evaluation/samples.json"):
        assert harmless(sample["text"]) in html.unescape(text)
    assert read_json(release / "MANIFEST.json")["identity"] in text
    words = ("less is better", "more is better", "baseline: byte 4gram", ">step 0<", "dotted: chance, 0.5")
    assert all(word in text for word in (*words, "What the words mean"))
    found = read_json(release / "openness.json")
    assert f"{found['verdict']['must']['held']} of {found['verdict']['must']['items']} items" in shown
    assert all(row["requirement"] in html.unescape(text) for row in found["rows"])
    told = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])
    last = json.loads((release / "logs/weights/log.jsonl").read_text().splitlines()[-1])
    assert told["series"][0] == ["training", [*told["series"][0][1][:-1], [last["step"], last["loss"]]]]


def test_every_link_leads_into_the_release_and_every_evidence_has_one(release):
    text = page(release)
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    found = {unquote(link) for link in links(text)}
    for link in found - {"data:,"}:
        assert link[1:] in ids if link.startswith("#") else (release / link).exists(), link
        assert not re.match(r"[a-z]+:|/|\.\.", link)
    evidence = {each["path"] for row in read_json(release / "openness.json")["rows"] for each in row["evidence"]}
    assert evidence - {"data/ledger/"} <= found
    assert {f"provenance/{name}.json" for name in ("raw", "selected", "weights", "evaluation")} <= found


def spoil(value):
    """Plain data in which every text for people is hostile."""
    if isinstance(value, dict):
        return {key: spoil(item) for key, item in value.items()}
    return [spoil(item) for item in value] if isinstance(value, list) else HOSTILE if isinstance(value, str) else value


def test_what_people_and_models_write_stays_text(copy):
    config = read_json(copy / "code/config.json")
    about = {**config["release"], **dict.fromkeys(WORDS, HOSTILE), "authors": [HOSTILE]}
    write_json(copy / "code/config.json", {**config, "release": about, "name": HOSTILE})
    for path in ("code/overrides.json", "evaluation/samples.json", "evaluation/scores.json", "logs/weights/stack.json"):
        write_json(copy / path, spoil(read_json(copy / path)))
    edit(copy / "data/sources.json", 0, "attribution", to=HOSTILE)
    text = report(copy, HOSTILE).decode()
    assert "alert(1)</script>" not in text and "<img" not in text
    assert text.count("<script") == page(copy).count("<script") and html.escape(HOSTILE, quote=False)[:30] in text


def test_minimal_pairs_are_shown_where_there_are_any(copy):
    phenomenon = {"value": 0.75, "low": 0.6, "high": 0.9, "pairs": 50, "byte_4gram": 0.25}
    worse = {**phenomenon, "value": 0.0625, "low": 0.02, "high": 0.3}
    groups = {"plural_noun": phenomenon, "polarity": worse}
    whole = {"value": 0.625, "low": 0.5, "high": 0.7, "pairs": 100, "byte_4gram": 0.5, "groups": groups}
    write_json(copy / "evaluation/minimal_pairs.json", {"own_pairs": whole})
    text = report(copy, "0" * 64).decode()
    assert "Minimal pairs: own pairs" in text and "plural noun" in text
    assert "<small>50 pairs; baseline, byte 4-grams: 0.2500</small>" in text
    assert "<small>50 pairs; baseline, byte 4-grams: 0.2500; below chance</small>" in text
    assert 'style="width: 75.0%"' in text and 'style="left: 50.0%"' in text and "width: 30.0%" in text


def test_energy_and_memory_are_of_all_processes_that_trained(copy):
    assert "not measured: no meter here" in page(copy)
    lines = [{"energy_joules": {"package": 1.8e6, "gpu": 1.8e6}, "peak_bytes": 2e9}] * 2
    lines.append({"energy_joules": "not measurable", "peak_bytes": 3e9})
    (copy / "logs/weights/resources.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = report(copy, "0" * 64).decode()
    assert "2 kWh, by its meter" in text and "3.00\u00a0GB" in text
    assert "by its publisher's word, which nothing tests" in text


def test_curves_keep_their_last_point_and_few_others():
    log = [{"step": step, "loss": 9.0 - step / 1000} for step in range(1, 1001)]
    found = points(log, "loss")
    assert 300 < len(found) <= 400 and found[-1] == (1000, 8.0) and points(log, "held_out_loss") == []
    (drawn,) = charts(log)
    assert (drawn["title"], drawn["lines"][0]["last"], drawn["across"][-1]) == ("Loss", 8.0, (100.0, "1,000"))


@pytest.mark.parametrize(("low", "high", "wanted"), [
    (0, 640, [0, 200, 400, 600, 800]), (4.1, 8.3, [4, 5, 6, 7, 8, 9]), (0.5, 0.5, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
    (0, 0.008, [0, 0.002, 0.004, 0.006, 0.008]), (-1, 1, [-1, -0.5, 0, 0.5, 1]),
])  # fmt: skip
def test_ticks_are_round_and_reach_around(low, high, wanted):
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high and (found == pytest.approx(wanted) or low == high)


def test_a_share_is_within_its_whole():
    assert [percent(*pair) for pair in ((1, 4), (0, 0), (5, 4), (-1, 4))] == [25.0, 0.0, 100.0, 0.0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_real_browser_has_nothing_to_complain_about(release, browse, width, scheme):
    address = (release / "report.html").as_uri()
    page = browse(address, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.shown.locator("[data-plot]").first.hover(position={"x": 60, "y": 50})
    cursor = r"step \d+\ntraining [\d.]+(\nheld out [\d.]+( \(step \d+\))?)?"
    assert re.fullmatch(cursor, page.shown.inner_text(".cursor"))
    assert (page.complaints, page.requests, page.violations()) == ([], [address], [])
    assert page.shown.evaluate("document.documentElement.scrollWidth") == width  # nothing sticks out


def test_axe_can_fail_and_the_page_asks_nobody(release, browse, tmp_path):
    bad = '<p style="color: #ccc; background: #fff">pale</p><img src="http://127.0.0.1:9/x.png">'
    (tmp_path / "bad.html").write_text(page(release).replace("</main>", f"{bad}</main>"))
    shown = browse((tmp_path / "bad.html").as_uri(), color_scheme="light")
    assert any("Content Security Policy" in line for line in shown.complaints)
    assert {"color-contrast", "image-alt"} <= {rule for rule, _ in shown.violations()}
