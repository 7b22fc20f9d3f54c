"""The release in other people's programs, each really run: on the small release, or on another.

`make test RELEASE=releases/reference-0.1.0 ARGS=tests/release/test_interoperability.py` takes the one it names.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, WORLD

from train.artifact import read_json
from train.data.schema import read_rows
from train.data.tokenizer import load
from train.evaluation.items import choice_bits
from train.inference.generate import generate
from train.release import bundle

PROMPTS = ("The following example", "There was once", "The")
MARK = "<|endoftext|>"
DOCUMENTS = 20  # of the held-out ones, for what takes long elsewhere
WORDS = re.compile(r"\s+")  # at which lm-eval counts them


@pytest.fixture(scope="module")
def subject(request) -> Path:
    return Path(os.environ["RELEASE"]) if "RELEASE" in os.environ else request.getfixturevalue("release")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")


@pytest.fixture(scope="module")
def written(subject) -> dict[str, list[int]]:
    """At most 64 tokens that the model finds likeliest after each prompt, by our own code."""
    words, model = load(subject), bundle.model_of(subject)
    greedy = {"temperature": 0.0, "top_k": None, "seed": 0, "end_of_text": words.end_of_text}
    starts = {prompt: words.encode([prompt])[0] for prompt in PROMPTS}
    return {
        prompt: list(generate(model, start, count=min(64, model.config.context - len(start) - 1), **greedy))
        for prompt, start in starts.items()
    }


@pytest.fixture(scope="module")
def held_out(subject) -> list[str]:
    """Of some held-out documents as much as fills two windows: lm-eval fills a last one with what came before it."""
    words, windows = load(subject), 2 * read_json(subject / "config.json")["max_position_embeddings"]
    rows = read_rows(sorted((subject / "data/documents").glob("*.parquet")))
    whole = [row["text"] for row in rows if row["split"] == "held_out"][:DOCUMENTS]
    texts = [words.decode(tokens[:windows]) for tokens in words.encode(whole)]
    return [text for text, tokens in zip(texts, words.encode(texts), strict=True) if len(tokens) == windows]


def test_transformers_writes_the_same_tokens_and_the_pipeline_the_same_text(subject, written):
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    tokenizer, model = AutoTokenizer.from_pretrained(subject), AutoModelForCausalLM.from_pretrained(subject)
    with torch.no_grad():
        batch = torch.tensor([load(subject).encode([f"{PROMPTS[1]} a girl.\n\nShe had 12 cats."])[0][:32]])
        assert torch.allclose(model(batch).logits, bundle.model_of(subject)(batch), atol=1e-4, rtol=1e-4)
    assert type(model).__name__ == "Qwen3ForCausalLM"
    pipe = pipeline("text-generation", model=str(subject), device="cpu")
    for prompt, ours in written.items():
        start = tokenizer(prompt, return_tensors="pt")
        assert start["input_ids"][0].tolist() == [0, *load(subject).encode([prompt])[0]]
        found = model.generate(**start, max_new_tokens=len(ours), do_sample=False)[0, start["input_ids"].shape[1] :]
        assert len(ours) > 8 and found.tolist() == ours and tokenizer.decode(found) == load(subject).decode(ours)
        said = pipe(prompt, max_new_tokens=len(ours), do_sample=False, return_full_text=False)
        assert said[0]["generated_text"] == load(subject).decode(ours)


@pytest.fixture(scope="module")
def tokenizer(subject):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(subject)


@pytest.mark.parametrize("text", ["The", "", " ", "a\n\nb", MARK, f"a{MARK}b", f"{MARK}The", "日本\u0301 🙂",
                                  "<s> </s> <pad>"])  # fmt: skip
def test_transformers_reads_a_text_as_training_did(subject, tokenizer, text):
    ours = load(subject).encode([text])[0]
    assert tokenizer(text)["input_ids"] == [0, *ours] and tokenizer(text, add_special_tokens=False)["input_ids"] == ours
    assert tokenizer.decode([0, *ours]) == MARK + text


def test_transformers_pads_and_cuts_a_batch_for_the_model(subject, tokenizer):
    context = read_json(subject / "config.json")["max_position_embeddings"]
    found = tokenizer(["a", "a b c"], padding=True)
    assert [row[-1] for row in found["attention_mask"]] == [1, 1] and found["attention_mask"][0][0] == 0
    assert set(found) == {"input_ids", "attention_mask"} and found["input_ids"][0][0] == tokenizer.pad_token_id == 0
    cut = tokenizer(["The " * 999], truncation=True)["input_ids"][0]
    assert len(cut) == context == tokenizer.model_max_length and cut[0] == 0
    settings = [read_json(subject / f"{name}.json") for name in ("config", "generation_config")]
    assert all(found[f"{use}_token_id"] == 0 for found in settings for use in ("bos", "eos", "pad"))


def test_the_snippet_of_the_card_writes_text(subject, tmp_path):
    code = re.search(r"```python\n(.*?)```", (subject / "README.md").read_text(), re.DOTALL)
    name = re.search(r'from_pretrained\("(.*?)"\)', code[1])
    (tmp_path / name[1]).symlink_to(subject)
    line = [sys.executable, "-c", f"import torch\ntorch.manual_seed(0)\n{code[1]}"]
    said = subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert said.startswith("The") and len(set(said)) > 8 and MARK not in said


def test_datasets_opens_documents_and_ledger(subject, tmp_path):
    datasets = pytest.importorskip("datasets")
    counts = read_json(subject / "data/counts.json")
    documents = datasets.load_dataset(str(subject / "data"), cache_dir=str(tmp_path))["kept"]
    assert len(documents) == counts["kept"]["documents"]
    assert {"id", "text", "source", "licence", "split"} <= set(documents.column_names)
    ledger = datasets.load_dataset(str(subject / "data"), "ledger", cache_dir=str(tmp_path))["decisions"]
    assert ledger.column_names[:2] == ["id", "source"]


def test_numpy_reads_the_weights_without_torch(subject):
    from safetensors.numpy import load_file

    weights = load_file(subject / "model.safetensors")
    assert sum(tensor.size for tensor in weights.values()) == read_json(subject / "provenance/facts.json")["parameters"]
    assert all(tensor.dtype == np.float32 and np.isfinite(tensor).all() for tensor in weights.values())


def lm_eval_scores(subject: Path, home: Path, rows: list[dict[str, str]], task: dict) -> dict[str, float]:
    """What lm-eval makes of a task of its own on `rows`, in float64."""
    lm_eval = pytest.importorskip("lm_eval")
    (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    local = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(home / "rows.jsonl")}}}
    arguments = {"pretrained": str(subject), "dtype": "float64", "add_bos_token": False, "max_length": read_json(
        subject / "config.json")["max_position_embeddings"]}  # fmt: skip
    found = lm_eval.simple_evaluate(
        model="hf", model_args=arguments, tasks=[{"task": "ours", "test_split": "test", **local, **task}],
        device="cpu", batch_size=32, bootstrap_iters=0, log_samples=False,
    )  # fmt: skip
    return {name.split(",")[0]: value for name, value in found["results"]["ours"].items() if "," in name}


def test_lm_eval_finds_our_bits_per_byte_and_so_its_word_perplexity(subject, held_out, tmp_path):
    metrics = ["word_perplexity", "byte_perplexity", "bits_per_byte"]
    task = {
        "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
        "metric_list": [{"metric": name} for name in metrics],
    }  # fmt: skip
    found = lm_eval_scores(subject, tmp_path, [{"text": text} for text in held_out], task)
    model = bundle.model_of(subject)
    texts = [("", text) for text in held_out]
    bits = sum(choice_bits(model, load(subject), texts, batch=4, world=WORLD))
    size, words = (sum(map(len, units)) for units in ((t.encode() for t in held_out), map(WORDS.split, held_out)))
    assert len(held_out) > DOCUMENTS / 4 and found["bits_per_byte"] == pytest.approx(bits / size, rel=1e-5)
    assert np.log2(found["word_perplexity"]) == pytest.approx(bits / words, rel=1e-5)


def test_lm_eval_judges_the_pairs_as_we_do(subject, tmp_path):
    words, context = load(subject), read_json(subject / "config.json")["max_position_embeddings"]
    rows = [  # what is longer than the context it cuts off, where we go on
        row
        for row in read_rows([subject / "evaluation/data/pairs.parquet"])
        if max(map(len, words.encode(row["choices"]))) < context
    ]
    task = {
        "output_type": "multiple_choice", "doc_to_text": "", "doc_to_target": 0, "target_delimiter": "",
        "doc_to_choice": "{{choices}}", "metric_list": [{"metric": "acc"}],
    }  # fmt: skip
    found = lm_eval_scores(subject, tmp_path, rows, task)
    texts = [("", sentence) for row in rows for sentence in row["choices"]]
    bits = choice_bits(bundle.model_of(subject), words, texts, batch=16, world=WORLD)
    ties = sum(good == bad for good, bad in zip(bits[::2], bits[1::2], strict=True))
    right = sum(good < bad for good, bad in zip(bits[::2], bits[1::2], strict=True))
    assert len(rows) > 400 and abs(found["acc"] * len(rows) - right) <= ties + 1e-6


def test_peft_finetunes_it(subject, tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(subject)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    tokens = torch.tensor([load(subject).encode([PROMPTS[1] + " a girl named Ada who had 12 cats."])[0]])
    losses = []
    for _ in range(6):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    model.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(subject), tmp_path)
    model.eval()
    with torch.no_grad():
        assert torch.allclose(again(input_ids=tokens).logits, model(input_ids=tokens).logits, atol=1e-6)
        assert not torch.allclose(AutoModelForCausalLM.from_pretrained(subject)(tokens).logits, again(tokens).logits)
    plain = lambda name: name.replace("base_layer.", "").removeprefix("base_model.model.")  # noqa: E731
    kept = {plain(name): tensor for name, tensor in model.state_dict().items()}
    assert all(torch.equal(kept[name], tensor) for name, tensor in before.items())


def test_llama_cpp_writes_the_same_tokens_from_the_exported_file(subject, written, tmp_path):
    pytest.importorskip("gguf")
    llama = pytest.importorskip("xllamacpp")
    line = [sys.executable, str(ROOT / "scripts/export.py"), str(subject), str(tmp_path / "model.gguf")]
    subprocess.run(line, check=True, capture_output=True)
    settings = llama.CommonParams()
    settings.model.path = str(tmp_path / "model.gguf")
    settings.n_ctx = read_json(subject / "config.json")["max_position_embeddings"]
    # Unless told, it keeps keys and values in half precision, and its flash attention computes in it.
    settings.cache_type_k = settings.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = llama.Server(settings)

    def write(prompt: str | list[int], count: int) -> list[int]:
        asked = {"prompt": prompt, "max_tokens": count, "temperature": 0, "top_k": 1, "logprobs": 1}
        return [token["id"] for token in server.handle_completions(asked)["choices"][0]["logprobs"]["content"]]

    for prompt, ours in written.items():
        assert write([0, *load(subject).encode([prompt])[0]], len(ours)) == ours
        assert write(prompt, len(ours)) == ours  # the mark before it and, of such plain words, the same tokens
    for text in (MARK, f"The{MARK}The", f"{MARK}{MARK} The"):  # spelt out, it is text
        assert write(text, 8) == write([0, *load(subject).encode([text])[0]], 8)
