"""Signed statements: they hold, change no identity, and a wrong, missing, old or swapped one fails by name."""

import base64
import contextlib
import errno
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import refusal
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from little import write_key
from warm import command

from train.artifact import canonical_json, read_json, write_json
from train.release.attest import dsse, statements
from train.release.attest.dsse import PLACE, PROVENANCE, RESULT, encoded, private_key, sign, signatures
from train.release.attest.statements import collect, statement
from train.release.bundle import write_manifest
from train.release.verify.run import verify


@pytest.fixture
def keys(request, tmp_path) -> tuple[Path, Path]:
    p256 = getattr(request, "param", "ed25519") == "p256"
    return write_key(tmp_path / "mine.pem", ec.generate_private_key(ec.SECP256R1()) if p256 else None)


@pytest.fixture
def signed(copy, tmp_path) -> tuple[Path, Path]:
    """A signed copy of the release, and the public key."""
    private, public = write_key(tmp_path / "signer.pem")
    collect(copy, made(copy, private))
    return copy, public


def made(release: Path, private: Path, predicate: dict | None = None) -> bytes:
    told = statements.provenance(release) if predicate is None else predicate
    return sign(statement(release, PROVENANCE, told), private_key(private))


@pytest.mark.parametrize("keys", ["ed25519", "p256"], indirect=True)
def test_signing_holds_and_changes_no_identity(release, copy, keys):
    private, public = keys
    command("sign", copy, "--key", private)
    assert read_json(copy / "MANIFEST.json")["identity"] == read_json(release / "MANIFEST.json")["identity"]
    said = command("verify", copy, "--quick", "--public-key", public)
    assert "holds  signatures" in said and "how it was made, signed by mine.pub" in said
    assert made(copy, private) == made(copy, private), "no random number is drawn"


@pytest.mark.parametrize("number", range(1, 12))
def test_a_disk_that_is_full_leaves_the_release_as_it_was(number, copy, keys, monkeypatch):
    calls = itertools.count(1)

    def full(handle: int) -> None:
        if next(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")

    envelope = made(copy, keys[0])
    monkeypatch.setattr(os, "fsync", full)
    with contextlib.suppress(OSError):
        collect(copy, envelope)
    assert verify(copy, "quick", {"integrity"})[0].ok


def test_the_predicate_has_config_sources_code_and_lock_each_with_its_digest(release):
    told = statements.provenance(release)["buildDefinition"]
    assert told["externalParameters"]["config"] == read_json(release / "code/config.json")
    names = {entry["name"] for entry in told["resolvedDependencies"]}
    assert {"code, as paths and digests", "code/config.json", "code/requirements.lock"} <= names
    assert all(len(entry["digest"]["sha256"]) == 64 for entry in told["resolvedDependencies"])
    uris = {entry.get("uri") for entry in told["resolvedDependencies"]}
    wanted = {s["purl"] for s in read_json(release / "data/sources.json") if s["files"]}
    assert wanted <= uris


def test_what_is_signed_is_the_encoding_of_the_specification(monkeypatch):
    monkeypatch.setattr(dsse, "PAYLOAD", "http://example.com/HelloWorld")
    assert encoded(b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_another_key_fails_and_an_unsigned_release_when_a_signature_is_demanded(signed, release, keys):
    problems, lines = signatures(signed[0], [keys[1]])
    assert problems == ["no statement is signed by mine.pub"] and "not checked" in lines[0]
    assert signatures(signed[0], [signed[1]])[0] == [] == signatures(signed[0], [])[0]
    said = command("verify", release, "--quick", "--public-key", keys[1], status=1)
    assert "FAILS  signatures         no statement is signed by mine.pub" in said


def about(told: dict) -> dict:
    return json.loads(base64.b64decode(told["payload"]))["subject"][0]


def resaid(told: dict, **values) -> None:
    said = {**json.loads(base64.b64decode(told["payload"])), **values}
    told["payload"] = base64.b64encode(canonical_json(said)).decode()


@pytest.mark.parametrize("change, problem", [
    (lambda told: told["signatures"][0].update(sig=base64.b64encode(b"x" * 64).decode()), "is not that of signer.pub"),
    (lambda told: resaid(told, predicate={}), "is not that of signer.pub"),
    (lambda told: told["signatures"][0].update(sig="!"), "not a statement in a DSSE envelope"),
    (lambda told: told.update(signatures=[]), "not a statement in a DSSE envelope"),
    (lambda told: {"sig": "a bare signature"}, "not a statement in a DSSE envelope"),
    (lambda told: resaid(told, _type="https://in-toto.io/Statement/v0.1"), "of another format"),
    (lambda told: told.update(payloadType="application/json"), "of another format"),
    (lambda told: resaid(told, subject=[{"digest": {"sha256": "0" * 64}}]), "about another release"),
    (lambda told: resaid(told, subject=[{**about(told), "name": "gpt-5"}]), "about another release: gpt-5"),
    (lambda told: resaid(told, subject=[{**about(told), "digest": {**about(told)["digest"], "md5": ""}}]), "another"),
    (lambda told: resaid(told, subject=[{**about(told), "uri": "x"}]), "about another release"),
    (lambda told: resaid(told, audited="by all"), "holds more than a statement"),
    (lambda told: told.update(verified=True), "holds more than a statement"),
    (lambda told: told["signatures"][0].update(cert="x"), "holds more than a statement"),
    (lambda told: told["signatures"][0].update(keyid="everybody's"), "holds more than a statement"),
    (lambda told: told.update(payload=told["payload"][:-1] + "!"), "not a statement in a DSSE envelope"),
])  # fmt: skip
def test_a_signature_that_is_wrong_in_any_way_fails_by_name(signed, change, problem):
    release, public = signed
    (path,) = (release / PLACE).glob("*")
    told = read_json(path)
    write_json(path, change(told) or told)
    found, _ = signatures(release, [public])
    assert problem in found[0] and found[0].startswith(PLACE) and found[-1] == "no statement is signed by signer.pub"


def test_a_statement_of_another_release_or_config_fails(signed, copy, tmp_path, keys):
    other, public = signed
    (tmp_path / "kept").write_bytes(next((other / PLACE).glob("*")).read_bytes())
    (other / "NOTICE").write_text("another")
    write_manifest(other)
    assert "about another release" in signatures(other, [public])[0][0]
    refusal(collect, other, (tmp_path / "kept").read_bytes(), match="about another release")
    for path in (other / PLACE).glob("*"):
        path.unlink()
    collect(other, made(other, keys[0], {"buildDefinition": {}}))
    assert "tells of another config" in signatures(other, [keys[1]])[0][0]


@pytest.mark.parametrize(("path", "change"), [
    ("logs/weights/log.jsonl", lambda path: path.write_bytes(path.read_bytes()[:-2] + b" }\n")),
    ("logs/weights/stack.json", Path.unlink),
])  # fmt: skip
def test_a_witness_that_was_changed_after_signing_fails(signed, path, change):
    release, public = signed
    change(release / path)
    write_manifest(release)
    (found,), _ = signatures(release, [public])
    assert found.startswith(PLACE) and found.endswith(f"{path}: not as it was when this was signed")


def test_a_witness_that_was_added_after_signing_is_told_apart(signed, keys):
    release, public = signed
    said = statements.result("reproduce", True, {})
    later = collect(release, sign(statement(release, RESULT, said), private_key(keys[0])))
    problems, lines = signatures(release, [public])
    assert problems == [] and any(f"before these were added: {PLACE}{later.name}" in line for line in lines)
    problems, lines = signatures(release, [public, keys[1]])
    assert problems == []


@pytest.mark.parametrize("predicate", [
    {"result": "FAILED", "failedTests": ["reproduce"]}, {"result": "WARNED", "warnedTests": ["reproduce"]},
    {"result": "PASSED", "passedTests": ["a"], "failedTests": ["b"]}, {"result": "PASSED"}, {"result": "passed"}, {},
])  # fmt: skip
@pytest.mark.parametrize("inside", [True, False])
def test_a_demanded_key_that_tells_of_no_pass_fails(signed, keys, predicate, inside):
    release, public = signed
    envelope = sign(statement(release, RESULT, predicate), private_key(keys[0]))
    if inside:
        collect(release, envelope)
    else:
        (release.parent / f"{release.name}.reproduce.1.json").write_bytes(envelope)
    problems, _ = signatures(release, [public, keys[1]])
    assert len(problems) == 2 and problems[-1] == f"no statement is signed by {keys[1].name}"
    assert signatures(release, [public])[0] == [], "nobody asked for that key"


def test_a_checkers_word_is_shown_and_is_no_provenance(copy, tmp_path, keys):
    written = statements.attest(copy, "replay of segment 1", True, {"segment": 1}, private_key(keys[0]))
    assert written.parent == copy.parent and written.name.startswith("copy.replay.")
    assert "beside it, copy.replay." in command("verify", copy, "--quick")
    command("sign", copy, "--collect", written)
    written.unlink()
    said = command("verify", copy, "--quick")
    assert "replay of segment 1: PASSED, said to be signed by key" in said and "beside" not in said
    page, (kept,) = (copy / "report.html").read_text(), (copy / PLACE).glob("*")
    assert f'<a href="{PLACE}{kept.name}">replay of segment 1: PASSED</a>' in page
    assert [result.ok for result in verify(copy, "full", {"integrity", "report"})] == [True, True]
    assert signatures(copy, [keys[1]])[0] == ["nothing that these keys signed is a statement of provenance"]


def test_of_what_a_test_is_called_only_our_words_are_repeated(copy, keys):
    said = statements.result("audited by all, signature checked", True, {})
    collect(copy, sign(statement(copy, RESULT, said), private_key(keys[0])))
    assert "audited" not in (copy / "report.html").read_text()
    assert f"{PLACE}" in (line := signatures(copy, [])[1][0]) and "a test that is none of ours: PASSED" in line


def test_statements_beside_a_release_are_told_and_cannot_make_it_fail(copy, tmp_path, keys):
    written = statements.attest(copy, "reproduce", False, {}, private_key(keys[0]))
    (copy.parent / "copy.replay.old.json").write_text("[]")
    (copy.parent / "copy.replay.other.json").write_bytes(made(copy, keys[0]))
    said = statement(copy, PROVENANCE, {})
    said["subject"][0]["digest"]["sha256"] = "0" * 64
    (copy.parent / "copy.replay.other.json").write_bytes(sign(said, private_key(keys[0])))
    problems, lines = signatures(copy, [])
    assert problems == [] and [line.partition(": ")[0] for line in lines] == [
        "beside it, copy.replay.old.json", "beside it, copy.replay.other.json", f"beside it, {written.name}",
    ]  # fmt: skip
    assert "not a statement" in lines[0] and "about another release" in lines[1] and "reproduce: FAILED" in lines[2]
    assert "not checked  signatures" in command("verify", copy, "--quick")


def test_where_no_statement_can_stand_is_told_with_the_key_and_so_before_the_work(tmp_path):
    private, _ = write_key(tmp_path / "key.pem")
    assert statements.signer(private, tmp_path / "release")
    with pytest.raises(FileNotFoundError, match="/gone"):
        statements.signer(private, tmp_path / "gone/release")


def test_keys_that_do_not_fit_are_one_line(copy, tmp_path):
    private, public = write_key(tmp_path / "rsa.pem", rsa.generate_private_key(65537, 2048))
    (tmp_path / "none.pem").write_text("nothing")
    for key, problem in ((private, "not a"), (public, "not a"), (tmp_path / "none.pem", "not a"),
                         (tmp_path / "absent.pem", "cannot be read (No such file or directory)")):  # fmt: skip
        assert command("sign", copy, "--key", key, status=1).startswith("error: ")
        assert command("replay", copy, "--attest", key, status=2).startswith("error: ")
        said = command("verify", copy, "--quick", "--public-key", key, status=2)
        assert said.startswith(f"error: {key}: {problem}") and said.count("\n") == 1
    (copy / "NOTICE").write_text("changed")
    assert "integrity" in command("sign", copy, "--key", private, status=1), "only what is whole is signed"
    for read in (dsse.private_key, dsse.public_key, dsse.opened):  # which would take all memory
        refusal(read, Path("/dev/zero"), match="zero: more than [0-9]+ bytes")


def test_openssf_signs_a_release_too_and_what_it_overlooks_our_manifest_does_not(copy, tmp_path):
    pytest.importorskip("model_signing", reason="needs the extra `openssf`")
    private, public = write_key(tmp_path / "p256.pem", ec.generate_private_key(ec.SECP256R1()))
    signature = ["--signature", str(tmp_path / "model.sig")]

    def openssf(*words: object) -> int:
        line = [Path(sys.executable).parent / "model_signing", *words, *signature, copy]
        return subprocess.run(list(map(str, line)), capture_output=True, check=False).returncode

    assert openssf("sign", "key", "--private_key", private) == 0
    assert openssf("verify", "key", "--public_key", public) == 0
    (copy / ".gitignore").write_text("*\n")
    assert openssf("verify", "key", "--public_key", public) == 0
    (integrity,) = verify(copy, "quick", only=["integrity"])
    assert not integrity.ok and ".gitignore" in integrity.detail
    (copy / ".gitignore").unlink()
    (copy / "config.json").write_bytes(b"{}")
    assert openssf("verify", "key", "--public_key", public) != 0
