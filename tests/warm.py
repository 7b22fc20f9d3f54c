"""Commands as a user runs them, each a child of one process that has everything imported: without the seconds before.

A child has the folder, the environment and the arguments of a process of its own, and its own exit status. What an
import reads from the environment, and how a command starts, is tested by processes that are really new.
"""

import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600  # seconds

# A child kills itself, as by `kill -9`, when it is about to fsync for the n-th time.
# What all children share is left out of garbage collection and is not taken down by each, or each would copy it.
PROGRAM = f"""
import atexit, gc, json, os, runpy, sys, threading
sys.path[:0] = [{str(ROOT / "scripts")!r}, {str(ROOT)!r}]
import hydra, torch._dynamo, train.compose, train.pipeline
for stage in train.pipeline.STAGES[:-1]:
    train.pipeline.code(stage)  # which is read once for all children, as are the recipes
train.compose.compose(["name=none"])
gc.collect()
gc.freeze()
def fsync(handle):
    global left
    left -= 1
    os.kill(os.getpid(), {int(signal.SIGKILL)}) if left == 0 else real(handle)
for request in sys.stdin:
    sys.argv, cwd, environment, streams, left = json.loads(request)
    child = os.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        for number, path in enumerate(streams):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY), number)
        real, os.fsync = os.fsync, fsync
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
            if not isinstance(code, int):
                raise
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@functools.cache
def process() -> tuple[subprocess.Popen, Path]:
    """The one process, which ends with the one that runs the tests, and a folder for what its children say."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # Threads that wait must not keep a processor from those of the next test.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, **pipes), Path(tempfile.mkdtemp())


def begin(line: list[str], cwd: Path | None = None, fsync: int = 0) -> int:
    """Start a script with its arguments; returns its process id. One runs at a time: `end` waits for it."""
    warm, folder = process()
    streams = ["/dev/null", *(str(folder / name) for name in ("out", "err"))]
    request = [line, str(cwd or Path.cwd()), dict(os.environ), streams, fsync]
    warm.stdin.write(json.dumps(request) + "\n")
    warm.stdin.flush()
    return int(answer())


def end() -> subprocess.CompletedProcess:
    """Its exit status, and what it said."""
    (warm, folder), status = process(), int(answer())
    return subprocess.CompletedProcess(warm.args, status, *((folder / name).read_text() for name in ("out", "err")))


def run(line: list[str], cwd: Path | None = None, fsync: int = 0) -> subprocess.CompletedProcess:
    """Run a script with its arguments to its end."""
    begin(line, cwd, fsync)
    return end()


def command(verb: str, *arguments: object, status: int = 0, **how: Any) -> str:
    """What a verb of the command says, which ends with `status` and in no traceback; with --json that alone."""
    done = run([str(ROOT / "scripts/pellucid.py"), verb, *map(str, arguments)], **how)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if "--json" in arguments else done.stdout + done.stderr


def answer() -> str:
    warm, _ = process()
    assert select.select([warm.stdout], [], [], PATIENCE)[0], f"no answer within {PATIENCE} s"
    return warm.stdout.readline()
