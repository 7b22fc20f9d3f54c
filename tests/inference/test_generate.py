"""Drawing text: what decides it, and the command as a person runs it."""

import json
import sys

import numpy as np
import pytest
import torch
import warm
from conftest import refusal
from little import MODEL as TINY
from little import write_release

from train.artifact import write_json
from train.config import build
from train.data import tokenizer as tokenizers
from train.errors import ConfigError, UserError
from train.inference.generate import SamplesConfig, draw, generate, next_logits, openings, pieces, uniform
from train.model import Transformer, config_from_hugging_face, hugging_face_config
from train.training.checkpoint import WEIGHTS
from train.unicode import harmless

SETTINGS = {"temperature": 0.9, "top_k": 20, "seed": 3, "end_of_text": 0}


@pytest.fixture(scope="module")
def model():
    return Transformer(TINY, 31, seed=1).double()


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"))


def test_same_seed_same_text_other_seed_other_text(model):
    drawn = [list(generate(model, [5, 6], count=20, **{**SETTINGS, "seed": seed})) for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("greedy", [{"temperature": 0.0, "top_k": None}, {"temperature": 0.9, "top_k": 1}])
def test_temperature_0_and_top_1_take_the_likeliest_also_beyond_the_context(model, greedy):
    sequence, expected = [0, 5], []
    while len(expected) < 15:  # the context is 8
        token = int(next_logits(model, sequence[-TINY.context :]).argmax())
        if token == 0:
            break
        expected.append(token)
        sequence.append(token)
    assert len(expected) > TINY.context and list(generate(model, [5], count=15, **{**SETTINGS, **greedy})) == expected


def test_kept_keys_and_values_give_the_logits_that_all_tokens_at_once_give(model):
    sequence, caches = [0, 5, 6, 30, 2, 9, 11, 7], model.caches()
    step_by_step = [next_logits(model, sequence[:3], caches), *(next_logits(model, [t], caches) for t in sequence[3:])]
    whole = [next_logits(model, sequence[:end]) for end in range(3, 9)]
    assert np.allclose(step_by_step, whole, rtol=1e-12, atol=1e-12)
    assert [[tuple(kept.shape) for kept in cache.kept] for cache in caches] == [[(1, 1, 8, 4)] * 2] * 2  # one head
    for cache in caches:
        cache.kept = tuple(tensor[:, :, 1:-1] for tensor in cache.kept)
    wrong = next_logits(model, [sequence[-1]], caches)
    assert not np.allclose(wrong, whole[-1])  # as they would be if a token were lost


@pytest.mark.parametrize("cuts", [(3, 5), (1, 7), (1, 2, 5), (4, 4), (2, 3, 1, 2), (8,)])
def test_several_new_tokens_after_kept_ones_see_no_later_one(model, cuts):
    sequence, caches, found, start = torch.tensor([[0, 5, 6, 30, 2, 9, 11, 7]]), model.caches(), [], 0
    for length in cuts:
        found.append(model.hidden(sequence[:, start : start + length], caches))
        start += length
    assert torch.allclose(torch.cat(found, 1), model.hidden(sequence), rtol=1e-12, atol=1e-12)


def test_more_tokens_than_the_context_are_refused(model):
    caches = model.caches()
    model.hidden(torch.tensor([[0, 5, 6, 30, 2, 9, 11, 7]]), caches)
    with pytest.raises(ValueError, match="9 tokens are more than the context of 8"):
        model.hidden(torch.tensor([[1]]), caches)


def test_ends_before_the_end_of_text_mark():
    stuck = Transformer(TINY, 31, seed=1).double()
    torch.nn.init.zeros_(stuck.model.norm.weight)  # every logit is 0, and the first of equals is token 0
    assert list(generate(stuck, [5], count=9, **{**SETTINGS, "temperature": 0.0})) == []
    assert len(list(generate(stuck, [5], count=9, **{**SETTINGS, "temperature": 0.0, "end_of_text": 1}))) == 9


def test_draw_inverts_the_distribution():
    logits = np.log([0.1, 0.6, 0.3])  # by falling probability: 1, 2, 0
    assert [draw(logits, 1.0, None, u) for u in (0.0, 0.59, 0.61, 0.89, 0.91, 1 - 2**-53)] == [1, 1, 2, 2, 0, 0]
    assert [draw(logits, 1.0, 2, u) for u in (0.66, 0.67, 1 - 2**-53)] == [1, 2, 2]
    assert draw(logits, 0.01, None, 0.999) == 1  # cold
    counts = np.bincount([draw(logits, 1.0, None, u) for u in uniform(np.random.PCG64(0), 4000)], minlength=3)
    assert counts / 4000 == pytest.approx([0.1, 0.6, 0.3], abs=0.03)


def test_uniform_is_the_same_everywhere():
    assert uniform(np.random.PCG64(0), 2).tolist() == [0.6369616873214543, 0.2697867137638703]


def test_damaged_weights_are_said_to_be(model):
    broken = Transformer(TINY, 31).double()
    broken.model.norm.weight.data.fill_(float("nan"))
    refusal(next, generate(broken, [5], count=1, **SETTINGS), match="not finite")


def test_pieces_never_cut_a_character(release):
    tokenizer = tokenizers.load(release)
    text = "cat \u00e9 \U0001f600 \u4e2d"
    tokens = tokenizer.encode([text])[0]
    found = list(pieces(tokenizer, tokens))
    assert "".join(found) == text and "\ufffd" not in "".join(found) and len(found) > 4
    assert list(pieces(tokenizer, tokenizer.encode(["\u4e2d"])[0][:1])) == ["\ufffd"]


def test_a_prompt_that_is_no_text_is_refused():
    wrong = {"prompts": ("\udcff",), "tokens": 1, "temperature": 0.0, "top_k": None, "seed": 0}
    refusal(build, SamplesConfig, wrong, match="prompts", error=ConfigError)


@pytest.mark.parametrize(("change", "says"), [
    ({"hidden_size": "12"}, "width: expected int"), ({"num_attention_heads": True}, "heads: expected int"),
    ({"num_key_value_heads": 2}, "multiple of kv_heads"), ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
    ({"model_type": "llama"}, "model_type is 'llama'"), ({"attention_bias": True}, "attention_bias is True"),
    ({"head_dim": ...}, "head_width: missing"),
])  # fmt: skip
def test_config_json_leads_back_to_the_model_and_that_of_another_is_refused(change, says):
    found = hugging_face_config(TINY, 31, 0)
    assert config_from_hugging_face(found) == TINY
    changed = {key: value for key, value in {**found, **change}.items() if value is not ...}
    with pytest.raises((UserError, ValueError), match=says):
        config_from_hugging_face(changed)


@pytest.mark.parametrize(("text", "opening"), [
    ("The farmer went to the market and bought a cow.", "The farmer went to the"),
    ("The farmer went to fields and rested.", "The farmer went to"),
    ("The farmer goes on walk. And then", "The farmer goes on walk."),
    ("农民在山上看日出、可是没有人知道。昨天、孩子给朋友写信。", "农民在山上看日出、可是没有人知道。昨天、孩子给朋"),
    ("كان الولد في البيت مع أمه ثم خرج", "كان الولد في البيت مع"), ("  short", "short"), ("", ""),
])  # fmt: skip
def test_prompts_are_how_held_out_texts_begin_in_whole_words(text, opening):
    assert openings([text, text, "a third"]) == [opening, opening, ""]


def test_the_command_writes_the_prompt_and_what_follows(release):
    settings = ["--prompt", "the cat", "--tokens", "12", "--temperature", "1.5", "--seed", "2"]
    said = warm.command("sample", release, *settings)
    tokenizer, model = tokenizers.load(release), Transformer(TINY, 270, seed=1).double()
    start = tokenizer.encode(["the cat"])[0]
    tokens = list(generate(model, start, count=12, temperature=1.5, top_k=50, seed=2, end_of_text=0))
    text = "the cat" + "".join(pieces(tokenizer, tokens))
    assert said.startswith(f"{harmless(text)}\n[{len(tokens)} tokens") and said.endswith("tokens/s]\n")


@pytest.fixture
def refused(pellucid, monkeypatch):
    """The one line with which the command refuses some arguments."""
    monkeypatch.setitem(sys.modules, "gguf", sys)  # where it is not installed

    def run(*arguments, verb="sample"):
        status, out, err = pellucid(verb, *arguments)
        assert (status, out, err.count("\n")) == (1, "", 0) and err.startswith("error: ")
        return err

    return run


@pytest.mark.parametrize(("damage", "says"), [
    ({}, "no release, as it has no config.json; `make release` makes one"),
    ({"config.json": b"{"}, "config.json: cannot be read"),
    ({"config.json": b"[1]"}, "config.json"),
    ({"config.json": b"{}"}, "width: missing"),
    ({"config.json": None, "tokenizer.json": b"no"}, "tokenizer.json: cannot be read"),
    ({"config.json": None, "tokenizer.json": None}, "model.safetensors: cannot be read"),
    ({"config.json": None, "tokenizer.json": None, WEIGHTS: b"torn"}, "model.safetensors: cannot be read"),
])  # fmt: skip
def test_the_command_says_what_is_wrong_with_a_folder(release, tmp_path, refused, damage, says):
    for name, data in damage.items():
        (tmp_path / name).write_bytes((release / name).read_bytes() if data is None else data)
    assert says in refused(tmp_path)
    assert says in refused(tmp_path, tmp_path / "model.gguf", verb="export")


def test_the_command_refuses_a_config_larger_than_the_weights(release, tmp_path, refused):
    for name in ("tokenizer.json", WEIGHTS):
        (tmp_path / name).write_bytes((release / name).read_bytes())
    config = {**json.loads((release / "config.json").read_text()), "intermediate_size": 10**9}
    write_json(tmp_path / "config.json", config)
    assert "larger model than the file holds" in refused(tmp_path)


@pytest.mark.parametrize(("arguments", "says"), [
    (["--tokens", "many"], "invalid int value: 'many'"), (["--tokens", "0"], "tokens: expected at least 1"),
    (["--temperature", "nan"], "temperature: expected finite"),
    (["--top-k", "0"], "top_k: expected null or at least 1"), (["--colour", "red"], "unrecognized arguments"),
])  # fmt: skip
def test_the_command_says_what_is_wrong_with_an_argument(release, refused, arguments, says):
    assert says in refused(release, *arguments)
