"""What reaches a terminal, and the programs that are started."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, wait_for

from train import programs
from train.release import repository
from train.terminal import explain
from train.unicode import harmless

# What reaches a terminal: nothing that it would obey, all that people write, and no crash for want of a letter -------


@pytest.mark.parametrize("text", [
    "\u3000日本", "10\u00a0km", "soft\u00adhyphen", "naïve", "e\u0301", "नमस्ते", "\u0645\u06cc\u200c\u062e",
    "👩\u200d🚀", "\u202fh", "a\tb\nc", "\ufeffx", "\u2028", "\ue000",
])  # fmt: skip
def test_what_people_write_is_shown_as_it_is(text):
    assert harmless(text) == text


@pytest.mark.parametrize("sign", [
    "\x00", "\x07", "\x08", "\x0b", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\ud800", "\udcff", "\u061c", "\u200e",
    "\u200f", "\u202a", "\u202e", "\u2066", "\u2069",
])  # fmt: skip
def test_what_a_terminal_would_obey_is_replaced(sign):
    assert harmless(f"a{sign}b") == "a\ufffdb"


PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from train.errors import UserError
from train.terminal import guarded
def command(texts):
    print(*texts, sep="\\n")
    raise UserError("; ".join(texts))
guarded(command, {texts!r})
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8", "ascii:strict"])
def test_a_console_that_lacks_a_letter_gets_its_number(encoding):
    texts = ["日本語", "Größe …", "smile 😀", "half \ud83d", "plain"]
    line = [sys.executable, "-c", PROGRAM.format(root=str(ROOT), texts=texts)]
    done = subprocess.run(line, env={"PYTHONIOENCODING": encoding}, capture_output=True, check=False)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and done.stderr.startswith(b"error: ")
    for text, shown in zip(texts, done.stdout.decode(encoding.partition(":")[0]).splitlines(), strict=True):
        assert shown == text or (text != "plain" and re.search(r"\\[uUx]", shown))


@pytest.mark.parametrize(("code", "says"), [
    *((code, "get the right to it, or name another place") for code in ("EACCES", "EPERM")),
    ("EROFS", "nothing can be written there"),
    ("ENOENT", "make sure it is there"), ("ENOTDIR", "a file stands where a folder is wanted"),
    ("EEXIST", "a file stands where a folder is wanted"), ("EISDIR", "a folder stands where a file is wanted"),
    ("ENAMETOOLONG", "choose a shorter one"), ("ELOOP", "links lead in a circle"),
    ("ENOEXEC", "no program for this machine"), ("EFBIG", "holds no file as large"), ("EMFILE", "raise the limit"),
    ("EDQUOT", "free some, then run the same command again"), ("ENOSPC", "free some and run the same command again"),
    *((code, "nothing that was whole is lost, run the same command again")
      for code in ("EIO", "ESTALE", "EPIPE", "ETIMEDOUT", "ECONNRESET")),
    ("EINVAL", "nothing that was whole is lost"), ("ENODEV", "nothing that was whole is lost"),
])  # fmt: skip
def test_to_run_again_is_advised_only_where_it_can_help(code, says):
    number = getattr(errno, code)
    told = explain(OSError(number, os.strerror(number), "some/where"))
    assert told.startswith("some/where: ") and says in told and "\n" not in told
    assert ("same command again" in told) == (says[-5:] == "again")
    assert "again" not in explain(OSError("no number, as of a library"))


@pytest.mark.parametrize(("names", "says"), [
    ((), "no space left on a disk; free some"), (("source", None, "target"), "target: no space left on the disk ("),
])  # fmt: skip
def test_a_full_disk_is_told_by_what_is_written_or_by_no_name(names, says):
    assert explain(OSError(errno.ENOSPC, "No space left on device", *names)).startswith(says)


def test_of_a_folder_that_could_not_be_copied_the_first_file_is_told_as_any_other(tmp_path):
    (tmp_path / "a").mkdir()
    for name in "xy":
        (tmp_path / "a" / name).symlink_to("nowhere")
    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert re.fullmatch(
        r"\S*/a/[xy]: No such file or directory; make sure it is there \(1 more\)", explain(caught.value)
    )
    full = shutil.Error([("a/x", "b/x", "[Errno 28] No space left on device: 'a/x' -> 'b/x'")])
    assert explain(full).startswith("b/x: no space left on the disk (") and explain(full).endswith("(0 more)")
    assert explain(shutil.Error([("a", "b", "strange")])).startswith("a: strange; nothing that was whole is lost")


def test_a_program_that_is_missing_is_to_be_installed():
    with pytest.raises(FileNotFoundError) as caught:
        subprocess.run(["no-such-program"], check=False)
    assert explain(caught.value).endswith("or, if it is a program, install it")


REPORT = """
import sys
sys.path.insert(0, {root!r})
from train.terminal import guarded, note, say
def command(words):
    note("beside" + sys.stdin.read())
    if "stop" in words:
        raise KeyboardInterrupt
    if "lack" in words: import no_such_module
    [say("line") for _ in range(20000)]
sys.exit(guarded(command, sys.argv, 2))
"""


@pytest.mark.parametrize(("streams", "status", "says"), [
    ("| true", 141, b""), (">/dev/full", 2, b"error: the output cannot be written (No space left on device)\n"),
    (">&-", 0, b""), ("2>&- >/dev/null", 0, b""), ("<&- >&- 2>&-", 0, b""), ("2>/dev/full >/dev/null", 0, b""),
    ("<&- >/dev/null", 0, b""), ("stop 2>/dev/full", 130, b""),
    ("lack 2>&1 >/dev/null | grep -c 'error: no_such_module is not installed; .make setup' >&2; false", 1, b"1\n"),
])  # fmt: skip
def test_of_a_stream_that_takes_nothing_the_command_ends_in_a_line_or_goes_on(streams, status, says, tmp_path):
    (tmp_path / "program.py").write_text(REPORT.format(root=str(ROOT)))
    line = f"set -o pipefail; {sys.executable} {tmp_path}/program.py {streams}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, input=b"", check=False)
    assert (done.returncode, done.stderr.removeprefix(b"beside\n")) == (status, says)


WORK = """
import signal, sys, tempfile
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup, of the tests themselves, would have it ignore
sys.path.insert(0, {root!r})
from train import programs
from train.release.verify.run import isolated
from train.terminal import guarded
CHILD = "import tempfile, time; tempfile.mkdtemp(); print([1], flush=True); open('begun', 'w'); time.sleep(600)"
def command(arguments):
    line = [sys.executable, "-c", CHILD]
    if arguments:
        isolated(line, 600, print)
    with tempfile.TemporaryDirectory() as folder, programs.started(
        line, Path(folder), programs.environment(TMPDIR=folder), sys.stderr.buffer
    ) as process:
        process.stdout.read()
sys.exit(guarded(command, sys.argv[1:]))
"""


@pytest.mark.parametrize("arguments", [[], ["isolated"]])
@pytest.mark.parametrize(("name", "status", "says"), [
    ("SIGINT", 130, "\ninterrupted: run the same command again to go on from what was whole\n"), ("SIGTERM", -15, ""),
    ("SIGHUP", -1, ""),
])  # fmt: skip
def test_a_signal_ends_the_programs_that_were_begun_and_clears_what_they_wrote_away(
    name, status, says, arguments, tmp_path
):
    scratch, number = tmp_path / "scratch", getattr(signal, name)
    scratch.mkdir()
    (tmp_path / "program.py").write_text(WORK.format(root=str(ROOT)))
    line = [sys.executable, str(tmp_path / "program.py"), *arguments]
    with subprocess.Popen(
        line, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(scratch)}
    ) as process:
        wait_for(lambda: list(scratch.glob("*/begun")), 60)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]  # which the program that was begun holds open as long as it is there
    assert (process.returncode, said, list(scratch.iterdir())) == (status, says, [])


@pytest.mark.parametrize("line", [["-m", "train"], [f"{ROOT}/scripts/pellucid.py"], [f"{ROOT}/scripts/verify.py"]])
def test_an_interrupt_while_the_command_is_imported_ends_it_in_silence(line, tmp_path):
    (tmp_path / "argparse.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nraise SystemExit('on')")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *line, "x"], cwd=ROOT, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


# The one door by which other programs are started --------------------------------------------------------------------


def test_a_program_gets_what_is_named_and_nothing_secret(monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_TOKEN", "HF_TOKEN", "OMP_NUM_THREADS", "AWS_SECRET_ACCESS_KEY", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "x")
    assert programs.environment("PIP_", A="1").items() >= {"PIP_INDEX_URL": "x", "A": "1"}.items()
    assert not {"PIP_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "PYTHONSTARTUP"} & programs.environment("PIP_").keys()
    assert "OMP_NUM_THREADS" not in programs.environment()


def test_no_folder_that_a_program_runs_in_is_searched_and_no_proxy_tells_a_password(monkeypatch):
    monkeypatch.setenv("PATH", ".:/usr/bin::bin:/bin")
    monkeypatch.setenv("https_proxy", "http://user:pass@word@proxy.example:8080/a@b")
    found = programs.without_credentials(programs.environment(*programs.NETWORK))
    assert (found["PATH"], found["https_proxy"]) == ("/usr/bin:/bin", "http://proxy.example:8080/a@b")


def test_no_module_of_the_folder_stands_in_for_another(tmp_path):
    (tmp_path / "json.py").write_text("print('mine')")
    line = programs.python(sys.executable, "-c", "import json; print(json.__name__)")
    assert programs.run(line, tmp_path, programs.environment()).stdout == b"json\n"


def test_a_signal_while_a_program_begins_ends_it_too(tmp_path, monkeypatch):
    class Begun(subprocess.Popen):
        def __init__(self, *arguments, **streams):
            super().__init__(*arguments, **streams)
            begun.append(self)
            signal.raise_signal(signal.SIGINT)

    begun: list[Begun] = []
    monkeypatch.setattr(subprocess, "Popen", Begun)
    line = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (tmp_path / "errors").open("wb") as errors, pytest.raises(KeyboardInterrupt):
        programs.started(line, tmp_path, programs.environment(), errors).__enter__()
    assert begun[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize("setting", ["core.fsmonitor", "core.hooksPath", "core.pager", "alias.status"])
def test_a_repository_names_no_program_to_git(tmp_path, setting):
    repository.git(tmp_path, "init", "--quiet")
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    spy.chmod(0o755)
    repository.git(tmp_path, "config", setting, f"!{spy}" if setting.startswith("alias") else str(spy))
    for asked in (["status", "--porcelain"], ["rev-parse", "--show-toplevel"], ["ls-files"]):
        repository.git(tmp_path, *asked)
    assert not (tmp_path / "ran").exists()
