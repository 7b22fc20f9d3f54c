"""A release as one GGUF file, which llama.cpp and what is built on it read.

Weights stay float32, so that nothing is lost; but llama.cpp keeps keys and values in half precision and computes
attention in it unless told `--cache-type-k f32 --cache-type-v f32 --flash-attn off`. So told, it came within some 1e-5
of our logits, as transformers in float32 does, and wrote the same; untold, 1e-2.

llama.cpp knows no pieces but those of its own list: `qwen2` cuts most nearly as our tokenizer does. Measured on the
reference release, 136 of 163 excerpts of held-out text got as many tokens; where it cuts otherwise, a prompt gets
other ones.
"""

import errno
from pathlib import Path
from typing import Any

from train.artifact import read_json
from train.data.tokenizer import load
from train.errors import UserError
from train.evaluation.measure import load_model
from train.inference.generate import shape_of
from train.training.checkpoint import WEIGHTS, read_tensors

PIECES = "qwen2"  # by llama.cpp's name
NORMAL, CONTROL = 1, 3  # kinds of token
MARK = "\x03<|endoftext|>"  # llama.cpp looks in a prompt for the names of such tokens; no document holds a U+0003
SHAPE = {
    "context_length": "max_position_embeddings", "embedding_length": "hidden_size", "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size", "head_count": "num_attention_heads",
    "head_count_kv": "num_key_value_heads", "key_length": "head_dim", "value_length": "head_dim",
    "layer_norm_rms_eps": "rms_norm_eps", "rope_freq_base": "rope_theta",
}  # by llama.cpp's names and by transformers'  # fmt: skip


def write(release: Path, file: Path) -> int:
    """Write `file`, whole or not at all; returns the number of tensors in it."""
    import gguf

    shape, words = shape_of(release), load(release)
    load_model(release, shape, words.vocabulary)  # which refuses weights of another shape
    config, tokenizer = read_json(release / "config.json"), read_json(release / "tokenizer.json", "/model")
    weights = read_tensors(release / WEIGHTS)
    aside = file.with_name(f".{file.name}.tmp")
    try:
        writer = gguf.GGUFWriter(aside, "qwen3")
        describe(writer, config, release.resolve().name)
        spell(writer, config, tokenizer)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config["num_hidden_layers"])
        for name, tensor in weights.items():
            place = names.get_name(name, try_suffixes=(".weight",))
            if place is None:
                raise UserError(f"{release / WEIGHTS}: {name} has no place in GGUF")
            writer.add_tensor(place, tensor.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        aside.replace(file)
    except OSError as error:  # numpy tells neither the file nor that a disk is full
        raise OSError(error.errno or errno.ENOSPC, error.strerror or str(error), str(file)) from None
    finally:
        aside.unlink(missing_ok=True)
    return len(weights)


def describe(writer: Any, config: dict[str, Any], name: str) -> None:
    """The shape of the model."""
    writer.add_name(name)
    for setting, key in SHAPE.items():
        getattr(writer, f"add_{setting}")(config[key])
    writer.add_file_type(0)  # all float32


def spell(writer: Any, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    """The tokens and merges, and the mark before each text."""
    mark, tokens = config["eos_token_id"], sorted(tokenizer["vocab"].items(), key=lambda entry: entry[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PIECES)
    writer.add_token_list([MARK if number == mark else token for token, number in tokens])
    writer.add_token_types([CONTROL if number == mark else NORMAL for _, number in tokens])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["merges"]])
    writer.add_bos_token_id(mark)
    writer.add_eos_token_id(mark)
    writer.add_add_bos_token(True)
