"""Each shipped data config leads to a verified release, with a small stand-in of its source where that is fetched."""

import json
import re
from pathlib import Path

import pytest
import warm
from conftest import source

from train.compose import compose
from train.data.generated.stories import stories
from train.keys import ROOT

SMALL = """
    recipe=tiny tokenizer.vocabulary=300 model.context=16 training.steps=2 training.batch=2 training.checkpoint_every=1
    training.evaluate_every=2 evaluation.resamples=5 evaluation.samples.tokens=2 data.selected.parts=1
    benchmarks.pairs.count=5 data.selected.held_out=0.2 data.selected.near_duplicates=1.0
"""
LOOSE = """
    few_words few_sentences few_stop_words few_alphabetic_words short_lines few_punctuated_lines duplicate_lines
    duplicate_line_characters duplicate_paragraphs duplicate_paragraph_characters top_ngrams duplicate_ngrams too_short
    mostly_symbols
"""  # rules for texts of another kind than stories are
QUICK = ("common_pile",)  # whose licences are no code's, and each row's own
NAMES = sorted(path.stem for path in (ROOT / "configs/data").glob("*.yaml") if path.stem != "stories")  # recipe tiny's


def stand_in(given: dict, name: str, folder: Path) -> dict:
    """Stories in local files in place of a source that is fetched, under its licence and with its columns."""
    texts = [text for _, text in stories(3, 40)]
    columns, licence = given.get("columns"), given["licence"].replace("LicenseRef-TODO", "Apache-2.0")
    folder.mkdir()
    (folder / "LICENSE").write_text(f"SPDX-License-Identifier: {licence}")
    if columns:
        told = list(columns["licence_names"]) or [licence]
        columns |= {"text": "text", "path": None, "attribution": None, "licence": columns["licence"] and "terms"}
        rows = ({"text": text, "terms": told[number % len(told)]} for number, text in enumerate(texts))
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_text(text)
    told = {"purl": f"pkg:generic/{name.replace('_', '-')}@1", "path": folder.name, "include": ["*.txt", "*.jsonl"]}
    return source(**told, licence=licence, columns=columns)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES])
def test_a_data_config_leads_to_a_verified_release(name, tmp_path):
    config = compose([*SMALL.split(), f"data={name}", *(f"data.selected.{rule}=null" for rule in LOOSE.split())])
    data = config["data"]
    texts = stand_in(data["raw"]["sources"][0], name, tmp_path / "texts")
    data["raw"]["sources"] = [texts]
    data["documents"]["formats"] = {"txt": "plain", "jsonl": "rows"}
    data["selected"]["excluded"] = {}
    if name == "my_text":  # a template, whose blanks are filled in by whoever copies it
        data["selected"]["licences"], data["name"] = ["Apache-2.0"], "stories"
    kept = {key: value for key, value in config.items() if key not in ("machine", "until", "overrides")}
    how = ["workers=1", "threads=1", "progress=none", *(f"{w}={tmp_path / w}" for w in ("runs", "releases", "cache"))]
    line = [str(ROOT / "scripts/run.py"), "--config", str(tmp_path / "config.json"), *(f"machine.{h}" for h in how)]

    def run() -> str:
        (tmp_path / "config.json").write_text(json.dumps(kept))
        (tmp_path / "overrides.json").write_text("[]")
        done = warm.run(line, tmp_path)
        return done.stdout + done.stderr

    found = re.search(r"found ([0-9a-f]{64})", said := run())
    assert found, said
    texts["sha256"] = found[1]
    said = run()
    assert "verify     holds (every check)" in said and "OSAID 1.0: complete" in said, said
