import os
import random
import subprocess
import sys
import tracemalloc
import unicodedata
from types import SimpleNamespace

import pytest
from conftest import ROOT, edit, is_linear, refusal
from little import WORLD, write_selected

from train.artifact import inventory
from train.data import tokenizer as module
from train.data.generated.stories import stories
from train.data.tokenizer import END_OF_TEXT, TokenizerConfig, alphabet, learn, load
from train.world import Inputs

STORIES = [text for _, text in stories(1, 150)]

AGAIN = """
import sys
from pathlib import Path
sys.path.append("tests")
from conftest import WORLD
from train.data.tokenizer import TokenizerConfig, learn
from train.world import Inputs
learn(TokenizerConfig(600, None), Inputs(selected=Path(sys.argv[1])), Path(sys.argv[2]), WORLD)
"""


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A `selected` artifact and the tokenizer learnt from it."""
    folder = tmp_path_factory.mktemp("learnt")
    write_selected(folder / "selected", STORIES, parts=2)
    learn(TokenizerConfig(600, None), Inputs(selected=folder / "selected"), folder / "tokenizer", WORLD)
    return folder


@pytest.mark.parametrize("settings", [
    {"RAYON_NUM_THREADS": "1"}, {"RAYON_NUM_THREADS": "2", "PYTHONHASHSEED": "5"}, {"RAYON_NUM_THREADS": "7"},
    {"TOKENIZERS_PARALLELISM": "false"},
])  # fmt: skip
def test_the_same_bytes_for_any_number_of_threads_and_any_order(learnt, tmp_path, settings):
    shuffled = random.Random(str(settings)).sample(STORIES, len(STORIES))
    write_selected(tmp_path / "selected", shuffled, parts=3)
    command = [sys.executable, "-c", AGAIN, str(tmp_path / "selected"), str(tmp_path / "tokenizer")]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **settings})
    assert inventory(tmp_path / "tokenizer") == inventory(learnt / "tokenizer")


def test_held_out_text_teaches_nothing(learnt, tmp_path):
    write_selected(tmp_path / "selected", STORIES, held_out=["zyx" * 500])
    learn(TokenizerConfig(600, None), Inputs(selected=tmp_path / "selected"), tmp_path / "tokenizer", WORLD)
    assert inventory(tmp_path / "tokenizer") == inventory(learnt / "tokenizer")


def test_any_text_survives_the_round_trip(learnt):
    tokenizer = load(learnt / "tokenizer")
    draws = random.Random(1)
    anything = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    texts = [
        "", " ", "\n\n\t x  \r\n", "a\x00b", "é e\u0301 ﬁ 한국 👩‍👩‍👧 \u202e", STORIES[0], f"<pad>{END_OF_TEXT}<s>",
    ]  # fmt: skip
    texts += ["".join(draws.choices(anything, k=200)) for _ in range(50)]
    encoded = tokenizer.encode(texts)
    assert [tokenizer.decode(tokens) for tokens in encoded] == texts
    assert all(token < tokenizer.vocabulary for tokens in encoded for token in tokens)


def test_the_end_of_text_mark_is_id_0_and_cannot_be_written_in_a_text(learnt):
    tokenizer = load(learnt / "tokenizer")
    assert (tokenizer.vocabulary, tokenizer.end_of_text) == (600, 0)
    assert 0 not in tokenizer.encode([f"one{END_OF_TEXT}two"])[0] and tokenizer.decode([0]) == END_OF_TEXT


def by_the_book(learnt, texts):
    """The token ids of texts as `tokenizers` itself gives them."""
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(learnt / "tokenizer" / "tokenizer.json"))
    library.encode_special_tokens = True
    return [encoding.ids for encoding in library.encode_batch(texts, add_special_tokens=False)]


def test_every_character_is_encoded_as_tokenizers_does(learnt):
    every = [letter for letter in map(chr, range(0x110000)) if not "\ud7ff" < letter < "\ue000"]
    known = [letter for letter in every if unicodedata.category(letter)[0] != "C"] + every[::97]
    texts = [f" {letter}x\n{letter} 's{letter}'s1{letter}  {letter}" for letter in every[:0x3000]]
    texts += ["".join(f"it's{letter} " for letter in known[at : at + 500]) for at in range(0, len(known), 500)]
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
    assert module.has_endless_space("x" + " " * (module.LONGEST_SPACE + 1))
    assert not module.has_endless_space("x" + " " * module.LONGEST_SPACE + "x" + " " * module.LONGEST_SPACE)
    assert not module.has_endless_space("x" * (module.LONGEST_SPACE + 1))


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


@pytest.mark.parametrize(("steps", "change"), [
    (("pre_tokenizer", "pretokenizers", 0, "pattern"), lambda _: {"Regex": r"\w+"}),
    (("model", "merges"), lambda merges: [*merges[1::-1], *merges[2:]]),
    (("model", "vocab"), lambda vocab: vocab | {"a": vocab["b"], "b": vocab["a"]}),
])  # fmt: skip
def test_a_tokenizer_that_the_two_libraries_would_read_unlike_is_refused(learnt, tmp_path, steps, change):
    (tmp_path / "tokenizer.json").write_bytes((learnt / "tokenizer" / "tokenizer.json").read_bytes())
    edit(tmp_path / "tokenizer.json", *steps, by=change)
    refusal(load, tmp_path, match="has other pieces or merges")


@pytest.mark.parametrize(("text", "pieces"), [
    ("It's don't", ["It", "'s", " don", "'t"]), ("stop_it x;  ", ["stop", "_", "it", " x", ";", "  "]),
    ("42 1,000 3.14", ["4", "2", " 1", ",", "0", "0", "0", " 3", ".", "1", "4"]), ("x²½٣", ["x", "²", "½", "٣"]),
    ("a  b\n\nc \n d", ["a", " ", " b", "\n\n", "c", " \n", " d"]),
    ("if x:\n    return 1\n", ["if", " x", ":", "\n", "   ", " return", " 1", "\n"]),
    ("{\n\t\tx\n\t}", ["{", "\n", "\t", "\t", "x", "\n", "\t", "}"]),
    ("a\r\n\r\n  b\rc", ["a", "\r\n\r\n", " ", " b", "\r", "c"]),
    ("\t 7\u00a0\u3000z", ["\t", " 7", "\u00a0", "\u3000", "z"]), (END_OF_TEXT, ["<|", "endoftext", "|>"]),
])  # fmt: skip
def test_text_is_cut_into_pieces(text, pieces):
    from tokenizers import Regex, pre_tokenizers

    found = [piece for piece, _ in pre_tokenizers.Split(Regex(module.PIECES), "isolated").pre_tokenize_str(text)]
    assert found == pieces and "".join(found) == text


def read_by_tokenizers(folder):
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: library.encode(text).ids[1:]


def read_by_transformers_alone(folder):
    """As by whoever takes the file and nothing that is said beside it."""
    transformers = pytest.importorskip("transformers")
    library = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    return lambda text: library(text)["input_ids"][1:]


@pytest.mark.parametrize("reader", [read_by_tokenizers, read_by_transformers_alone])
def test_a_mark_in_a_text_is_text_to_every_program(learnt, tmp_path, reader):
    """To transformers and llama.cpp too: `test_interoperability.py`, where there is a release with weights."""
    (tmp_path / "tokenizer.json").write_bytes((learnt / "tokenizer" / "tokenizer.json").read_bytes())

    encode = reader(tmp_path)
    for text in (END_OF_TEXT, f"a{END_OF_TEXT}b", f"{END_OF_TEXT}{END_OF_TEXT} x", f" {END_OF_TEXT}\n", "<s></s><pad>"):
        assert encode(text) == load(learnt / "tokenizer").encode([text])[0] and 0 not in encode(text)


def sample_of(folder, most, texts=STORIES, **how):
    return list(module.sampled(most, write_selected(folder, texts, **how), WORLD))


@pytest.mark.parametrize(("sizes", "most", "share"), [
    ([], 5, 0), ([5], 9, 5), ([5], 3, 3), ([9, 1, 5], 15, 9), ([9, 1, 5], 12, 6), ([9, 1, 5], 7, 3), ([4, 4], 3, 1),
])  # fmt: skip
def test_sources_share_alike_what_the_small_ones_leave(sizes, most, share):
    assert module.equal_share(sizes, most) == share and sum(min(size, share) for size in sizes) <= most


def test_a_sample_is_balanced_over_sources_and_the_same_in_any_order(tmp_path):
    sources = {text: "large" if number < 120 else "small" for number, text in enumerate(STORIES)}
    size = {name: sum(len(text.encode()) for text in STORIES if sources[text] == name) for name in ("large", "small")}
    most = size["small"] + size["large"] // 2
    taken = sample_of(tmp_path / "a", most, sources=sources)
    assert {text for text in STORIES if sources[text] == "small"} < set(taken)
    assert 0.9 * most < sum(len(text.encode()) for text in taken) <= most
    shuffled = random.Random(7).sample(STORIES, len(STORIES))
    assert sorted(sample_of(tmp_path / "b", most, texts=shuffled, sources=sources, parts=5)) == sorted(taken)
    assert sample_of(tmp_path / "c", None, held_out=["held out"]) == sample_of(tmp_path / "d", sum(size.values()))
    half = sample_of(tmp_path / "e", size["small"], sources=sources)
    shares = {name: sum(len(text.encode()) for text in half if sources[text] == name) for name in size}
    assert all(0.7 < 2 * share / size["small"] <= 1 for share in shares.values())


def test_more_text_than_can_be_counted_is_refused_unless_a_sample_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COUNTABLE", 10_000)
    refusal(sample_of, tmp_path, None, match=r"has [0-9]+ bytes, and in more than 10000 .* set tokenizer\.sample_bytes")
    assert 0 < sum(len(text.encode()) for text in sample_of(tmp_path, 9_000)) <= 9_000


def test_a_piece_without_end_takes_no_time_without_end(tmp_path):
    endless = "".join(random.Random(1).choices("abcd", k=2**18))
    write_selected(tmp_path / "selected", [*STORIES, endless])
    learn(TokenizerConfig(600, None), Inputs(selected=tmp_path / "selected"), tmp_path / "tokenizer", WORLD)
    assert load(tmp_path / "tokenizer").encode([endless]) == by_the_book(tmp_path, [endless])
    encode = load(tmp_path / "tokenizer").encode
    assert is_linear(lambda text: encode([text]), lambda size: endless[:size], 2**18)


def test_the_memory_of_a_sample_does_not_grow_with_the_text():
    class Text(str):
        """A long text that nobody has written down."""

        def encode(self, *_):
            return b"x" * 1000

    def peak(documents):
        tracemalloc.start()
        rows = (SimpleNamespace(id=str(number), source="x", text=Text()) for number in range(documents))
        module.sample_ends(rows, 5000)
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(8000)[0] < 1.2 * peak(1000)[0]


@pytest.mark.parametrize("content", [None, "{", "{}", "\x00"])
def test_a_missing_or_damaged_file_is_one_clear_line(tmp_path, content):
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    refusal(load, tmp_path, match="cannot be read as a tokenizer")


def test_a_tokenizer_of_another_make_is_refused(learnt, tmp_path):
    text = (learnt / "tokenizer" / "tokenizer.json").read_text().replace("endoftext", "stop")
    (tmp_path / "tokenizer.json").write_text(text)
    refusal(load, tmp_path, match="has no token")
    write_selected(tmp_path / "selected", ["aaaa aaaa bb bb"])
    inputs, says = Inputs(selected=tmp_path / "selected"), r"a vocabulary of 26\d, not of 600; lower tokenizer.vocab"
    refusal(learn, TokenizerConfig(600, None), inputs, tmp_path / "tokenizer", WORLD, match=says)
    assert not (tmp_path / "tokenizer").exists()
