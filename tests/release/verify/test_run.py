"""What verify finds, how it says so, and the command itself."""

import base64
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
import warm
from conftest import ROOT, edit, failure, refusal

from train.artifact import read_json, write_json
from train.data.schema import TokenRange
from train.errors import UserError
from train.release.bundle import next_step, write_manifest
from train.release.standards import osaid
from train.release.standards.osaid import ROWS, RUNG_OF, RUNGS, WORD, ladder, table, verdict
from train.release.verify import model, sampling
from train.release.verify.model import optimizer_state, scores
from train.release.verify.result import NotChecked, Result, exit_status, rungs, tally
from train.release.verify.run import _run, costs, verify
from train.release.view import Release
from train.training import numerics

# What verify finds, how it says so, and the command itself -----------------------------------------------------------


@pytest.mark.parametrize("tensor", ["model.norm.weight", "lm_head.extra"])
def test_weights_that_are_not_finite_or_not_of_the_model_fail(copy, tensor):
    import torch

    from train.training.checkpoint import read_tensors, write_tensors

    found = read_tensors(copy / "model.safetensors")
    write_tensors(copy / "model.safetensors", {**found, tensor: torch.full((64,), float("nan"))})
    assert tensor in failure(copy, "weights")


def test_what_was_made_must_be_what_was_committed_to(copy):
    path = copy / "logs/weights/commitment.json"
    edit(path, "bound", "config", "training", "seed", by=lambda value: value + 1)
    write_manifest(copy)
    committed = "provenance/weights.json: is not what was committed to in logs/weights/commitment.json"
    assert failure(copy, "chain") == f"{committed}: config.training.seed: 0 is recorded, 1 was made"


# A release that means harm ------------------------------------------------------------------------------------------


def test_a_product_cannot_hide_among_the_witnesses(copy):
    manifest = read_json(copy / "MANIFEST.json")
    manifest["witnesses"]["README.md"] = manifest["products"].pop("README.md")
    write_json(copy / "MANIFEST.json", manifest)
    assert re.search("README.md: a product among the witnesses.*identity", failure(copy, "integrity"))


def test_no_check_crashes_on_nonsense_and_nothing_is_written(copy):
    for path in copy.rglob("*"):
        if path.is_file() and path.name != "MANIFEST.json" and "code/train" not in path.as_posix():
            path.write_bytes(b"[[[\xff\x00\x1b[31m")
    before = sorted(path.as_posix() for path in copy.rglob("*"))
    results = verify(copy, "full")
    assert not next(result for result in results if result.name == "integrity").ok
    assert all(result.detail.isprintable() for result in results)
    assert sorted(path.as_posix() for path in copy.rglob("*")) == before


def test_a_product_name_that_leads_outside_is_not_followed(copy, tmp_path):
    for name in ("../../outside", "/tmp/outside"):
        edit(copy / "provenance/selected.json", "products", name, to={"sha256": "0" * 64, "bytes": 0})
    assert [result.ok for result in verify(copy, "full", {"tokens", "chain"})] == [True, False]
    assert not (tmp_path / "outside").exists()


def test_no_check_of_documents_holds_where_there_are_none(copy):
    shutil.rmtree(copy / "data/documents")
    for check in ("split", "use_restrictions", "secrets"):
        assert failure(copy, check) == "data/documents: holds no table"


def test_what_is_no_release_is_an_error(tmp_path, copy):
    refusal(verify, tmp_path, "quick", match=r"not a release")
    (copy / "MANIFEST.json").write_text("{")
    refusal(verify, copy, "quick", match=r"MANIFEST.json: cannot be read")


def test_a_check_that_does_not_exist_is_an_error(release):
    refusal(verify, release, "full", {"tokenzier"}, match="is no check of this level; did you mean 'tokenizer'")
    refusal(verify, release, "quick", {"tokenizer"}, match=r"'tokenizer' is no check of this level")


# The command --------------------------------------------------------------------------------------------------------


def command(*arguments: object, python=(sys.executable,)) -> subprocess.CompletedProcess:
    line = [*python, str(ROOT / "scripts" / "verify.py"), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_quick_needs_the_standard_library_alone(release):
    done = command(release, "--quick", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "") and "2 of 2 checks hold" in done.stdout


BESIDE = {
    "nothing that is a statement": b"{}", "no JSON": b"\x00", "another release": None, "a word": b'"text"',
    "deep": b"[" * 5000, "large": b" " * (2**24 + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_quick_needs_the_standard_library_alone_whatever_lies_beside(copy, name):
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
                 "subject": [{"digest": {"sha256": "0" * 64}}], "predicate": {}}  # fmt: skip
    body = base64.b64encode(json.dumps(statement).encode()).decode()
    signed = {"payloadType": "application/vnd.in-toto+json", "payload": body, "signatures": [{"keyid": "k", "sig": ""}]}
    content = BESIDE[name] if BESIDE[name] is not None else json.dumps(signed).encode()
    (copy.parent / f"{copy.name}.replay.12345678.json").write_bytes(content)
    (copy.parent / "x.reproduce.12345678.json").write_bytes(content)  # of another
    done = command(copy, "--quick", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "2 of 3 checks hold, 1 not checked" in done.stdout and "beside it, copy.replay.12345678.json: " in done.stdout
    )
    done = command(copy, "--quick", "--only", "integrity", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "") and "1 of 1 checks hold" in done.stdout
    assert "signatures" not in done.stdout


def test_exit_status_tells_the_outcome(copy, tmp_path):
    (copy / "NOTICE").unlink()
    done = command(copy, "--quick", "--json")
    assert done.returncode == 1
    found = {result["name"]: result["ok"] for result in json.loads(done.stdout)}
    assert found == {"integrity": False, "completeness": False}
    done = command(tmp_path / "nowhere", "--quick")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr


# What checks come to: what holds, what fails and what was not checked are never mixed --------------------------------


HOLDS, FAILS, OPEN = (Result("a", status, "") for status in ("holds", "fails", "not checked"))


@pytest.mark.parametrize(("results", "status", "words"), [
    ([HOLDS, HOLDS], 0, "2 of 2 checks hold"), ([HOLDS, OPEN], 2, "1 of 2 checks hold, 1 not checked"),
    ([OPEN, FAILS], 1, "0 of 2 checks hold, 1 fails, 1 not checked"),
    ([FAILS, FAILS, HOLDS], 1, "1 of 3 checks hold, 2 fail"),
])  # fmt: skip
def test_what_was_not_checked_never_counts_as_holding(results, status, words):
    assert (exit_status(results), tally(results)) == (status, words)


@pytest.mark.parametrize(("found", "status", "says"), [
    ([], "not checked", "no network"), (["a.json: forged"], "fails", "a.json: forged; no network"),
], ids=["nothing", "a problem"])  # fmt: skip
def test_a_check_that_cannot_go_on_says_why_and_what_it_found_stands(found, status, says, tmp_path):
    def check(subject: object) -> Iterator[str]:
        yield from found
        raise NotChecked("no network")

    assert _run(check, None, tmp_path) == Result("check", status, says)


@pytest.mark.parametrize(("code", "status", "says"), [
    ("EACCES", "not checked", "forms: Permission denied; get the right to it"), ("ENOENT", "fails", "FileNotFound"),
    ("ENOSPC", "not checked", "no space left on the disk"), ("EMFILE", "not checked", "too many files are open"),
    ("EIO", "not checked", "forms: Input/output error"), ("EISDIR", "fails", "Is a directory"),
])  # fmt: skip
@pytest.mark.parametrize("told", [False, True])
def test_what_its_readers_machine_lacks_says_nothing_against_a_release(code, status, says, told, tmp_path):
    def check(subject: object) -> list[str]:
        try:
            raise OSError(number := getattr(errno, code), os.strerror(number), str(tmp_path / "forms"))
        except OSError as error:
            if told:
                raise UserError(f"forms: cannot be read ({error!r})") from None
            raise

    result = _run(check, None, tmp_path)
    assert result.status == status and says in result.detail


def outcomes(**statuses: str) -> dict[str, str]:
    return rungs([Result(name, status.replace("_", " "), "") for name, status in statuses.items()], RUNG_OF)


@pytest.mark.parametrize(("statuses", "found"), [
    ({"integrity": "holds"}, {"intact": "holds"}),
    ({"integrity": "fails", "completeness": "holds"}, {"intact": "FAILS"}),
    ({"integrity": "holds", "weights": "not_checked"}, {"intact": "holds", "consistent": "not checked"}),
    ({"weights": "holds", "snapshot": "not_checked"}, {"consistent": "holds"}),
    ({"weights": "holds", "snapshot": "fails"}, {"consistent": "FAILS"}),
    ({"weights": "holds", "prepared": "not_checked"}, {"consistent": "holds", "sourced": "not checked"}),
])  # fmt: skip
def test_a_rung_holds_when_all_that_it_asks_for_does(statuses, found):
    assert outcomes(**statuses) == found


def test_the_ladder_tells_what_was_not_run_and_how_to_run_it():
    lines = ladder("a release", {"intact": "holds", "consistent": "FAILS"})
    assert [line[:11].rstrip() for line in lines] == ["holds", "FAILS", *["not run"] * 4, "word"]
    assert "make verify RELEASE='a release' ARGS=--sources" in lines[2] and lines[-1].endswith(WORD)


def test_an_installed_package_names_its_own_command_where_there_is_no_makefile(monkeypatch, tmp_path):
    monkeypatch.setattr(osaid, "ROOT", tmp_path)
    assert ladder("a release", {})[2].endswith("pellucid verify 'a release' --sources")


def test_every_claim_has_a_rung_or_is_somebodys_word():
    names = [rung.name for rung in RUNGS]
    assert {row.rung for row in ROWS} <= {*names, None} and {*RUNG_OF.values()} <= {*names}
    assert all(row.rung is None for row in ROWS if row.kind == "statement")
    assert {"sourced", "trained", "made again"} <= {row.rung for row in ROWS if row.kind == "command"}
    assert all(names.index(row.rung or "") <= 1 for row in ROWS if row.check)


def test_what_somebody_has_to_run_counts_as_nothing(release):
    found = verdict(release, table(release))
    commands = [row for row in ROWS if row.kind == "command"]
    assert found["beyond"]["held"] == found["beyond"]["items"] - len(commands)
    assert found["to_run"] == len(commands) - 1  # and the publisher's word


def test_cards_and_page_show_the_ladder(release):
    for name in ("README.md", "report.html"):
        text = (release / name).read_text()
        assert all(rung.command("tiny-0.1.0").split(" ARGS")[0] in text for rung in RUNGS)
        assert "nothing tests them" in text and "every claim" not in text.lower()


# What costs too much is checked on a sample, which says what it was and which nobody could have known ----------------


@pytest.fixture
def little(monkeypatch, release) -> None:
    """So few operations that what is above is sampled."""
    monkeypatch.setattr(model, "MOST_OPERATIONS", 10**8)


def test_a_sample_holds_and_says_what_it_was(release, little, tmp_path):
    checked = Release(release, tmp_path, nonce="word")
    assert list(scores(checked)) == []
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
    assert list(scores(Release(copy, tmp_path, nonce="word")))


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
        list(optimizer_state(Release(release, tmp_path / "a")))
    assert not list(optimizer_state(Release(release, tmp_path / "b", whole=True)))


def test_digests_that_only_the_recorded_stack_leads_to_are_compared_there_and_else_told_as_not(copy, tmp_path):
    edit(copy / "code/config.json", "training", "numerics", "contract", to="pinned")
    view, path = Release(copy, tmp_path / "a"), copy / "checkpoints/next_step.json"
    write_json(path, right := next_step(copy, view.tokens))
    here = numerics.stack(view.world.machine)
    wrong = {**right, "files": {**right["files"], "model.safetensors": "0" * 64}}
    for said, recorded, problems, notes in (
        (right, here, 0, 0),
        (wrong, here, 1, 0),
        (wrong, {**here, "gpu": "a"}, 0, 1),
    ):
        write_json(path, said)
        edit(copy / "provenance/weights.json", "config", "stack", to=recorded)
        found = Release(copy, tmp_path / "b")
        assert (len(list(optimizer_state(found))), len(found.notes)) == (problems, notes)


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
