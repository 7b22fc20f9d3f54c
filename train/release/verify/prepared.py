"""The check that the pinned sources, prepared again, give the documents here, and nothing was left out of them."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.data.benchmarks import BenchmarksConfig, gather
from train.data.documents import extract
from train.data.duplicates import compare
from train.data.judged import judge
from train.data.raw import RawConfig, fetch
from train.data.selected import select
from train.data.sources.pinned import FileSpec
from train.data.sources.places import obtain
from train.data.sources.spec import FilesSource
from train.errors import UserError
from train.release.resolved import SETTINGS
from train.release.verify.result import NotChecked
from train.release.view import Release
from train.world import Inputs

Make = Callable[..., None]
SELECTING: dict[str, Make] = {"judged": judge, "duplicates": compare, "selected": select}
STAGES: dict[str, Make] = {"raw": fetch, "documents": extract, "benchmarks": gather, **SELECTING}
FETCHING = ("raw", "benchmarks")


def prepared(release: Release) -> list[str]:
    """The pinned sources, prepared again, give these documents, ledger and evaluation sets; else the first other."""
    for name, folder in remake(release):
        if problems := release.made_again(name, folder):
            return [f"{name}: {problem}" for problem in problems]
    return []


def remake(release: Release) -> Iterator[tuple[str, Path]]:
    """The name of each stage up to the selected documents, and where its artifact was made again."""
    world = replace(release.world, obtain=obtainer(release.folder))
    artifacts: dict[str, Path] = {}
    for name, make in STAGES.items():
        folder = artifacts[name] = release.scratch / "sourced" / name
        config: Any = anywhere(SETTINGS[name](release.config))
        with answers(config, release) if name in FETCHING else contextlib.nullcontext():
            make(config, Inputs(**artifacts), folder, world)
        yield name, folder


def anywhere(config: Any) -> Any:
    """Settings whose local sources lie in the verifier's folder, in one of their own name or alone."""
    if isinstance(config, BenchmarksConfig):
        return replace(config, raw=config.raw and anywhere(config.raw))
    if not isinstance(config, RawConfig):
        return config
    own = (replace(s, mirrors=(".",)) if isinstance(s, FilesSource) else s for s in config.placeless().sources)
    return replace(config, sources=tuple(own))


@contextlib.contextmanager
def answers(config: Any, release: Release) -> Iterator[None]:
    """In the folder of the verifier's files, turn what cannot be had into NotChecked."""
    raw = config if isinstance(config, RawConfig) else config.raw
    for source in raw.sources if raw else ():
        if isinstance(source, FilesSource) and not release.folder:
            raise NotChecked(f"{source.purl}: its files are on no index; give the folder that holds them by --from")
    try:
        with contextlib.chdir(release.folder or release.scratch):
            yield
    except (UserError, OSError) as error:
        raise NotChecked(f"the sources cannot be had here: {error}") from None


def obtainer(folder: Path | None) -> Callable[..., tuple[Path, str]]:
    """What obtains a file of a source: from the verifier's folder, whatever it is called there, else as ever."""
    by_size: dict[int, list[Path]] = {}
    for inside, _, names in os.walk(folder) if folder else ():
        for path in (Path(inside) / name for name in names):
            if path.is_file():
                by_size.setdefault(path.stat().st_size, []).append(path.resolve())

    def find(source: Any, wanted: FileSpec, cache: Path) -> tuple[Path, str]:
        same = (path for path in by_size.get(wanted.bytes, []) if wanted.identity(path) == wanted.digest)
        path = next(same, None)
        return (path, "folder") if path else obtain(source, wanted, cache)

    return find
