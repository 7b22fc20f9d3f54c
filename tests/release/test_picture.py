import json
import runpy
from xml.etree import ElementTree

from train.keys import ROOT


def test_the_picture_is_drawn_from_the_records_of_a_release(release):
    drawn = runpy.run_path(str(ROOT / "scripts/picture.py"))["picture"](release)
    words = [each.text for each in ElementTree.fromstring(drawn).iter() if each.text]
    scores = json.loads((release / "evaluation/scores.json").read_text())
    assert json.loads((release / "MANIFEST.json").read_text())["identity"][:7] in words
    assert f"{scores['bits_per_byte']['value']:.3f}" in words and f"{scores['byte_4gram']['value']:.3f}" in words
    assert {"this model", "complete", "held out", "training"} <= {*words} and len(drawn) < 150_000
