"""Subprocesses: the programs that the library starts, isolated, each in its own environment and folder."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

BASIC = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "TMPDIR", "NO_COLOR")
NETWORK = (
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
COMPUTING = (
    "OMP_", "GOMP_", "MKL_", "OPENBLAS_", "CUDA_", "CUBLAS_", "NVIDIA_", "TORCH_", "ATEN_",
)  # beginnings of names  # fmt: skip
OWN = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "PIP_", "UV_")  # of who asks: for programs that are ours alone
SECRET = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "_KEY")  # in the name of a variable
LIBRARY = Path(__file__).resolve().parents[1]  # what holds the package
# What runs a module or a script, once the folder that holds what it imports is on the path: -I alone has none.
START = """
import runpy, sys
del sys.argv[0]
sys.path.insert(0, sys.argv.pop(0))
(runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module)(sys.argv[0], run_name="__main__")
"""


def environment(*beginnings: str, **more: str) -> dict[str, str]:
    """The variables that a program gets: the basic ones, those with such names or beginnings of names, and `more`."""
    wanted = {n: text for n, text in os.environ.items() if n in BASIC or n.startswith(beginnings or ("\0",))}
    if "PATH" in wanted:  # of no folder that a program happens to run in
        wanted["PATH"] = os.pathsep.join(part for part in wanted["PATH"].split(os.pathsep) if os.path.isabs(part))
    return {name: text for name, text in wanted.items() if not any(word in name for word in SECRET)} | more


def without_credentials(env: Mapping[str, str]) -> dict[str, str]:
    """The same variables without the names and passwords of users in addresses, as a proxy's may hold."""
    return {name: re.sub(r"(?<=://)[^/\s]*@", "", text) for name, text in env.items()}


def python(interpreter: str, *arguments: str) -> list[str]:
    """The command line of an isolated interpreter."""
    return [interpreter, "-I", "-B", *arguments]


def script(interpreter: str, path: Path, *arguments: str) -> list[str]:
    """The command line of a script, beside which lie modules that it imports."""
    return python(interpreter, "-c", START, str(path.parent), str(path), *arguments)


def module(interpreter: str, name: str, *arguments: str) -> list[str]:
    """The command line of a module of this library."""
    return python(interpreter, "-c", START, str(LIBRARY), name, *arguments)


def run(
    line: Sequence[str], folder: Path, env: Mapping[str, str], *, text: str | None = None, out: IO[Any] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in `folder`, which reads `text`, to its end; what it says is in the result, or goes to `out`."""
    streams: dict[str, Any] = {"stdout": out, "stderr": out} if out else {"capture_output": True}
    data = (text or "").encode()
    return subprocess.run(list(line), cwd=folder, env=dict(env), input=data, check=False, **streams)


@contextmanager
def uninterrupted(*kept: int) -> Iterator[None]:
    """Signals that raise here are answered at the end: till then whoever begins a process could not end it.

    Those of `kept` are kept from the processes that begin meanwhile, too.
    """
    here = threading.current_thread() is threading.main_thread()
    raising = [each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if callable(signal.getsignal(each))]
    signals: list[int] = []
    before = {each: signal.signal(each, lambda number, _: signals.append(number)) for each in raising if here}
    signal.pthread_sigmask(signal.SIG_BLOCK, kept)  # inherited; another thread may still take the signal
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, kept)
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in signals[:1]:
        signal.raise_signal(number)


@contextmanager
def started(
    line: Sequence[str], folder: Path, env: Mapping[str, str], error: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in `folder`, which reads nothing; its output is to be read, its errors go to a stream. It ends here."""
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": error}
    with ExitStack() as stack:
        with uninterrupted():
            process = stack.enter_context(subprocess.Popen(list(line), cwd=folder, env=dict(env), **streams))
            stack.callback(process.kill)
        yield process
