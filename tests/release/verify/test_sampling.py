"""What costs too much is checked on a sample, which says what it was and which nobody could have known."""

import pytest
import warm

from train.artifact import read_json, write_json
from train.data.schema import TokenRange
from train.release.verify import model, sampling
from train.release.verify.model import optimizer_state, scores
from train.release.verify.result import NotChecked
from train.release.verify.run import costs
from train.release.view import Release


@pytest.fixture
def little(monkeypatch, release) -> None:
    """So few operations that what is above is sampled."""
    monkeypatch.setattr(model, "MOST_OPERATIONS", 10**8)


def test_a_sample_holds_and_says_what_it_was(release, little, tmp_path):
    checked = Release(release, tmp_path, nonce="word")
    assert scores(checked) == []
    (note,) = checked.notes
    assert note.startswith("a sample: ") and "by nonce word" in note and "--deep does all" in note


@pytest.mark.parametrize(("path", "change"), [
    ("evaluation/documents.json", lambda found: [row.update(bits=row["bits"] + 0.5) for row in found]),
    ("evaluation/documents.json", lambda found: [row.update(correct=row["correct"] + 1) for row in found]),
    ("evaluation/documents.json", lambda found: found.pop()),
    ("evaluation/documents.json", lambda found: found[0].update(id="0" * 64)),
    ("evaluation/documents.json", lambda found: found[0].update(bytes=1)),
    ("evaluation/scores.json", lambda found: found["bits_per_byte"].update(value=0.1)),
    ("evaluation/scores.json", lambda found: found["perplexity"].update(low=0.1)),
    ("evaluation/scores.json", lambda found: found["byte_4gram"].update(value=0.1)),
    ("evaluation/scores.json", lambda found: found.update(more=found["byte_4gram"])),
    ("evaluation/pairs.json", lambda found: [row.update(bits=[0.1, 0.2]) for row in found]),
    ("evaluation/pairs.json", lambda found: found[0].update(byte_4gram=[0.1, 0.2])),
    ("evaluation/pairs.json", lambda found: found.pop()),
    ("evaluation/minimal_pairs.json", lambda found: found["pairs"].update(value=0.99)),
    ("evaluation/minimal_pairs.json", lambda found: found["others"]["average"].update(value=0.99)),
    ("evaluation/minimal_pairs.json", lambda found: found["others"]["files"].clear()),
    ("evaluation/choices.json", lambda found: [row.update(bits=[0.2, 0.1]) for row in found]),
    ("evaluation/choices.json", lambda found: found[0].update(byte_4gram=[0.1, 0.2])),
    ("evaluation/choices.json", lambda found: found.pop(0)),
    ("evaluation/multiple_choice.json", lambda found: found["others"]["acc_norm"].update(value=0.99)),
    ("evaluation/multiple_choice.json", lambda found: found["others"].update(chance=0.1)),
])  # fmt: skip
def test_what_a_sample_finds_or_what_follows_from_it_fails(copy, little, tmp_path, path, change):
    found = read_json(copy / path)
    change(found)
    write_json(copy / path, found)
    assert scores(Release(copy, tmp_path, nonce="word"))


def test_other_words_draw_other_documents(release, tmp_path):
    drawn = {}
    for nonce in "abcdef":
        checked = Release(release, tmp_path / nonce, nonce=nonce)
        ranges = [TokenRange(str(number), number, number + 1, 1, "", "", "") for number in range(50)]
        drawn[nonce] = tuple(row.id for row in sampling.drawn(checked, ranges, 3))
    assert len(set(drawn.values())) == 6 and all(len(ids) == 3 for ids in drawn.values())
    assert len(sampling.drawn(checked, ranges, 0)) == 1, "at least one"
    assert Release(release, tmp_path / "x").nonce != Release(release, tmp_path / "y").nonce


def test_a_step_that_costs_too_much_is_not_checked_and_deep_does_it(release, monkeypatch, tmp_path):
    monkeypatch.setattr(model, "MOST_OPERATIONS", 1)
    with pytest.raises(NotChecked, match="--deep does it"):
        optimizer_state(Release(release, tmp_path / "a"))
    assert optimizer_state(Release(release, tmp_path / "b", whole=True)) == []


def test_costs_are_told_beforehand_and_of_nonsense_nothing(release, copy):
    (line,) = costs(release)
    assert line.startswith("scores ")
    assert all(words in line for words in ("optimizer_state ", "% of the training)", "1e+13"))
    (line,) = costs(release, ["scores"])
    assert line.startswith("scores ") and "optimizer_state" not in line and costs(release, ["tokenizer"]) == []
    (line,) = costs(release, ["prepared"], "sources")
    assert line.startswith("prepared ") and "% of the seconds of the training, and what is fetched" in line
    for wrong in ({"flops": 1, "tokens_seen": 0}, {"flops": "x", "tokens_seen": 1}, [], {}):
        write_json(copy / "provenance/facts.json", wrong)
        assert costs(copy) == costs(copy, (), "sources") == []


@pytest.mark.parametrize("word", ["machine.threads=0", "machine.threads=x", "machine.device=gpu", "machine.runs=x"])
def test_how_to_compute_is_said_as_everywhere_and_nothing_else(release, word):
    said = warm.command("verify", release, "--quick", word, status=2)
    assert said.startswith(f"error: {word}: expected machine.threads=N or machine.device")


def test_threads_are_taken(release):
    said = warm.command("verify", release, "machine.threads=1", "--only", "scores", "--nonce", "x")
    assert said.startswith("cost       scores ")
