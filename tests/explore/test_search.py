import hashlib
from dataclasses import replace

import numpy as np
import pytest

from train.data.schema import SELECTED, TokenRange, write_rows
from train.errors import UserError
from train.explore import search
from train.explore.search import corpus, find, places, trace, window_hashes

TEXTS = [
    "The quick brown fox jumps over the lazy dog.\n",
    "A quick brown fox is not a dog. A quick brown fox is not a cat.\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Grüße aus Köln — 犬と猫 — and naïve façades 👩‍👧", "abcabcabcabc", "x",
]  # fmt: skip


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
    return [
        TokenRange(row["id"], 0, 0, len(row["text"].encode()), row["source"], row["path"], row["licence"])
        for row in rows
        if row["split"] == "train"
    ]


@pytest.fixture(scope="module", params=[7, 2**22], ids=lambda chunk: f"chunk{chunk}")
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("selected")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(search, "CHUNK", request.param)
        yield corpus(folder, write(folder, TEXTS))


def brute(made, wanted):
    """(id, byte) of every occurrence, overlapping ones too, by looking everywhere."""
    found = set()
    for text in TEXTS:
        data = text.encode()
        id = hashlib.sha256(data).hexdigest()
        found |= {(id, at) for at in range(len(data)) if data[at:].startswith(wanted)}
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 40])
def test_a_window_has_the_hash_of_its_bytes_wherever_it_stands(size):
    text = np.frombuffer(bytes(range(256)) * 2, np.uint8)
    hashes = window_hashes(text, size)
    assert len(hashes) == 513 - size and len(np.unique(hashes)) == 256
    assert hashes[5] == hashes[261] == window_hashes(text[5 : 5 + size], size)[0]
    assert not len(window_hashes(text[: size - 1], size))


WANTED = ["quick brown", "uick", "A", "aaaa", "a" * 40, "a" * 41, "abcabc", "犬", "naïve f", "x", "fox is not a", "\n",
          "The quick brown fox jumps over the lazy dog.\n", "held", "dog.\nA", "zzz", " "]  # fmt: skip


@pytest.mark.parametrize("wanted", WANTED)
def test_every_occurrence_is_found_wherever_tokens_end(made, wanted):
    found = find(made, wanted.encode())
    assert found == sorted(set(found))
    there = {(place.document.id, place.byte) for place in places(made, found)}
    assert there == brute(made, wanted.encode()) and len(there) == len(found)


def test_a_place_leads_to_its_document(made):
    (place,) = places(made, find(made, "Köln".encode()))
    assert (place.document.path, place.byte) == ("3.txt", len("Grüße aus ".encode()))


def spans_by_hand(text, least):
    """All spans that occur and are contained in no longer one that does."""
    there = lambda start, end: any(text[start:end] in other for other in TEXTS)  # noqa: E731
    longer = lambda start, end: (start and there(start - 1, end)) or (end < len(text) and there(start, end + 1))  # noqa: E731
    spans = ((start, end) for start in range(len(text)) for end in range(start + least, len(text) + 1))
    return [span for span in spans if there(*span) and not longer(*span)]


@pytest.mark.parametrize("least", [1, 3, 12])
@pytest.mark.parametrize("text", [
    "I saw a quick brown fox jump over the lazy dog.",
    "A quick brown fox is not a cat, nor the lazy dog; Grüße aus Kölle, 犬と猫!", "a" * 60, "caabcabcabcabcabcx",
    "", "QQQQ", *TEXTS,
])  # fmt: skip
def test_traced_spans_are_all_that_cannot_be_made_longer(made, text, least):
    spans = trace(made, text, least)
    assert [(span.start, span.end) for span in spans] == spans_by_hand(text, least)
    for span in spans:
        assert span.text == text[span.start : span.end]
        there = brute(made, span.text.encode())
        assert span.occurrences == len(there)
        assert {(p.document.id, p.byte) for p in span.places} <= there and len(span.places) == min(5, len(there))


@pytest.mark.parametrize("change", [lambda ranges: ranges.pop(), lambda ranges: ranges.append(ranges[0]),
                                    lambda ranges: ranges.__setitem__(0, replace(ranges[0], id="0" * 64))])  # fmt: skip
def test_ranges_of_other_documents_are_refused(tmp_path, change):
    ranges = write(tmp_path, TEXTS)
    change(ranges)
    with pytest.raises(UserError, match="make them again"):
        corpus(tmp_path, ranges)
