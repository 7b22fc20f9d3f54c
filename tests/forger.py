"""A capable dishonest publisher: what she alters in a release, and all that she then makes anew to hide it.

Everything that follows from an alteration is made by the project's own functions: stage manifests, commitments,
digests of checkpoints, keys, chain, cards, statistics, the page and MANIFEST.json.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from train.artifact import digest, file_digest, read_json, write_bytes, write_json
from train.compose import overrides_of
from train.config import plain
from train.keys import meaning
from train.layout import ARTIFACTS, placed
from train.release import bundle
from train.release.bundle import WRITTEN, checkpoints_of, manifest_of, write_manifest
from train.release.resolved import SETTINGS
from train.release.verify.code import code_of
from train.release.verify.model import promised_stack
from train.release.view import Release


def linked(release: Path, copy: Path) -> Path:
    """A copy of a release by hard links; files in it are exchanged, never written in place."""
    for folder, _, names in os.walk(release):
        here = copy / Path(folder).relative_to(release)
        here.mkdir(parents=True)
        for name in names:
            os.link(f"{folder}/{name}", here / name)
    return copy


def digests(root: Path, altered: Collection[str] = ()) -> None:
    """Make every digest fit again, from those of the products to MANIFEST.json."""
    with TemporaryDirectory() as scratch:
        _stages(Release(root, Path(scratch)), altered)
    if "MANIFEST.json" not in altered:
        write_manifest(root)


def reseal(root: Path, altered: Collection[str] = ()) -> None:
    """Make anew all that follows from `altered`; of these paths, what is no digest stays as it is."""
    digests(root, altered)
    with TemporaryDirectory() as scratch:
        _next_step(Release(root, Path(scratch)), altered)
    if "code/config.json" in altered:
        with contextlib.suppress(Exception):
            write_json(root / "code/overrides.json", overrides_of(read_json(root / "code/config.json")))
    logs_alone = bool(altered) and all(path.startswith("logs/") for path in altered)
    for path, make in WRITTEN.items() if not logs_alone else ():
        if path not in altered:
            with contextlib.suppress(Exception):  # what can no longer be made stays as it was
                write_bytes(root / path, make(root))
    if "report.html" not in altered:
        with contextlib.suppress(Exception):
            write_bytes(root / "report.html", bundle.report(root, manifest_of(root).identity))
    if "MANIFEST.json" not in altered:
        write_manifest(root)


def _checkpoints(view: Release, data: str) -> None:
    for folder in checkpoints_of(view.path):
        with contextlib.suppress(Exception):
            state = read_json(folder / "state.json")
            state["files"] |= {name: file_digest(folder / name) for name in state["files"]}
            state["belongs_to"] = view.config.fit.owner(data)
            write_json(folder / "state.json", state)


def _stages(view: Release, altered: Collection[str]) -> None:
    """Each stage's manifest and commitment: config, code, digests of products and inputs, key."""
    made: dict[str, Any] = {}
    code = any(path.startswith("code/") and path not in bundle.RESOLVED for path in altered)
    modules = [path for path in view.paths if code and path.startswith("code/") and path.endswith(".py")]
    meanings: dict[str, str] = {}
    for path in modules:
        with contextlib.suppress(SyntaxError):
            meanings[path] = meaning(view.bytes(path))
    for name in ARTIFACTS:
        place = view.path / f"provenance/{name}.json"
        with contextlib.suppress(Exception):
            if name == "weights":
                _checkpoints(view, made["tokens"]["products"])
            record = read_json(place)
            if code:
                record["code"] = code_of(view, name, meanings)
            if "code/config.json" in altered and name != "tokens":
                record["config"] = plain(SETTINGS[name](view.config))
                record["config"] |= {"stack": stack} if name == "weights" and (stack := promised_stack(view)) else {}
            for product in record["products"]:
                file = view.path / (placed(name, product) or "nowhere")
                if file.is_file():
                    record["products"][product] = {"sha256": file_digest(file), "bytes": file.stat().st_size}
            record["inputs"] = {each: made[each] for each in record["inputs"]}
            keys = {each: entry["key"] for each, entry in record["inputs"].items()}
            asked = {"stage": name, "config": record["config"], "code": digest(record["code"]), "inputs": keys}
            record["key"] = digest(asked)
            products = digest({each: entry["sha256"] for each, entry in record["products"].items()})
            made[name] = {"key": record["key"], "products": products}
            write_json(place, record)
            _commitment(view, name, record)


def _commitment(view: Release, name: str, record: dict[str, Any]) -> None:
    path = view.path / f"logs/{name}/commitment.json"
    told = read_json(path)
    told["bound"] = {key: value for key, value in record.items() if key != "products"}
    told["sources"] = {each: file_digest(view.path / "code" / each) for each in record["code"]}
    write_json(path, told)


def _next_step(view: Release, altered: Collection[str]) -> None:
    moved = ("checkpoints/", "code/config.json", "model.safetensors", "tokenizer.json", "data/documents/")
    if any(path.startswith(moved) for path in altered) and "checkpoints/next_step.json" not in altered:
        with contextlib.suppress(Exception):
            write_json(view.path / "checkpoints/next_step.json", bundle.next_step(view.path, view.tokens))
