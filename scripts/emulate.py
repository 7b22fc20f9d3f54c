"""Whether other processors train the same bytes: `python scripts/emulate.py [OVERRIDES]`, under qemu's emulation.

It makes everything up to the tokens, trains natively, and trains again on each of PROCESSORS as emulated by
qemu-x86_64 (Debian: `apt install qemu-user`), each time with the command itself. Emulated arithmetic is some hundred
times slower, so the steps are few unless OVERRIDES say more. Status 0 where all products are the same, 1 where not.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(ROOT))

from train.artifact import product_digest
from train.errors import UserError
from train.terminal import guarded

PROCESSORS = ("Haswell", "Skylake-Client", "EPYC-Rome")
SMALL = ("recipe=tiny", "training.steps=4", "training.batch=4", "training.checkpoint_every=4",
         "training.evaluate_every=4", "training.evaluate_batches=1")  # fmt: skip


def main(overrides: list[str]) -> None:
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        raise UserError("qemu-x86_64 is not installed; on Debian `apt install qemu-user` brings it")
    with tempfile.TemporaryDirectory() as home:
        prepared = Path(home) / "prepared"
        train(prepared, [], overrides, "tokens")
        native = None
        for processor in (None, *PROCESSORS):
            runs, began = Path(home) / str(processor), time.monotonic()
            shutil.copytree(prepared, runs)
            train(runs, [qemu, "-cpu", processor] if processor else [], overrides, "weights")
            (weights,) = (path for path in runs.glob("weights-*") if path.suffix == "")
            found, stack = product_digest(weights), json.loads((weights / "witness" / "stack.json").read_text())
            native = native or found
            verdict = "the same" if found == native else "OTHER BYTES"
            told = f"{stack['processor']}, {stack['capability']}"
            print(
                f"{processor or 'native':<16} {found} {verdict} ({told}; {time.monotonic() - began:.0f} s)", flush=True
            )
            if found != native:
                raise UserError(f"{processor}: trains other bytes than this machine")


def train(runs: Path, before: list[str], overrides: list[str], until: str) -> None:
    """The command itself, up to the artifact `until`, with its artifacts in `runs`."""
    how = [f"until={until}", f"machine.runs={runs}", "machine.workers=1", "machine.threads=1", "machine.progress=none"]
    line = [*before, sys.executable, str(ROOT / "scripts" / "run.py"), *SMALL, *overrides, *how]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(before[1:]) or 'native'}: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
