"""Stage 5: a byte-level BPE tokenizer, learnt from a sample of the training split.

The sample is balanced over sources: each gives all of its text, or as many bytes as every other that does not. Which
documents these are a hash of their ids tells, so that it is the same sample in any order, and memory does not grow with
the text: it is read twice, document by document.

The only door to `tokenizers`, which learns it, decodes and owns the format, and to `tiktoken`, which encodes the same
tokens several times faster. Both apply the merge of lowest rank first, the leftmost if there are two. They could only
part where two merges made one token; in what is learnt here each token comes from one merge, in the order of the ids.
`gigatoken`, which is faster still, reads the pieces of well-known tokenizers alone, and not ours.
"""

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray

from train import initial
from train.artifact import copy_file, write_bytes
from train.data.schema import SelectedDocument, read_records
from train.errors import UserError
from train.world import Inputs, World

END_OF_TEXT = "<|endoftext|>"  # id 0; stands after every document
SMALLEST = 1 + 256  # the mark and a token a byte

# No token reaches across these pieces. In turn: a word with the space before it; an English ending such as 's; one
# digit with the space before it; symbols with the space before them; white space that ends in line breaks; other
# white space, whose last space or tab is left over: a space to the piece that follows, a tab to itself. So numbers are
# digits, and the indentation of code is one piece less its last space. No \b: engines differ in what is a word.
PIECES = (
    r" ?\p{L}[\p{L}\p{M}]*|'\p{L}{1,2}(?![\p{L}\p{M}\p{N}\p{Pc}])| ?\p{N}| ?[^\s\p{L}\p{N}]+|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
LONGEST_PIECE = 2**10  # characters; the time that learning takes grows with the square of a piece
LONGEST_SPACE = 2**16  # characters; tiktoken's regex engine remembers each of a run of space, and fails at a million
COUNTABLE = 2**31 - 1  # bytes, and so pairs: `tokenizers` counts these in 32 bits, and drops in silence what is more
DRAWS = 2**14  # different draws of a document; a source's sample ends between two


@dataclass(frozen=True)
class TokenizerConfig:
    """How large the vocabulary of the tokenizer is, and how much text it is learnt from."""

    vocabulary: Annotated[int, Ge(SMALLEST), Le(2**24)]  # tokens, the end-of-text mark and the 256 bytes among them
    # Of training text in UTF-8, at most, balanced over sources; null: all of it.
    sample_bytes: Annotated[int, Ge(1), Le(COUNTABLE)] | None


def learn(config: TokenizerConfig | str, inputs: Inputs, out: Path, world: World) -> None:
    """Write `tokenizer.json`: pieces, merges, and the mark before every text, as `transformers` reads them.

    The bytes depend on the multiset of texts alone: the library counts pieces first, gives the first ids to the sorted
    alphabet (all bytes, always), and breaks ties between equally frequent pairs by their ids. Neither the order of
    texts nor the number of threads enters. Raises UserError when the text is too small for the vocabulary. Where the
    config is the identity of a release, which the training begins with, its tokenizer is taken.
    """
    if isinstance(config, str):
        return copy_file(initial.taken(world.machine.init_from, config, initial.TOKENIZER), out / "tokenizer.json")

    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    learner = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    short = pre_tokenizers.FixedLength(LONGEST_PIECE)
    learner.pre_tokenizer = pre_tokenizers.Sequence([pieces, short, to_bytes])
    settings: dict[str, Any] = {"vocab_size": config.vocabulary, "min_frequency": 2, "show_progress": False}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(**settings, special_tokens=[END_OF_TEXT], initial_alphabet=letters)
    learner.train_from_iterator(sampled(config.sample_bytes, inputs.selected, world), trainer)
    if (reached := learner.get_vocab_size()) < config.vocabulary:
        raise UserError(
            f"tokenizer: the training text supports a vocabulary of {reached}, not of {config.vocabulary}; "
            "lower tokenizer.vocabulary, or give more text or tokenizer.sample_bytes"
        )
    # Of the model alone: where no token is listed as an added one, no program looks for the mark in a text.
    tokenizer = Tokenizer(learner.model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    before = {"single": f"{END_OF_TEXT} $A", "pair": f"{END_OF_TEXT} $A {END_OF_TEXT} $B"}
    tokenizer.post_processor = processors.TemplateProcessing(**before, special_tokens=[(END_OF_TEXT, 0)])
    write_bytes(out / "tokenizer.json", tokenizer.to_str(pretty=True).encode() + b"\n")


def sampled(most: int | None, selected: Path, world: World) -> Iterator[str]:
    """The training texts in a sample of at most `most` bytes; UserError where None means more than can be counted."""
    parts = sorted((selected / "documents").glob("*.parquet"))

    def documents(what: str) -> Iterator[SelectedDocument]:
        every = world.track(read_records(SelectedDocument, parts), what)
        return (document for document in every if document.split == "train")

    ends = sample_ends(documents("documents measured"), most)
    return (each.text for each in documents("documents read") if draw(each.id) < ends[each.source])


def sample_ends(documents: Iterable[SelectedDocument], most: int | None) -> dict[str, int]:
    """Of each source, the first draw that is not in the sample."""
    drawn: dict[str, Any] = defaultdict(lambda: np.zeros(DRAWS, np.int64))  # source -> bytes of each draw
    for document in documents:
        drawn[document.source][draw(document.id)] += len(document.text.encode())
    sizes = [int(each.sum()) for each in drawn.values()]
    if most is None and sum(sizes) > COUNTABLE:
        raise UserError(
            f"tokenizer: the training text has {sum(sizes)} bytes, and in more than {COUNTABLE} the counts of pairs "
            "could overflow; set tokenizer.sample_bytes"
        )
    limit = equal_share(sizes, COUNTABLE if most is None else most)
    return {source: int(np.searchsorted(each.cumsum(), limit, "right")) for source, each in drawn.items()}


def equal_share(sizes: Sequence[int], most: int) -> int:
    """What each may give at most, so that all together give at most `most`, and as much of it as they have."""
    for number, size in enumerate(ordered := sorted(sizes)):
        share = most // (len(ordered) - number)
        if size > share:
            return share
        most -= size
    return max(sizes, default=0)


def draw(document: str) -> int:
    """A number below DRAWS by a hash of a document's id."""
    return int(hashlib.sha256(f"tokenizer:{document}".encode()).hexdigest()[:8], 16) % DRAWS


def hugging_face_config(context: int) -> dict[str, Any]:
    """`tokenizer_config.json`, as `transformers.AutoTokenizer` reads it.

    The mark begins and ends every text, and pads a batch on the left, where a text that is written on to has room. A
    mark spelt out in a text is plain text, as it is to `Tokenizer.encode`.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{use}_token": END_OF_TEXT for use in ("bos", "eos", "pad")},
        "padding_side": "left",
        "model_max_length": context,
        "model_input_names": ["input_ids", "attention_mask"],
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer that has been learnt: text to token ids and back, without loss for any text."""

    vocabulary: int
    end_of_text: int  # id of the mark
    library: Any  # tokenizers.Tokenizer
    encoder: Any  # tiktoken.Encoding

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, without an end-of-text mark; a mark spelt out in a text is plain text."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [tokens.tolist() for tokens in pool.map(self.tokens, texts)]

    def tokens(self, text: str) -> NDArray[np.uint32]:
        """The same of one text, as an array, by a thread that lets others run."""
        if has_endless_space(text):
            return np.array(self.library.encode(text, add_special_tokens=False).ids, np.uint32)
        return self.encoder.encode_to_numpy(text, disallowed_special=())  # type: ignore[no-any-return]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids, marks spelt out; bytes that are not UTF-8 become U+FFFD."""
        return str(self.library.decode(list(tokens), skip_special_tokens=False))


def has_endless_space(text: str) -> bool:
    """Whether some run of white space in `text` is too long for the fast encoder."""
    spaces = re.finditer(r"\s+", text) if len(text) > LONGEST_SPACE else ()
    return any(space.end() - space.start() > LONGEST_SPACE for space in spaces)


def load(artifact: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer` artifact or of a release; UserError when its file is missing or damaged."""
    import tiktoken
    import tokenizers

    path = artifact / "tokenizer.json"
    try:
        text = path.read_text(encoding="utf-8")
        library = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises Exception itself
        raise UserError(f"{path}: cannot be read as a tokenizer ({error})") from None
    ranks = library.get_vocab()
    if ranks.pop(END_OF_TEXT, None) != 0:
        raise UserError(f"{path}: has no token {END_OF_TEXT}; expected a tokenizer that this pipeline made")
    if not encodes_alike(json.loads(text), ranks):
        raise UserError(f"{path}: has other pieces or merges; expected a tokenizer that this pipeline made")
    library.encode_special_tokens = True
    spelt = alphabet()
    merges = {bytes(spelt[letter] for letter in token): rank for token, rank in ranks.items()}
    encoder = tiktoken.Encoding("pellucid", pat_str=PIECES, mergeable_ranks=merges, special_tokens={})
    return Tokenizer(library.get_vocab_size(), 0, library, encoder)


def encodes_alike(settings: dict[str, Any], ranks: Mapping[str, int]) -> bool:
    """Whether both libraries read tokenizer.json alike: our pieces; all bytes, then each merge."""
    tokens = sorted(ranks, key=lambda token: ranks[token])
    merged = [*sorted(alphabet()), *("".join(pair) for pair in settings["model"]["merges"])]
    pieces = [step.get("pattern") for step in (settings["pre_tokenizer"] or {}).get("pretokenizers", [])]
    return tokens == merged and pieces == [{"Regex": PIECES}, None]


def alphabet() -> dict[str, int]:
    """The letter that a byte-level vocabulary spells each byte with: itself if it can be seen, else one from U+0100."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + number): byte for number, byte in enumerate(unseen)}
