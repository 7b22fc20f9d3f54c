"""What training was bound to before its first step, and the chain of digests that leads from there to the last one.

The commitment holds nothing but config, code, data and seed, all of which the key of the artifact `weights` fixes
before anything runs; `logs/weights/commitment.json` was written then. Each link is the digest of the link before and of
the checkpoint's files: whoever knows the last link knows that no checkpoint was exchanged, left out or put in later.
"""

from pathlib import Path
from typing import Any

from train.artifact import digest, read_manifest
from train.config import read
from train.training.checkpoint import STATE, State


def chain(release: Path) -> dict[str, Any]:
    """`provenance/chain.json`: the commitment, its digest, and a link for each checkpoint in the order of steps."""
    record = read_manifest(release / "provenance" / "weights.json")
    commitment = {
        "config": digest(record.config),
        "code": digest(record.code),
        "data": {name: entry.products for name, entry in record.inputs.items()},
        "seed": record.config["training"]["seed"],
    }
    links: list[dict[str, Any]] = []
    value = digest(commitment)
    for path in sorted((release / "checkpoints").glob("step-*")):
        state = read(State, path / STATE)
        value = digest({"previous": value, "step": state.step, "files": state.files})
        links.append({"checkpoint": path.name, "step": state.step, "digest": value})
    return {"commitment": commitment, "digest": digest(commitment), "links": links}
