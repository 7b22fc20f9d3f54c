"""The commands themselves, run as a user runs them, offline and with everything they write below a temporary folder."""

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import warm

from train.artifact import read_json, write_json
from train.errors import UserError
from train.machine import Machine
from train.release.verify.run import verify
from train.world import World

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "recipe=tiny", "data.raw.sources.0.count=1000", "model.context=32", "training.steps=24",
    "training.checkpoint_every=8", "training.evaluate_every=12",
]  # fmt: skip
# A whole chain, to a release that is verified, in seconds.
LEAST = [
    "recipe=tiny", "data.raw.sources.0.count=500", "tokenizer.vocabulary=400", "model.context=32", "training.steps=4",
    "training.batch=2", "training.checkpoint_every=2", "training.evaluate_every=4", "evaluation.resamples=20",
    "evaluation.samples.tokens=10", "data.selected.too_short=900", "benchmarks.pairs.count=10",
]  # fmt: skip
BEFORE, EACH = 8, 8  # times that a training makes files and folders durable: before the first checkpoint, and for each

MACHINE = Machine(
    device="cpu", threads=1, micro_batches=1, compile=False, sharded=False, patience=600, save_every=None, keep_saves=2,
    workers=1, engine="processes", progress="none", wandb="disabled",
    init_from=None, cache=Path("cache"), runs=Path("runs"), releases=Path("releases"),
)  # fmt: skip


WORLD = World(0, 1, MACHINE)


def pytest_configure() -> None:
    """Let commands be interrupted even where the tests run in the background, for which a shell forbids it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless asked for: `make test ARGS="-m slow"`."""
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def refusal(function, *arguments, match: str | None = None, error: type[Exception] = UserError, **named) -> str:
    """The words in which a call is refused, in one line, with `match` in them."""
    with pytest.raises(error, match=match) as caught:
        function(*arguments, **named)
    assert error is not UserError or "\n" not in str(caught.value)
    return str(caught.value)


def edit(path: Path, *steps, to=None, by=None) -> None:
    """Exchange what stands at `steps` of a JSON file, or let `by` make another of it."""
    whole = value = read_json(path)
    for step in steps[:-1]:
        value = value[step]
    value[steps[-1]] = by(value[steps[-1]]) if by else to
    write_json(path, whole)


def failure(release: Path, check: str, level: str = "full", **how) -> str:
    """What a check says against a release, which fails it."""
    (result,) = verify(release, level, {check}, **how)
    assert result.status == "fails", result
    return result.detail


def wait_for(happened, seconds: float = 600):
    """What `happened` returns, as soon as that is anything."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


def is_linear(function, text, most: int = 100_000) -> bool:
    """Whether no text takes far longer than one a quarter as long, by this thread's own time, at one of three looks."""

    def seconds(size: int) -> float:
        made, began = text(size), time.thread_time()
        function(made)
        return time.thread_time() - began

    return any(seconds(most) < 10 * max(seconds(most // 4), 0.02) for _ in range(3))


def source(**changes: Any) -> dict[str, Any]:
    """A source of files as a config has it."""
    return {
        "kind": "files", "purl": "pkg:generic/a@1", "path": "a", "sha256": None, "licence": "MIT", "columns": None,
        "licence_files": ["LICENSE"], "attribution": "Somebody", "language": "en", "include": ["**"], "exclude": [],
        "mirrors": [], **changes,
    }  # fmt: skip


def recorded(slug: str, **changes: Any) -> dict[str, Any]:
    """A source of files as `sources.json` has it."""
    kept = {name: value for name, value in source().items() if name not in ("path", "mirrors")}
    return {**kept, "slug": slug, "files": [], **changes}


def hydra(value: object) -> str:
    """Plain data in the grammar of overrides."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{hydra(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(hydra, value)) + "]"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def git(*line: str, at: Path) -> str:
    """What git says to somebody in a folder."""
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@localhost", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *line], cwd=at, capture_output=True, text=True, check=True).stdout.strip()


def artifact(home: Path, stage: str) -> Path:
    """The one artifact of a stage that was made in `home`."""
    (found,) = (path for path in (home / "runs").glob(f"{stage}-*") if path.suffix == "")
    return found


class Command:
    """`scripts/run.py` with its output folders below `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def line(self, *overrides: str) -> list[str]:
        folders = [f"machine.{name}={self.home / name}" for name in ("runs", "releases", "cache")]
        return [
            str(ROOT / "scripts" / "run.py"), *SMALL, "machine.workers=1", "machine.threads=1", *folders, *overrides,
        ]  # fmt: skip

    def start(self, *overrides: str, before: list[str] | None = None, env: dict[str, str] | None = None):
        line = [sys.executable, *(before or []), *self.line(*overrides)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(line, env={**os.environ, **(env or {})}, cwd=self.home, **streams)

    def begin(self, *overrides: str) -> int:
        """Start it as a child of the warm process; returns its process id. `warm.end` waits for it."""
        return warm.begin(self.line(*overrides), self.home)

    def __call__(self, *overrides: str, status: int = 0, fsync: int = 0, **options) -> str:
        """What the command says; it runs as a new process where options ask for it, else as a child of a warm one."""
        done = self.anew(*overrides, **options) if options else warm.run(self.line(*overrides), self.home, fsync)
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def anew(self, *overrides: str, **options) -> subprocess.CompletedProcess:
        process = self.start(*overrides, **options)
        try:
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def artifact(self, stage: str) -> Path:
        return artifact(self.home, stage)

    def products(self, stage: str = "weights") -> dict[str, dict]:
        """Digest and size of every file under contract that the command made for `stage`."""
        return json.loads((self.artifact(stage) / "manifest.json").read_text())["products"]


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A function that returns a folder which the first worker of the tests fills by `make`, for all of them to read."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder(name: str, make) -> Path:
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (root / f"{name}.made").exists():
                shutil.rmtree(root / name, ignore_errors=True)
                (root / name).mkdir()
                make(root / name)
                (root / f"{name}.made").touch()
        return root / name

    return folder


@pytest.fixture(scope="session")
def prepared(once) -> Path:
    """A home in which everything up to the tokens is made."""
    return once("prepared", lambda home: Command(home)("until=tokens"))


@pytest.fixture
def command(prepared, tmp_path) -> Command:
    """The command in a home of the test's own, with everything up to the tokens made."""
    home = tmp_path / "home"
    shutil.copytree(prepared, home)
    return Command(home)


@pytest.fixture(scope="session")
def killing(tmp_path_factory) -> Path:
    """A program that runs another and kills it when it is about to fsync for the n-th time: given N or N,SIGNAL."""
    program = tmp_path_factory.mktemp("killing") / "killing.py"
    program.write_text(
        "import os, runpy, sys\n"
        f"left, number, *_ = map(int, (sys.argv[1] + ',{int(signal.SIGKILL)}').split(','))\n"
        "sys.argv, real = sys.argv[2:], os.fsync\n"
        "def fsync(handle):\n"
        "    global left\n"
        "    left -= 1\n"
        "    os.kill(os.getpid(), number) if left == 0 else real(handle)\n"
        "os.fsync = fsync\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return program


def install(home: Path) -> None:
    """Install the package below `home` as pip does, beside an empty folder."""
    for name in ("train", "configs"):
        shutil.copytree(ROOT / name, home / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, home / "source")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(home / "site"), str(home / "source")], check=True, capture_output=True)
    (home / "empty").mkdir()


@pytest.fixture(scope="session")
def installed(once):
    """A function that runs the command as pip installs it, in an empty folder."""
    home = once("wheel", install)

    def run(*words: object, status: int = 0) -> str:
        line = [sys.executable, "-B", str(home / "site/bin/pellucid"), *map(str, words)]
        env = {**os.environ, "PYTHONPATH": str(home / "site"), "PYTHONSAFEPATH": "1"}
        done = subprocess.run(line, cwd=home / "empty", env=env, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        assert list((home / "empty").iterdir()) == []
        return done.stdout + done.stderr

    return run


@pytest.fixture
def pellucid(capsys, monkeypatch):
    """Status and output of the command, in this process."""
    from train import cli

    def run(*words: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = cli.main([*map(str, words)])
        except SystemExit as end:  # a text is printed to the error stream, and the status is 1
            text = end.code if isinstance(end.code, str) else ""
            status, out, err = 1 if text else int(end.code or 0), *capsys.readouterr()
            return status, out, err + text
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def chromium():
    """A real browser, without its sandbox, as tests may run as root; its pages come from this repository alone."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    with playwright.sync_playwright() as driver:
        found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if found is None and not Path(driver.chromium.executable_path).exists():
            pytest.skip("needs Chromium: `playwright install chromium`, or that of the system")
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page:
    """A page in a real browser, with what the browser complains of, and whom it asks."""

    def __init__(self, browser: Any, address: str, **how: Any) -> None:
        self.shown, self.complaints, self.requests = browser.new_page(**how), [], []
        self.shown.on("console", lambda message: self.complaints.append(message.text))
        self.shown.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.shown.on("request", lambda request: self.requests.append(request.url))
        self.shown.goto(address)

    def violations(self) -> list[tuple[str, str]]:
        """What axe finds that makes it hard to read for some: rule and element."""
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra `browser`")
        return [(each["id"], each["nodes"][0]["html"]) for each in axe.Axe().run(self.shown).response["violations"]]


@pytest.fixture
def browse(chromium):
    """A function that opens an address."""
    opened: list[Page] = []
    yield lambda address, **how: opened.append(Page(chromium, address, **how)) or opened[-1]
    for page in opened:
        page.shown.close()
