import hashlib
import random

import numpy as np
import pytest

from train.data.schema import SELECTED, write_rows
from train.errors import UserError
from train.explore import search as indexes
from train.explore.search import END, cut, find, index, occurs, places, suffix_array, trace

TEXTS = [
    "The quick brown fox jumps over the lazy dog.\n",
    "A quick brown fox is not a dog. A quick brown fox is not a cat.\n",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Grüße aus Köln — 犬と猫 — and naïve façades 👩‍👧",
    "abcabcabcabc",
    "x",
]


def write(folder, texts, held_out=("This is held out, not trained on.",)):
    """Documents in three parts, and the rows of the training split's ranges."""
    rows = [
        {**dict.fromkeys(SELECTED.names, "?"), "id": hashlib.sha256(text.encode()).hexdigest(), "text": text,
         "split": split, "source": "pkg:generic/s@1", "path": f"{number}.txt", "licence": "MIT"}
        for split, group in (("train", texts), ("held_out", held_out))
        for number, text in enumerate(group)
    ]  # fmt: skip
    rows.sort(key=lambda row: row["id"])
    for part in range(3):
        write_rows(folder / "documents" / f"part-{part:04d}.parquet", rows[part::3], SELECTED)
    same = ("id", "source", "path", "licence")
    return [
        {**{name: row[name] for name in same}, "bytes": len(row["text"].encode())}
        for row in rows
        if row["split"] == "train"
    ]


def plainly(items, what):
    return items


@pytest.fixture(scope="module", params=[1, 60, 2**23], ids=lambda shard: f"shard{shard}")
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    return index(folder, write(folder, TEXTS), folder / "cache", plainly, shard=request.param)


def brute(made, wanted):
    """(id, byte) of every occurrence, overlapping ones too, by looking everywhere."""
    found = set()
    for text in TEXTS:
        data = text.encode()
        id = hashlib.sha256(data).hexdigest()
        found |= {(id, at) for at in range(len(data)) if data[at:].startswith(wanted)}
    return found


@pytest.mark.parametrize(
    "text", [b"", b"x", b"banana", b"a" * 100, bytes(range(256)) * 2, b"abab" * 9 + b"c", b"\0\0\0\xff\0\0"]
)
def test_a_suffix_array_is_in_the_order_of_the_suffixes(text):
    text += END
    expected = sorted(range(len(text)), key=lambda place: text[place:])
    assert suffix_array(np.frombuffer(text, np.uint8)).tolist() == expected


def test_suffix_arrays_of_random_texts_of_few_letters():
    draw = random.Random(1)
    for size in range(1, 200, 7):
        text = bytes(draw.choices(b"ab\xff\0", k=size)) + END
        expected = sorted(range(len(text)), key=lambda place: text[place:])
        assert suffix_array(np.frombuffer(text, np.uint8)).tolist() == expected


WANTED = ["quick brown", "uick", "A", "aaaa", "a" * 40, "a" * 41, "abcabc", "犬", "naïve f", "x", "fox is not a", "\n",
          "The quick brown fox jumps over the lazy dog.\n", "held", "dog.\nA", "zzz", " "]  # fmt: skip


@pytest.mark.parametrize("wanted", WANTED)
def test_every_occurrence_is_found_wherever_tokens_or_shards_end(made, wanted):
    found = find(made, wanted.encode())
    assert found.tolist() == sorted(set(found.tolist()))
    there = {(place.document["id"], place.byte) for place in places(made, found)}
    assert there == brute(made, wanted.encode()) and len(there) == len(found)
    assert occurs(made, wanted.encode()) == bool(there)


def test_a_place_leads_to_its_document(made):
    (place,) = places(made, find(made, "Köln".encode()))
    assert (place.document["path"], place.byte) == ("3.txt", len("Grüße aus ".encode()))


def spans_by_hand(text, least):
    """All spans that occur and are contained in no longer one that does."""
    there = lambda start, end: any(text[start:end] in other for other in TEXTS)  # noqa: E731
    return [
        (start, end)
        for start in range(len(text))
        for end in range(start + least, len(text) + 1)
        if there(start, end)
        and not (start and there(start - 1, end))
        and not (end < len(text) and there(start, end + 1))
    ]


@pytest.mark.parametrize("least", [1, 3, 12])
@pytest.mark.parametrize(
    "text",
    [
        "I saw a quick brown fox jump over the lazy dog.",
        "A quick brown fox is not a cat, nor the lazy dog; Grüße aus Kölle, 犬と猫!",
        "a" * 60,
        "caabcabcabcabcabcx",
        "",
        "QQQQ",
        *TEXTS,
    ],
)
def test_traced_spans_are_all_that_cannot_be_made_longer(made, text, least):
    spans = trace(made, text, least)
    assert [(span.start, span.end) for span in spans] == spans_by_hand(text, least)
    for span in spans:
        assert span.text == text[span.start : span.end]
        there = brute(made, span.text.encode())
        assert span.occurrences == len(there)
        assert {(p.document["id"], p.byte) for p in span.places} <= there and len(span.places) == min(5, len(there))


def test_shards_are_whole_documents_without_gap():
    starts = np.array([0, 5, 6, 100, 110, 111])
    for shard in (1, 4, 50, 1000):
        shards = cut(starts, shard)
        assert shards[0][0] == 0 and shards[-1][1] == 111
        assert [end for _, end in shards[:-1]] == [start for start, _ in shards[1:]]
        assert {start for start, _ in shards} <= set(starts.tolist())
    assert cut(starts, 1000) == [(0, 111)] and len(cut(starts, 1)) == 5


def test_an_index_is_made_once_and_anew_for_other_documents(tmp_path, monkeypatch):
    cache, built = tmp_path / "cache", []
    monkeypatch.setattr(indexes, "suffix_array", lambda text: built.append(len(text)) or suffix_array(text))
    for folder, texts in (("one", TEXTS), ("one", TEXTS), ("two", TEXTS[:-1])):
        index(tmp_path / folder, write(tmp_path / folder, texts), cache, plainly)
    assert len(built) == 2 and len(list(cache.iterdir())) == 2


def test_an_index_that_was_interrupted_is_made_again(tmp_path, monkeypatch):
    ranges = write(tmp_path, TEXTS)

    def interrupted(text):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(indexes, "suffix_array", interrupted)
        index(tmp_path, ranges, tmp_path / "cache", plainly)
    assert [path.name for path in tmp_path.glob("cache/*/*")] == ["text"]
    assert occurs(index(tmp_path, ranges, tmp_path / "cache", plainly), b"quick")


def test_a_damaged_index_is_refused(tmp_path):
    ranges = write(tmp_path, TEXTS)
    index(tmp_path, ranges, tmp_path / "cache", plainly)
    (text,) = tmp_path.glob("cache/*/text")
    text.write_bytes(text.read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged; remove it"):
        index(tmp_path, ranges, tmp_path / "cache", plainly)


@pytest.mark.parametrize("change", [lambda ranges: ranges.pop(), lambda ranges: ranges.append(ranges[0]),
                                    lambda ranges: ranges[0].update(id="0" * 64)])  # fmt: skip
def test_ranges_of_other_documents_are_refused(tmp_path, change):
    ranges = write(tmp_path, TEXTS)
    change(ranges)
    with pytest.raises(UserError, match="make them again"):
        index(tmp_path, ranges, tmp_path / "cache", plainly)
    assert not list(tmp_path.glob("cache/*/*"))
