"""Write `requirements.lock` for every Python that the project names: `python scripts/lock.py [--upgrade NAME ...]`.

Needs uv (`python -m pip install uv`), which resolves for all systems at once. Versions stay as the lock has them, but
for those to be upgraded and what they need. Beside the files of the index stand those that the pip of this machine
takes, such as torch's build for the CPU, and digests that the lock already had for the same version.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(ROOT))

from train.errors import UserError
from train.release.lock import CUDA, Pin, normal, pins
from train.terminal import guarded

EXTRAS = ("dev", "html", "language", "sign")
LOCK = ROOT / "requirements.lock"
HEAD = f"""\
# The versions that releases are made with: what pyproject.toml asks for, with the extras {", ".join(EXTRAS)}.
# Written by scripts/lock.py, with the digest of each file that pip may install, on any system.
"""


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--upgrade", nargs="*", default=[], metavar="NAME", help="packages to choose anew")
    args = parser.parse_args(arguments)
    before = pins(LOCK.read_text(encoding="utf-8"))
    moved = {normal(name) for name in args.upgrade}
    constraints = "".join(f"{pin.line.partition(' --hash')[0]}\n" for pin in before if pin.name not in moved)
    resolved = pins(resolve(constraints))
    extra = {(pin.name, pin.version): digests(pin.line) for pin in before}
    for key, sha256 in taken_here(resolved).items():
        extra[key] = extra.get(key, set()) | {sha256}
    lines = [with_digests(pin, extra.get((pin.name, pin.version), set())) for pin in resolved]
    LOCK.write_text(HEAD + "\n".join(sorted(lines)) + "\n", encoding="utf-8")
    print(f"{LOCK}: {len(lines)} packages")


def resolve(constraints: str) -> str:
    """What uv makes of pyproject.toml within the constraints, a pin a line."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    line = ["uv", "pip", "compile", "--quiet", "--no-config", "--no-annotate", "--no-header", "--generate-hashes"]
    line += ["--universal", "--fork-strategy", "fewest", "--python-version", oldest.removeprefix(">=")]
    line += ["--constraints", "-", *(f"--extra={name}" for name in EXTRAS)]
    done = subprocess.run([*line, "pyproject.toml"], input=constraints, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"uv finds no versions that fit: {' '.join(done.stderr.split())}")
    return re.sub(r" *\\\n +", " ", done.stdout)


def taken_here(resolved: list[Pin]) -> dict[tuple[str, str], str]:
    """The digests of the files that this machine's pip takes for the pins; CUDA's are left out for their size."""
    lines = "\n".join(pin.line.partition(" --hash")[0] for pin in resolved if not CUDA.match(pin.name))
    line = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "-qq"]
    done = subprocess.run([*line, "--report=-", "-r", "/dev/stdin"], input=lines, stdout=-1, text=True, check=True)
    items = [(item["metadata"], item["download_info"]["archive_info"]) for item in json.loads(done.stdout)["install"]]
    return {(normal(about["name"]), about["version"].partition("+")[0]): archive["hashes"]["sha256"]
            for about, archive in items}  # fmt: skip


def digests(line: str) -> set[str]:
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))


def with_digests(pin: Pin, more: set[str]) -> str:
    hashes = (f"--hash=sha256:{each}" for each in sorted(digests(pin.line) | more))
    return " ".join([pin.line.partition(" --hash")[0], *hashes])


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
