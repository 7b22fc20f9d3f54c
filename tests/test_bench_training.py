"""The benchmarks of training, at sizes that take no time."""

import dataclasses

import bench_training as bench
import numpy as np
import pytest

from train.compose import compose
from train.config import build
from train.model import Transformer
from train.pipeline import Run
from train.training import numerics

TINY = bench.Shape(layers=2, width=16, heads=2, context=8, batch=3, vocabulary=11, steps=2)


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setitem(bench.SHAPES, "s", TINY)
    monkeypatch.setattr(bench, "TURNS", 2)
    return build(Run, compose(["recipe=tiny", "machine.threads=1", "machine.progress=none"]))


def test_each_contestant_gets_a_rate_ratios_and_a_share_of_the_peak(config, capsys, monkeypatch):
    compiled = []
    monkeypatch.setattr(numerics, "compile_in_place", compiled.append)
    bench.training_s(config)
    assert len(compiled) == 1
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["plain", "fast", "exact", "compiled"]
    assert lines[0].split()[2:4] == ["1.00x", "1.00x"]


def test_contestants_are_of_one_size_and_learn():
    for shape in bench.SHAPES.values():
        if shape.width < 700:
            ours = Transformer(bench.model_config(shape), shape.vocabulary)
            sizes = [sum(p.numel() for p in model.parameters() if p.dim() == 2) for model in (ours, bench.Plain(shape))]
            assert 0.97 < sizes[0] / (sizes[1] - shape.context * shape.width) < 1.03
    step = bench.plain(TINY, "cpu")
    batch = np.arange(27).reshape(3, 9) % 11
    losses = [step(batch) for _ in range(60)]
    assert losses[-1] < losses[0] - 0.2


def test_the_gpu_benchmark_says_that_it_was_not_run(config, capsys):
    bench.training_gpu(config)
    assert capsys.readouterr().out.startswith("not run: needs a GPU")


def test_time_to_quality_is_a_ratio_and_says_when_the_loss_is_not_reached(config, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["recipe=shakespeare", "training.steps=3", "training.batch=4", "machine.threads=1"]
    config = build(Run, compose(few))
    bench.quality(config)
    assert capsys.readouterr().out.startswith("not run: give recipe=shakespeare")
    (tmp_path / "shakespeare").mkdir()
    (tmp_path / "shakespeare" / "a.txt").write_text("To be, or not to be, that is the question.\n" * 400)
    bench.quality(config)
    said = capsys.readouterr().out
    assert "after 3 steps; nanoGPT's is 1.898" in said and said.endswith("THE LOSS IS NOT REACHED\n")


def test_the_whole_text_is_predicted_once():
    model = Transformer(dataclasses.replace(bench.model_config(TINY), zero_residual=True), 11)
    model.model.embed_tokens.weight.data.zero_()  # so that every token is as likely as any
    assert bench.whole_loss(model.double(), np.arange(43) % 11) == pytest.approx(np.log(11))
