"""The fixed little training: its known bytes however it is computed, exit statuses, and transcripts of others."""

import argparse
import json
import re
from dataclasses import replace

import pytest
import torch
import warm
from conftest import MACHINE, ROOT, refusal

from train.cli import by_template
from train.commands import selftest
from train.training import numerics


@pytest.mark.parametrize("machine", [MACHINE, replace(MACHINE, threads=2, micro_batches=2)])
def test_the_bytes_are_the_known_ones(machine):
    threads = torch.get_num_threads()
    assert selftest.trained(machine)[0] == selftest.KNOWN
    torch.set_num_threads(threads)


def test_the_command_tells_machine_torch_settings_and_both_digests():
    report = json.loads(warm.command("selftest", "machine.threads=1", "--json"))
    assert report["same"] and report["digest"] == report["known"] == selftest.KNOWN
    assert report["machine"]["torch"] == torch.__version__ and report["settings"]["numerics"]["contract"] == "exact"
    said = by_template("selftest", report, argparse.Namespace())
    assert said[0] == "$ pellucid selftest machine.threads=1" and said[-2].split() == ["digest", selftest.KNOWN]
    assert selftest.status(report) == 0
    other = {**report, "digest": "0" * 64, "same": False}
    assert selftest.status(other) == 1 and "ANOTHER" in by_template("selftest", other, argparse.Namespace())[-1]


def test_a_premise_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(numerics.premises, "failures", lambda *_: iter(["subnormal numbers are not kept"]))
    refusal(selftest.trained, MACHINE, match="subnormal numbers are not kept")


@pytest.mark.parametrize("word", ["machine.threads=0", "training.steps=3", "machine.device=tpu"])
def test_only_how_to_compute_can_be_said(word):
    said = warm.command("selftest", word, status=2)
    assert said.startswith("error: ") and said.count("\n") == 1


TRANSCRIPTS = sorted(ROOT.glob("docs/validation/*.txt"))


def test_there_are_transcripts_of_several_machines():
    assert len(TRANSCRIPTS) > 1


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_has_the_known_digest(path):
    text = path.read_text()
    assert text.startswith("$ ") and re.search(r"^date       \d{4}-\d\d-\d\d, in ", text, re.M)
    assert re.search(r"^digest     (\w+)$", text, re.M)[1] == selftest.KNOWN, "make it again: CONTRIBUTING.md says how"
    assert f"known      {selftest.KNOWN}: the same" in text and "\ntorch      " in text
