"""Whether the same bytes are trained elsewhere: `python scripts/emulate.py [--on PLACE]... [--into docs/validation]`.

It runs `pellucid selftest` here and in each PLACE:

* Haswell, Skylake-Client, EPYC-Rome (those three where none is named), or what else `qemu-x86_64 -cpu help` lists
* aarch64, emulated by qemu-aarch64, with Debian's Python, the lock's wheels and torch 2.9.1 for that architecture: the
  newest one there that needs no CUDA, and another release of torch than the lock's
* torch==VERSION, here, with that release; where pip finds none for the CPU alone, it comes with gigabytes of CUDA

On Debian `apt install qemu-user` brings the emulators. What the last two need is downloaded once into --cache, where
nothing of the system or of the project's environment is touched: 0.7 GB for aarch64. Emulated arithmetic is a hundred
times slower. With --into each transcript is written there. Status 0 where all bytes are the known ones, 1 where not.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(ROOT))

from train.cli import by_template
from train.errors import UserError
from train.release.lock import pins
from train.terminal import guarded

PROCESSORS = ("Haswell", "Skylake-Client", "EPYC-Rome")
HERE = "here"
AARCH64_TORCH = "torch==2.9.1"
# What training loads that is compiled; other packages are read from this environment.
COMPILED = ("markupsafe", "numpy", "pyarrow", "pydantic-core", "pyyaml", "safetensors", "tiktoken", "tokenizers")
MANYLINUX = [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in range(17, 37)]
APT = ("APT::Architecture=arm64", "APT::Architectures=arm64", "APT::Sandbox::User=root", "Dir::State={}/state",
       "Dir::State::status={}/status", "Dir::Cache={}/cache")  # fmt: skip

Interpreter = tuple[list[str], dict[str, str]]  # the beginning of a command, and variables beside those of this process


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--on", action="append", metavar="PLACE", help="a processor, aarch64 or torch==VERSION")
    parser.add_argument("--cache", type=Path, default="~/.cache/pellucid-elsewhere", help="default: %(default)s")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where to write the transcripts")
    args = parser.parse_args(arguments)
    places: dict[str, Interpreter] = {HERE: ([sys.executable], {})}
    places |= {place: interpreter(place, args.cache.expanduser()) for place in args.on or PROCESSORS}
    reports = {place: tested(place, how, args.into) for place, how in places.items()}
    if failures := [place for place, report in reports.items() if not report["same"]]:
        raise UserError(f"{', '.join(failures)}: trains other bytes than the known ones")


def tested(place: str, how: Interpreter, into: Path | None) -> dict[str, Any]:
    """What `pellucid selftest` reports in a place; its transcript is printed, and written where asked for."""
    python, variables = how
    command = [*python, str(ROOT / "scripts" / "pellucid.py"), "selftest", "machine.threads=1", "--json"]
    report: dict[str, Any] = json.loads(run(command, env=os.environ | variables, what=place, most=1))
    origin = [] if place == HERE else [f"$ python scripts/emulate.py --on {place}"]
    transcript = "".join(f"{line}\n" for line in [*origin, *by_template("selftest", report, argparse.Namespace())])
    print(transcript, flush=True)
    if into:
        name = " ".join([report["machine"]["processor"], "torch", report["machine"]["torch"].partition("+")[0]])
        (into / f"{re.sub('[^a-z0-9._]+', '-', name.lower())}.txt").write_text(transcript)
    return report


def interpreter(place: str, cache: Path) -> Interpreter:
    """How to call Python in a place, of which what is needed is laid into `cache` first; UserError where it cannot."""
    if place.startswith("torch=="):
        return [sys.executable], {"PYTHONPATH": str(laid(cache / place, lambda site: install(site, [place])))}
    if place != "aarch64":
        return [emulator("qemu-x86_64"), "-cpu", place, sys.executable], {}
    qemu = emulator("qemu-aarch64")
    root = laid(cache / "aarch64", debian)
    site = laid(cache / f"aarch64-{AARCH64_TORCH}", lambda site: aarch64_packages(site, root))
    path = f"{site}{os.pathsep}{sysconfig.get_path('purelib')}"
    return [qemu, "-L", str(root), str(root / "usr/bin/python3")], {"PYTHONPATH": path}


def emulator(name: str) -> str:
    if path := shutil.which(name) or shutil.which(f"{name}-static"):
        return path
    raise UserError(f"{name} is not installed; on Debian `apt install qemu-user` brings it")


def laid(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, filled whole unless it is there."""
    part = folder.with_name(f"{folder.name}.part")
    if not folder.is_dir():
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        fill(part)
        part.rename(folder)
    return folder


def debian(root: Path) -> None:
    """Unpack Debian's Python for aarch64 and what it links to; apt keeps its lists and state inside, and no longer."""
    apt = root / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()  # nothing is installed, so everything is downloaded
    options = [word for option in APT for word in ("-o", option.format(apt))]
    run(["apt-get", *options, "update"])
    wanted = ["--yes", "--download-only", "--no-install-recommends", "install", "python3", "libgomp1", "libstdc++6"]
    run(["apt-get", *options, *wanted])
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        run(["dpkg", "-x", str(package), str(root)])
    shutil.rmtree(apt)


def aarch64_packages(site: Path, root: Path) -> None:
    """Install for Debian's Python what of the lock is compiled, but torch as its newest wheel without CUDA."""
    (version,) = (path.name.removeprefix("python") for path in root.glob("usr/lib/python3.*"))
    wheels = ["--no-deps", "--only-binary=:all:", f"--python-version={version}", *MANYLINUX]
    locked = [pin.line for pin in pins((ROOT / "requirements.lock").read_text()) if pin.name in COMPILED]
    install(site, ["--require-hashes", "--requirement=/dev/stdin", *wheels], locked)
    install(site, [AARCH64_TORCH, *wheels])


def install(site: Path, wanted: list[str], lines: Iterable[str] = ()) -> None:
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), *wanted], "\n".join(lines))


def run(line: list[str], text: str = "", env: dict[str, str] | None = None, what: str = "", most: int = 0) -> str:
    """What a program says that is run to its end; UserError with its last line where its status is not 0 to `most`."""
    try:
        done = subprocess.run(line, input=text, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(f"{line[0]} is not installed; it is one of Debian's") from None
    if not 0 <= done.returncode <= most:
        said = done.stderr.strip().splitlines()
        raise UserError(f"{what or line[0]}: {said[-1] if said else f'ended with status {done.returncode}'}")
    return done.stdout


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
