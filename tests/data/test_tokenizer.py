import hashlib
import json
import os
import random
import subprocess
import sys

import pytest
from conftest import MACHINE

from train.artifact import inventory
from train.config import build
from train.data.generated.stories import stories
from train.data.schema import SELECTED, write_rows
from train.data.tokenizer import (
    END_OF_TEXT,
    LONGEST_SPACE,
    PIECES,
    TokenizerConfig,
    alphabet,
    has_endless_space,
    hugging_face_config,
    learn,
    load,
)
from train.errors import ConfigError, UserError
from train.keys import ROOT
from train.world import World

WORLD = World(0, 1, MACHINE)
STORIES = [text for _, text in stories(1, 150)]

AGAIN = """
import sys
from pathlib import Path
sys.path.append("tests")
from tests.data.test_tokenizer import WORLD
from train.data.tokenizer import TokenizerConfig, learn
learn(TokenizerConfig(600), {"selected": Path(sys.argv[1])}, Path(sys.argv[2]), WORLD)
"""


def write_selected(folder, texts, held_out=(), parts=2):
    """A `selected` artifact that holds `texts` in the order given (which no real one has)."""
    rows = [
        {
            **dict.fromkeys(SELECTED.names, "x"),
            "text": text,
            "split": split,
            "id": hashlib.sha256(text.encode()).hexdigest(),
        }
        for split, some in (("train", texts), ("held_out", held_out))
        for text in some
    ]
    for part in range(parts):
        write_rows(folder / "documents" / f"part-{part:04d}.parquet", rows[part::parts], SELECTED)
    return folder


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A `selected` artifact and the tokenizer learnt from it."""
    folder = tmp_path_factory.mktemp("learnt")
    write_selected(folder / "selected", STORIES)
    learn(TokenizerConfig(600), {"selected": folder / "selected"}, folder / "tokenizer", WORLD)
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {"RAYON_NUM_THREADS": "1"},
        {"RAYON_NUM_THREADS": "2", "PYTHONHASHSEED": "5"},
        {"RAYON_NUM_THREADS": "7"},
        {"TOKENIZERS_PARALLELISM": "false"},
    ],
)
def test_the_same_bytes_for_any_number_of_threads_and_any_order(learnt, tmp_path, settings):
    shuffled = random.Random(str(settings)).sample(STORIES, len(STORIES))
    write_selected(tmp_path / "selected", shuffled, parts=3)
    command = [sys.executable, "-c", AGAIN, str(tmp_path / "selected"), str(tmp_path / "tokenizer")]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **settings})
    assert inventory(tmp_path / "tokenizer") == inventory(learnt / "tokenizer")


def test_held_out_text_teaches_nothing(learnt, tmp_path):
    write_selected(tmp_path / "selected", STORIES, held_out=["zyx" * 500])
    learn(TokenizerConfig(600), {"selected": tmp_path / "selected"}, tmp_path / "tokenizer", WORLD)
    assert inventory(tmp_path / "tokenizer") == inventory(learnt / "tokenizer")


def test_any_text_survives_the_round_trip(learnt):
    tokenizer = load(learnt / "tokenizer")
    draws = random.Random(1)
    anything = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    texts = [
        "",
        " ",
        "\n\n\t x  \r\n",
        "a\x00b",
        "é e\u0301 ﬁ 한국 👩‍👩‍👧 \u202e",
        STORIES[0],
        f"<pad>{END_OF_TEXT}<s>",
    ]
    texts += ["".join(draws.choices(anything, k=200)) for _ in range(50)]
    encoded = tokenizer.encode(texts)
    assert [tokenizer.decode(tokens) for tokens in encoded] == texts
    assert all(token < tokenizer.vocabulary for tokens in encoded for token in tokens)


def test_the_end_of_text_mark_is_id_0_and_cannot_be_written_in_a_text(learnt):
    tokenizer = load(learnt / "tokenizer")
    assert (tokenizer.vocabulary, tokenizer.end_of_text) == (600, 0)
    assert 0 not in tokenizer.encode([f"one{END_OF_TEXT}two"])[0]
    assert tokenizer.decode([0]) == END_OF_TEXT


def by_the_book(learnt, texts):
    """The token ids of texts as `tokenizers` itself gives them."""
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(learnt / "tokenizer" / "tokenizer.json"))
    library.encode_special_tokens = True
    return [encoding.ids for encoding in library.encode_batch(texts, add_special_tokens=False)]


def test_every_character_is_encoded_as_tokenizers_does(learnt):
    anything = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    texts = [f" {letter}x\n{letter} 's{letter}'s1{letter}  {letter}" for letter in anything[:0x3000]]
    texts += [
        "".join(f"it's{letter} " for letter in anything[start : start + 500]) for start in range(0, 0x110000, 500)
    ]
    assert load(learnt / "tokenizer").encode(texts) == by_the_book(learnt, texts)


def test_random_and_repetitive_texts_are_encoded_as_tokenizers_does(learnt):
    draws = random.Random(3)
    words = [*"aabé'1=\n \t\u0301\u200d_²", "  ", "'s", "the", "\r\n", "\u2028", END_OF_TEXT, "<|", "Ⅷ", "नि"]
    texts = ["".join(draws.choices(words, k=draws.randrange(40))) for _ in range(3000)]
    texts += [draws.randbytes(200).decode(errors="replace") for _ in range(200)]
    texts += [draws.choice(words) * draws.randrange(3000) for _ in range(60)]
    assert load(learnt / "tokenizer").encode(texts) == by_the_book(learnt, texts)


@pytest.mark.parametrize("tail", ["", "x", "\n"])
def test_a_run_of_space_that_the_fast_engine_cannot_hold_is_encoded_all_the_same(learnt, tail):
    texts = ["one", "two" + " " * 1_200_000 + tail, "three"]
    assert load(learnt / "tokenizer").encode(texts) == by_the_book(learnt, texts)


def test_endless_space_is_seen_and_long_text_is_not_taken_for_it():
    assert has_endless_space("x" + " " * (LONGEST_SPACE + 1))
    assert not has_endless_space("x" + " " * LONGEST_SPACE + "x" + " " * LONGEST_SPACE)
    assert not has_endless_space("x" * (LONGEST_SPACE + 1))


def test_the_library_knows_the_letters_of_all_bytes():
    from tokenizers import decoders

    assert sorted(alphabet().values()) == list(range(256))
    texts = {byte: chr(byte) if byte < 128 else None for byte in range(256)}
    known = {letter: text for letter, byte in alphabet().items() if (text := texts[byte])}
    assert all(decoders.ByteLevel().decode([letter]) == text for letter, text in known.items())


def test_nothing_of_the_encoder_reaches_for_the_network(learnt):
    program = (
        "import socket, sys; from pathlib import Path; from train.data.tokenizer import load\n"
        "socket.socket.connect = socket.create_connection = lambda *a, **k: sys.exit('network')\n"
        "tokenizer = load(Path(sys.argv[1]))\n"
        "assert tokenizer.decode(tokenizer.encode(['a text'])[0]) == 'a text'\n"
    )
    subprocess.run([sys.executable, "-c", program, str(learnt / "tokenizer")], check=True, cwd=ROOT)


@pytest.mark.parametrize("change", ["pieces", "merges", "bytes"])
def test_a_tokenizer_that_the_two_libraries_would_read_unlike_is_refused(learnt, tmp_path, change):
    found = json.loads((learnt / "tokenizer" / "tokenizer.json").read_text())
    if change == "pieces":
        found["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": r"\w+"}
    elif change == "merges":
        found["model"]["merges"][0], found["model"]["merges"][1] = found["model"]["merges"][1::-1]
    else:
        vocabulary = found["model"]["vocab"]
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(found))
    with pytest.raises(UserError, match="has other pieces or merges"):
        load(tmp_path)


def test_text_is_cut_into_pieces():
    from tokenizers import Regex, pre_tokenizers

    text = "It's 42 days,  don't\n  stop_it \n\nx;  "
    pieces = [piece for piece, _ in pre_tokenizers.Split(Regex(PIECES), "isolated").pre_tokenize_str(text)]
    assert "".join(pieces) == text
    words = ["It", "'s", " 4", "2", " days", ",", " ", " don", "'t", "\n"]
    assert pieces == [*words, " ", " stop", "_", "it", " \n\n", "x", ";", "  "]


def test_transformers_loads_it(learnt, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_bytes((learnt / "tokenizer" / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(hugging_face_config(32)))
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    ours = load(learnt / "tokenizer")
    for text in (STORIES[1], "Größe: 12 µm\n\n  - a, b .", ""):
        assert theirs(text)["input_ids"] == [0, *ours.encode([text])[0]]
        assert theirs.decode(theirs(text)["input_ids"], skip_special_tokens=True) == text
    assert (theirs.eos_token, theirs.eos_token_id, len(theirs)) == (END_OF_TEXT, 0, 600)


def test_a_vocabulary_that_the_text_cannot_fill_is_refused(tmp_path):
    write_selected(tmp_path / "selected", ["aaaa aaaa bb bb"])
    with pytest.raises(UserError, match=r"supports a vocabulary of 26\d, not of 600; lower tokenizer.vocabulary"):
        learn(TokenizerConfig(600), {"selected": tmp_path / "selected"}, tmp_path / "tokenizer", WORLD)
    assert not (tmp_path / "tokenizer").exists()


@pytest.mark.parametrize("vocabulary", [256, 2**24 + 1])
def test_config_invariants(vocabulary):
    with pytest.raises(ConfigError, match=f"vocabulary: expected 257 to {2**24}, got {vocabulary}"):
        build(TokenizerConfig, {"vocabulary": vocabulary})


@pytest.mark.parametrize("content", [None, "{", "{}", "\x00"])
def test_a_missing_or_damaged_file_is_one_clear_line(tmp_path, content):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match="cannot be read as a tokenizer"):
        load(tmp_path)


def test_a_tokenizer_of_another_make_is_refused(learnt, tmp_path):
    text = (learnt / "tokenizer" / "tokenizer.json").read_text().replace("endoftext", "stop")
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(UserError, match="has no token"):
        load(tmp_path)
