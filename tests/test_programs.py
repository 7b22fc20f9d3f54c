"""The one door by which other programs are started."""

import signal
import subprocess
import sys

import pytest

from train import programs
from train.release import repository


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
