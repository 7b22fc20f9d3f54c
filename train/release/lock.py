"""The lock: which versions and files of packages a release is made with; read, compared with what ran, installed.

A pin a line, as pip reads it: `name==version ; marker --hash=sha256:...`, with the digest of each file that it may be
installed from. Standard library alone: `python -m train.release.lock requirements.lock .venv` comes before packages.
"""

import re
import sys
import tempfile
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from train import programs
from train.artifact import file_digest
from train.errors import UserError
from train.terminal import guarded

PIN = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.+!_-]+)"
    r"(?: *;[\w.\s'\"<>=!()]+)?((?: +--hash=sha256:[0-9a-f]{64})+) *"
)
REQUIRED = "import importlib.metadata as m; print(m.requires('torch'))"
CUDA = re.compile(r"cuda|nvidia|triton")  # gigabytes, which torch's builds for GPUs alone ask for


@dataclass(frozen=True)
class Pin:
    name: str  # in its normal form
    version: str
    line: str  # as it stands in the lock


def normal(name: str) -> str:
    """The one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> list[Pin]:
    """What a lock pins; UserError names a line that is no pinned package with digests."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    matched = [(PIN.fullmatch(line), line) for line in lines]
    for match, line in matched:
        if not match:
            raise UserError(f"requirements.lock: {line[:80]!r} is no pinned package with the digests of its files")
    return [Pin(normal(match[1]), match[2], line) for match, line in matched if match]


def unlike(lock: str, project: str, packages: Mapping[str, str]) -> list[str]:
    """Which of the installed `packages` that a `project` (its pyproject.toml) asks for the lock pins otherwise.

    What those need in turn, and what tests and tools need, is no matter. A pin without a local version stands for each
    build of it: 2.13.0 for 2.13.0+cpu. UserError when `project` is none.
    """
    pinned, here = {pin.name: pin.version for pin in pins(lock)}, {normal(name): packages[name] for name in packages}
    return [
        f"{name} {here[name]} was installed, requirements.lock pins {pinned[name]}"
        for name in sorted(asked_for(project) & pinned.keys() & here.keys())
        if pinned[name] not in (here[name], here[name].partition("+")[0])
    ]


def asked_for(project: str) -> set[str]:
    """The packages that the code of a pyproject.toml imports: dependencies, and the extras `language` and `html`."""
    try:
        project_table = tomllib.loads(project)["project"]
        extras = project_table.get("optional-dependencies", {})
        lines = [*project_table["dependencies"], *extras.get("language", []), *extras.get("html", [])]
        return {normal(re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0]) for line in lines}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"pyproject.toml: tells no dependencies ({type(error).__name__}: {error})") from None


def install(lock: Path, folder: Path, trusted: Collection[str] | None = None) -> Path:
    """Make a virtual environment with what the lock pins, or bring one up to it; returns its interpreter.

    Every file has a digest of the lock. What is pinned by no line in `trusted` comes from wheels alone, whose
    installation runs no code of theirs. UserError when the lock has other lines than pins, or a command fails.
    """
    folder = folder.resolve()  # `venv` takes no link for a folder
    pinned = pins(lock.read_text(encoding="utf-8"))
    strange = [pin.name for pin in pinned if trusted is not None and pin.line not in trusted]
    python = str(folder / "bin" / "python")
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    pip += ["--only-binary", ",".join(strange) or ":none:", "--requirement", "/dev/stdin"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, ["-m", "venv", str(folder)], folder.parent)
    for pin in pinned:
        if pin.name == "torch":
            _choose_build(python, pin, folder)
    _run(python, pip, folder, [pin for pin in pinned if not CUDA.match(pin.name)])
    cuda = [pin for pin in pinned if CUDA.match(pin.name)]
    if cuda and CUDA.search(_run(python, ["-c", REQUIRED], folder)):
        _run(python, pip, folder, cuda)
    return Path(python)


def _choose_build(python: str, pin: Pin, folder: Path) -> None:
    """Install the build that pip prefers, such as torch's for the CPU, if the lock has its digest."""
    pip, choice = ["-m", "pip"], ["--quiet", "--no-deps", "--only-binary", ":all:"]
    with tempfile.TemporaryDirectory(dir=folder) as files:
        _run(python, [*pip, "download", *choice, "--dest", files, f"{pin.name}=={pin.version}"], folder)
        if all(f"sha256:{file_digest(file)}" in pin.line for file in Path(files).iterdir()):
            local = ["install", *choice, "--no-index", "--find-links", files, "-r", "/dev/stdin"]
            _run(python, [*pip, *local], folder, [pin])


def _run(python: str, arguments: list[str], folder: Path, wanted: Sequence[Pin] = ()) -> str:
    """What a program of Python says in `folder` that reads the pins `wanted`; UserError when it fails."""
    env = programs.environment(*programs.OWN, *programs.NETWORK)
    pinned = "".join(f"{pin.line}\n" for pin in wanted)
    done = programs.run(programs.python(python, *arguments), folder, env, text=pinned)
    if done.returncode:
        reason = " ".join((done.stderr or b"").decode(errors="replace").split())[-500:]
        raise UserError(f"`python {' '.join(arguments[:3])}` failed: {reason}; the same command goes on from there")
    return done.stdout.decode(errors="replace")


if __name__ == "__main__":
    guarded(lambda words: install(Path(words[1]), Path(words[2])) and 0, sys.argv)
