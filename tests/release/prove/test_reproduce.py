"""A release made again by the command is bit-identical; one that somebody changed is named by its first stage."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from conftest import edit, refusal
from little import write_key

from train import programs
from train.artifact import read_json
from train.data import schema
from train.data.sources import pypi
from train.errors import UserError
from train.keys import ROOT
from train.layout import ARTIFACTS, PREPARED
from train.release import bundle
from train.release.attest import dsse, statements
from train.release.attest.dsse import opened, public_key
from train.release.bundle import write_manifest
from train.release.prove import reproduce, sandbox
from train.release.standards.osaid import RUNGS
from train.training.checkpoint import read_tensors, write_tensors

TAKEN = f"from the released documents on: {', '.join(PREPARED)} were not made again"


def command(*arguments: object, status: int, threads: int = 1) -> tuple[str, str]:
    line = [str(ROOT / "scripts/reproduce.py"), *map(str, arguments), "--here", f"machine.threads={threads}"]
    done = warm.run(line)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="session")
def made(release, home, tmp_path_factory) -> Path:
    """A folder in which the release was made again: by its code at another path, with two threads where it was made
    with one, by a user without a name, in another locale and time zone."""
    folder = tmp_path_factory.mktemp("again")
    shutil.copytree(home / "generic-others-1", folder / "generic-others-1")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LC_ALL", "C")
        patched.setenv("TZ", "Pacific/Kiritimati")
        out, err = command(release, "--into", folder, "--json", status=0, threads=2)
    report = json.loads(out)
    assert report["verdict"] == "bit-identical" and report["first"] is None
    assert report["made"] == report["identity"] == read_json(release / "MANIFEST.json")["identity"]
    outcomes = {name: stage["status"] for name, stage in report["stages"].items()}
    assert outcomes == dict.fromkeys([*ARTIFACTS, "release"], "identical")
    assert "everything is made in" in err and "the release's code, which is that of this clone, file by file" in err
    return folder


@pytest.fixture
def again(made, tmp_path) -> Path:
    """A copy of that folder that belongs to no release yet, so that nothing has to be made anew."""
    folder = Path(shutil.copytree(made, tmp_path / "again"))
    (folder / "identity").unlink()
    return folder


def rewrite(release: Path) -> str:
    """Change a word of the first document; returns where it stands."""
    path = sorted((release / "data/documents").glob("*.parquet"))[0]
    rows = list(schema.read_rows([path]))
    rows[0] = {**rows[0], "text": rows[0]["text"] + " Changed."}
    schema.write_rows(path, rows, schema.SELECTED)
    return path.name


def test_run_again_it_goes_on_from_what_was_made(release, made):
    out, err = command(release, "--into", made, status=0)
    assert err.count("kept") == len(ARTIFACTS) + 1 and " made  " not in err
    identity = read_json(release / "MANIFEST.json")["identity"]
    assert f"bit-identical\nidentity   {identity}\n" in out
    outcomes = [line.split()[0] for line in out.splitlines()[-len(RUNGS) - 1 :]]
    assert outcomes == ["holds"] * (len(RUNGS) - 1) + ["not", "word"]


@pytest.mark.slow
def test_what_came_out_is_attested_in_a_file_beside_the_release(copy, again, tmp_path):
    private, public = write_key(tmp_path / "key.pem")
    _, err = command(copy, "--into", again, "--attest", private, status=0)
    (written,) = copy.parent.glob("copy.reproduce.*.json")
    said = opened(written)
    assert str(written) in err and said.holds(public_key(public))
    told = said.predicate
    assert (told["result"], told["passedTests"]) == ("PASSED", ["reproduce"])
    assert told["annotations"]["verdict"] == "bit-identical" and told["annotations"]["given"] == []
    assert [path.name for path in dsse.beside(copy)] == [written.name]


@pytest.mark.slow
def test_a_changed_document_is_named_by_the_stage_that_made_it(copy, reseal, again):
    part = rewrite(copy)
    reseal(copy)
    out, _ = command(copy, "--into", again, status=1)
    same = [f"{name:<10} identical" for name in ("benchmarks", "judged", "duplicates")]
    assert out.splitlines()[2:6] == [*same, "selected   differs"]
    assert f"\nfirst      selected: data/documents/{part}: " in out and "row 0: text: " in out


@pytest.mark.slow
def test_a_changed_document_shows_in_the_tokenizer_when_the_released_documents_are_taken(copy, reseal, tmp_path):
    rewrite(copy)
    reseal(copy)
    options = ("--into", tmp_path / "new", "--from-release-data", "until=tokens")
    out, _ = command(copy, *options, status=1)
    given = ("raw", "documents", "benchmarks", "judged", "duplicates", "selected")
    assert out.splitlines()[:6] == [f"{name:<10} taken from the release" for name in given]
    assert "\nFAILS        made again " in out and ("\nfirst      tokenizer: " in out or "\nfirst      tokens: " in out)
    assert f"differs, {TAKEN}" in out


def test_from_the_released_documents_everything_else_is_made_again_and_that_is_said(release, again):
    for name in ("raw", "documents", "benchmarks", "selected", "tokenizer"):
        shutil.rmtree(next((again / "runs").glob(f"{name}-*")))
    out, err = command(release, "--into", again, "--from-release-data", status=0)
    assert "selected   given" in err and "tokenizer  made" in err and f"bit-identical, {TAKEN}" in out


@pytest.mark.slow
def test_a_changed_setting_is_named_with_its_path(copy, again):
    edit(copy / "code/config.json", "tokenizer", "vocabulary", by=lambda size: size + 1)
    write_manifest(copy)
    for name in ("tokenizer", "tokens", "weights", "evaluation", "release"):
        shutil.rmtree(next(path for path in (again / "runs").glob(f"{name}-*")))
    out, _ = command(copy, "--into", again, "until=tokenizer", status=1)
    assert "\nfirst      tokenizer: config.vocabulary: 400 is recorded, 401 was made" in out
    assert "weights    not made" in out


def test_a_changed_weight_is_named_by_checkpoint_tensor_and_element(copy, reseal, made):
    path = "checkpoints/step-000002/optimizer.safetensors"
    tensors = read_tensors(copy / path)
    tensors["model.norm.weight.second"][4] += 0.5
    write_tensors(copy / path, tensors)
    reseal(copy)
    report = reproduce.compare(copy, made / "runs", ())
    assert report["verdict"] == "differs" and report["first"].startswith(f"weights: {path}: ")
    assert "model.norm.weight.second[4]: " in report["first"]


def test_a_file_changed_behind_its_record_and_a_changed_card_are_named(copy, made):
    edit(copy / "evaluation/scores.json", "bits_per_byte", "value", to=1.0)
    write_manifest(copy)
    first = reproduce.compare(copy, made / "runs", ())["first"]
    assert first.startswith("evaluation: evaluation/scores.json: bits_per_byte.value: 1.0 is recorded")


def test_a_card_that_its_records_do_not_give_differs_in_the_release(copy, made):
    (copy / "README.md").write_text((copy / "README.md").read_text() + "Best of all.\n")
    write_manifest(copy)
    report = reproduce.compare(copy, made / "runs", ())
    assert report["first"].startswith("release: README.md: ") and report["made"] != report["identity"]


def test_a_run_that_ends_early_is_not_complete(release, again):
    for name in ("weights", "evaluation", "release"):
        shutil.rmtree(next((again / "runs").glob(f"{name}-*")))
    out, err = command(release, "--into", again, "machine.micro_batches=7", status=2)
    assert "micro_batches: 7 does not divide" in err and "tokens     identical\nweights    not made" in out
    assert "not complete\nthe run ended with status 1" in out and "--from-release-data" in out


def test_outside_exact_another_stack_is_not_comparable(copy, reseal, made):
    edit(copy / "provenance/weights.json", "config", "stack", to={"threads": 64})
    reseal(copy)
    report = reproduce.compare(copy, made / "runs", ())
    assert report["verdict"] == "not comparable" and report["first"].startswith("weights: config.stack.threads: ")


def test_what_cannot_be_begun_is_one_line_and_status_2(copy, made, tmp_path):
    with pytest.raises(UserError, match="another release is made again there"):
        (made / "identity").write_text("0" * 64)
        reproduce.home(copy, made)
    (made / "identity").write_text(read_json(copy / "MANIFEST.json")["identity"])
    (tmp_path / "mine/code").mkdir(parents=True)
    refusal(reproduce.home, copy, tmp_path / "mine", match="holds code, which no reproduction made")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["code"]
    _, err = command(copy, "training.steps=5", status=2)
    assert err.startswith("error: training.steps=5: what is made is settled")
    (copy / "NOTICE").write_text("")
    _, err = command(copy, "--into", tmp_path / "new", status=2)
    assert err.startswith("error: integrity: NOTICE: changed: 0 bytes, ") and not (tmp_path / "new").exists()


def test_code_of_which_not_all_can_be_copied_is_not_there_at_all(copy, tmp_path):
    (copy / "code/link").symlink_to("nowhere")
    refusal(reproduce.unpack, copy, tmp_path / "new", match="No such file", error=shutil.Error)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", [
    "train/model.py", "scripts/more.py", "scripts/torch.py", "train/model/__init__.py", "train/model.pyc", "a.pth",
    "train/__pycache__/model.cpython-311.pyc", "train/.hidden.py", "scripts/run.py~", "sitecustomize.py",
    "numpy/__init__.py", "train/model.so", "configs/pipeline.yaml",
])  # fmt: skip
def test_code_that_is_not_this_clones_is_told(copy, path):
    assert bundle.other_files(copy) == []
    (copy / "code" / path).parent.mkdir(exist_ok=True)
    (copy / "code" / path).write_text("print('something else')\n")
    assert bundle.other_files(copy) == [path]


def test_what_other_code_makes_proves_nothing(copy, made):
    report = reproduce.compare(copy, made / "runs", (), ["train/model.py"])
    assert (report["verdict"], report["other_code"]) == ("bit-identical, by other code", ["train/model.py"])
    said = statements.result("reproduce", None, report)
    assert (said["result"], said["warnedTests"]) == ("WARNED", ["reproduce"])


SPY = """
import json, os, pathlib, sys
import more
home = pathlib.Path.home()
seen = {"environment": dict(os.environ), "flags": [sys.flags.isolated, sys.dont_write_bytecode], "home": str(home)}
seen["sockets"] = [name for name in ("/run/docker.sock", "/run/dbus", "/var/lib") if os.path.exists(name)]
seen["folder"], seen["private"] = os.getcwd(), os.path.exists(sys.argv[1])
pathlib.Path("seen.json").write_text(json.dumps(seen))
try:
    pathlib.Path(sys.argv[2]).write_text("changed")
except OSError:
    pass
"""


@pytest.mark.parametrize("boxed", [True, False])
def test_code_of_a_release_gets_no_secret_and_no_folder_but_its_own(tmp_path, monkeypatch, boxed):
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:password@localhost/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@localhost/")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pypi.pip_options.cache_clear()
    if not boxed:
        monkeypatch.setattr(sandbox, "missing", lambda: "it is not wanted")
    elif sandbox.missing():
        pytest.skip(sandbox.missing())
    home, private = tmp_path / "home", tmp_path / "private"
    (home / "code").mkdir(parents=True)
    private.write_text("mine")
    (home / "code/spy.py").write_text(SPY)
    (home / "code/more.py").write_text("")
    assert reproduce.command(sys.executable, home / "code/spy.py", str(private), str(private), home=home) == 0
    pypi.pip_options.cache_clear()
    seen = read_json(home / "seen.json")
    assert not {"HF_TOKEN", "PYTHONPATH"} & seen["environment"].keys() and "password" not in str(seen)
    assert seen["environment"]["PIP_INDEX_URL"] == "http://localhost/simple"
    assert (seen["flags"], seen["folder"], seen["home"]) == ([1, True], str(home), str(home / "user"))
    assert not (boxed and seen["sockets"])
    assert (seen["private"], private.read_text()) == ((False, "mine") if boxed else (True, "changed"))
    assert not (home / "code/__pycache__").exists()


def test_an_environment_is_made_once_for_a_lock(tmp_path):
    said: list[str] = []
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    pythons = [reproduce.environment(tmp_path / "requirements.lock", tmp_path, said.append) for _ in range(2)]
    assert pythons == [str(tmp_path / "venv/bin/python")] * 2 and len(said) == 1
    found = subprocess.run([pythons[0], "-c", "import torch"], capture_output=True)
    assert b"No module named 'torch'" in found.stderr


def test_an_environment_that_cannot_be_made_is_an_error_and_is_begun_again(tmp_path, monkeypatch):
    (tmp_path / "requirements.lock").write_text(f"something==1 --hash=sha256:{'0' * 64}\n")
    answer = lambda line, *_, **__: subprocess.CompletedProcess(line, "pip" in line, b"", b"")  # noqa: E731
    monkeypatch.setattr(programs, "run", answer)
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(UserError, match=r"pip install` failed"):
            reproduce.environment(tmp_path / "requirements.lock", tmp_path, said.append)
    assert len(said) == 2
