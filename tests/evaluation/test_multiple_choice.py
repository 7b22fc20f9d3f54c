"""Questions, scored as lm-eval scores them: on the same files, on the same small model, to four digits and beyond."""

import json
import random

import numpy as np
import pytest
import torch
from little import WORLD, costs, write_tokenizer

from train.artifact import write_json
from train.data.benchmarks import read_items, written
from train.data.tokenizer import hugging_face_config, load
from train.evaluation.baselines import count_grams
from train.evaluation.items import choice_bits, score_items, scored_items
from train.evaluation.multiple_choice import chosen, summary
from train.exact import LN2
from train.model import ModelConfig, Transformer, weights_of
from train.model import hugging_face_config as model_config
from train.training.checkpoint import WEIGHTS, write_tensors

MODEL = ModelConfig(2, 12, 3, 1, 4, 20, 24, 10000.0, 1e-6, True, 0.5, False)
TEXT = "the cat sat on the mat and the cats sit over the hills and far away. "
ODD = ("café naïve", "日本", "  two  blanks ", "a tab\tand\nline", "🙂", "[step] again")
ITEMS = 60
# What lm-eval 0.4.13 found, by `test_lm_eval_finds_the_same`, which compares them again where lm-eval is installed.
FIGURES = {  # acc, acc_norm
    "hellaswag": (0.2833, 0.3), "endings": (0.25, 0.2667), "arc": (0.2833, 0.2833), "piqa": (0.5167, 0.55),
    "plain": (0.5667, 0.55),
}  # fmt: skip
# How its own tasks prompt; those of files that have no task of theirs, as they stand.
TASKS = {
    "hellaswag": ("{{query}}", "{{label}}", "choices"),
    "endings": ("{{ctx}}", "{{label}}", "endings"),
    "arc": ("Question: {{question}}\nAnswer:", "{{choices.label.index(answerKey)}}", "{{choices.text}}"),
    "piqa": ("Question: {{goal}}\nAnswer:", "label", "{{[sol1, sol2]}}"),
    "plain": ("{{question}}", "{{answer}}", "{{choices}}"),
}


def questions() -> dict[str, list[dict]]:
    """Files of each shape: short and long, with blanks at either end, with equal answers, and beyond the context."""
    draw = random.Random(0)
    words = TEXT.replace(".", "").split()

    def some(least, most):
        text = " ".join(draw.choice(words) for _ in range(draw.randint(least, most)))
        return f"{text} {draw.choice(ODD)}" if draw.random() < 0.15 else text

    files: dict[str, list[dict]] = {name: [] for name in TASKS}
    for number in range(ITEMS):
        letters = draw.choice(["ABCDE", "1234"])
        endings = {"endings": [some(1, 5) for _ in range(4)], "label": str(number % 4)}
        files["endings"].append({"ctx": some(2, 20), **endings})
        two = {"ctx_a": f"{some(3, 12)}. [title] {some(1, 3)}", "ctx_b": some(0, 3) if number % 3 else ""}
        files["hellaswag"].append({"activity_label": some(1, 2), **two, **endings})
        answers = {"text": [some(1, 4) for _ in letters], "label": list(letters)}
        files["arc"].append({"question": some(3, 9), "choices": answers, "answerKey": draw.choice(letters)})
        files["piqa"].append({"goal": some(2, 6), "sol1": some(1, 5), "sol2": some(1, 5), "label": number % 2})
        asked = draw.choice(["", "Q: ", "  "]) + some(0, 9) + draw.choice(["", " ", "\n"])
        first = some(1, 4)
        files["plain"].append({"question": asked, "choices": [first, first if number % 9 == 0 else some(1, 4)],
                               "answer": number % 2})  # fmt: skip
    return files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model as transformers reads it, of drawn weights, so that no training moves its figures; the files beside."""
    home = tmp_path_factory.mktemp("questions")
    words, source = load(write_tokenizer(home, 280, TEXT * 9)), np.random.PCG64(1)
    model = Transformer(MODEL, words.vocabulary)
    for weights in model.parameters():
        drawn = np.array([source.random_raw() >> 11 for _ in range(weights.numel())]) / 2**53 - 0.5
        weights.data = torch.from_numpy(drawn.reshape(weights.shape)).float()
    write_tensors(home / WEIGHTS, weights_of(model))
    write_json(home / "config.json", model_config(MODEL, words.vocabulary, words.end_of_text))
    write_json(home / "tokenizer_config.json", hugging_face_config(MODEL.context))
    for name, rows in questions().items():
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        written(name, read_items(name, "here", home, [f"{name}.jsonl"]), home / "sets")
    write_json(home / "sets" / "sets.json", [{"name": name, "purl": None, "licence": None} for name in TASKS])
    return home, model.double()


@pytest.fixture(scope="module")
def rows(folder):
    home, model = folder
    items = scored_items(home / "sets")
    return items, score_items(model, load(home), count_grams([TEXT.encode()]), items, batch=4, world=WORLD)


def test_the_figures_are_those_of_lm_eval(folder, rows):
    found = summary(*rows, folder[0] / "sets", 0.95)
    assert {name: tuple(round(record[m]["value"], 4) for m in ("acc", "acc_norm")) for name, record in found.items()} \
        == FIGURES  # fmt: skip
    assert found["plain"]["chance"] == 0.5 and found["hellaswag"]["chance"] == 0.25
    assert 0.2 < found["arc"]["chance"] < 0.25 and found["arc"]["items"] == ITEMS


@pytest.mark.slow
def test_lm_eval_finds_the_same(folder, rows, monkeypatch):
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.tasks.hellaswag.utils import process_docs

    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    home, _ = folder
    same = {"output_type": "multiple_choice", "test_split": "test", "dataset_path": "json",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}]}  # fmt: skip
    tasks = [
        {"task": name, "dataset_kwargs": {"data_files": {"test": str(home / f"{name}.jsonl")}}, **same,
         **dict(zip(("doc_to_text", "doc_to_target", "doc_to_choice"), prompt, strict=True)),
         **({"process_docs": process_docs} if name == "hellaswag" else {})}
        for name, prompt in TASKS.items()
    ]  # fmt: skip
    arguments = {"pretrained": str(home), "dtype": "float64", "softmax_dtype": "float64"}
    told = lm_eval.simple_evaluate("hf", arguments, tasks, device="cpu", batch_size=16, bootstrap_iters=0)
    assert {name: tuple(round(told["results"][name][f"{m},none"], 4) for m in ("acc", "acc_norm")) for name in TASKS} \
        == FIGURES  # fmt: skip
    samples = ((name, each) for name in TASKS for each in told["samples"][name])
    theirs = {(name, each["doc_id"]): [-r[0][0] / LN2 for r in each["resps"]] for name, each in samples}
    for item, row in zip(*rows, strict=True):
        assert row.bits == pytest.approx(theirs[item.set, int(item.id.split(":")[1]) - 1], abs=1e-5), item


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_an_answer_costs_the_same_alone_and_beside_others_and_its_question_is_cut_from_the_left(folder, batch):
    home, model = folder
    words, texts = load(home), [("the cat ", "sat on"), ("", "the"), (TEXT * 3, "the cats"), ("the cat ", TEXT * 3)]
    expected = []
    for before, choice in texts:
        whole = words.encode([before + choice])[0]
        inside = len(words.encode([before.rstrip()])[0])
        room = max(1, MODEL.context + 1 - (len(whole) - inside))
        inputs = [*[0, *whole[:inside]][-room:], *whole[inside:]]
        nats, _ = costs(model, inputs)  # an answer that is too long goes on in windows
        expected.append(sum(nats[len(inputs) - (len(whole) - inside) - 1 :]) / LN2)
    assert choice_bits(model, words, texts, batch=batch, world=WORLD) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("bits", "choices", "acc", "acc_norm"), [
    ([2.0, 1.0], ["ab", "a"], 1, 0), ([1.0, 1.0], ["a", "b"], 0, 0), ([3.0, 4.0], ["é", "ab"], 0, 1),
])  # fmt: skip
def test_the_first_of_the_cheapest_is_chosen(bits, choices, acc, acc_norm):
    assert (chosen(bits, choices, False), chosen(bits, choices, True)) == (acc, acc_norm)
