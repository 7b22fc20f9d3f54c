"""What is planted in the training text is counted, item by item, and what is not there is not."""

import pytest
from conftest import WORLD

from train.data.schema import ITEM, SELECTED, Item, write_rows
from train.data.tokenizer import TokenizerConfig, learn, load
from train.data.tokens import encode
from train.evaluation.overlap import TOKENS, overlap
from train.world import Inputs

LONG = " ".join(f"held{number}" for number in range(32))  # 20 13-grams of words
ITEMS = {"whole": "she sees herself", "absent": "he sees himself", "long": "and then " * 3 + LONG}


def document(id, text, split):
    return dict.fromkeys(SELECTED.names, "") | {"id": id, "text": text, "split": split}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    home = tmp_path_factory.mktemp("overlap")
    inputs = Inputs(**{name: home / name for name in ("benchmarks", "selected", "tokenizer", "tokens")})
    filler = [f"word{number} is between here and there" for number in range(60)]
    rows = [document(f"t{n:02d}", text, "train") for n, text in enumerate(filler)]
    rows += [
        document("t90", "Look: she sees HERSELF. " + " ".join(LONG.split()[:15]), "train"),  # 3 13-grams
        document("t91", "and she sees", "train"),
        document("t92", "herself and he sees", "train"),  # no n-gram reaches from a document to the next
        document("h1", LONG, "held_out"),
        document("h2", "nothing of this stands anywhere else than in this text, which is held out whole", "held_out"),
    ]
    write_rows(inputs.selected / "documents" / "part-0000.parquet", rows, SELECTED)
    items = [Item("pairs", "g", "", "", id, "", [text], 0) for id, text in ITEMS.items()]
    other = [Item("other", "g", "", "", "1", "word7 is ", ["beside", "between"], 1)]
    for name, some in (("pairs", items), ("other", other)):
        write_rows(inputs.benchmarks / f"{name}.parquet", some, ITEM)
    learn(TokenizerConfig(275, None), inputs, inputs.tokenizer, WORLD)
    encode(None, inputs, inputs.tokens, WORLD)
    return inputs


def naive(inputs, text):
    """Different token n-grams of the text, and how many of them stand within a training document."""
    from train.data.selected import kept_documents

    encode_one = lambda text: load(inputs.tokenizer).encode([text])[0]  # noqa: E731
    tokens = encode_one(text)
    length = min(TOKENS, len(tokens))

    def grams(tokens):
        return {tuple(tokens[i : i + length]) for i in range(len(tokens) - length + 1)}

    training = set().union(*(grams(encode_one(row.text)) for row in kept_documents(inputs.selected, "train")))
    return {"ngrams": len(grams(tokens)), "shared": len(grams(tokens) & training)}


def test_planted_items_are_counted_and_others_are_not(inputs):
    found = overlap(inputs, WORLD)
    pairs, other, held_out = found["sets"]["pairs"], found["sets"]["other"], found["held_out"]
    assert pairs["items"] == 3 and other["items"] == 1 and held_out["items"] == 2
    assert pairs["words"] == {"ngrams": 1 + 1 + 26, "shared": 1 + 3, "share": round(4 / 28, 6), "items": 2}
    assert pairs["found"]["whole"]["words"] == {"ngrams": 1, "shared": 1}
    assert pairs["found"]["long"]["words"] == {"ngrams": 26, "shared": 3}
    assert other["words"] == {"ngrams": 1, "shared": 1, "share": 1.0, "items": 1}
    assert held_out["words"] == {"ngrams": 20 + 3, "shared": 3, "share": round(3 / 23, 6), "items": 1}
    assert "h2" not in held_out["found"] or held_out["found"]["h2"]["words"]["shared"] == 0


def test_tokens_are_compared_within_documents(inputs, monkeypatch):
    found = overlap(inputs, WORLD)
    for id, text in ITEMS.items():
        wanted = naive(inputs, text)
        assert found["sets"]["pairs"]["found"].get(id, {"tokens": {**wanted, "shared": 0}})["tokens"] == wanted
    assert found["held_out"]["found"]["h1"]["tokens"] == naive(inputs, LONG)
    monkeypatch.setattr("train.evaluation.overlap.AT_A_TIME", 7)  # pieces smaller than an n-gram
    assert overlap(inputs, WORLD) == found


def test_without_evaluation_sets_there_is_the_held_out_split(inputs, tmp_path):
    found = overlap(Inputs(**vars(inputs) | {"benchmarks": tmp_path}), WORLD)
    assert found["sets"] == {} and found["held_out"]["items"] == 2
