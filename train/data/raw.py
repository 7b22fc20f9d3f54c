"""Stage 1. The source files, byte for byte, each pinned by a Package URL and a SHA-256.

This is the only stage for which the network is asked, by its world (`places`), and only for what the cache lacks.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from annotated_types import MinLen

from train.artifact import WITNESS, digest, file_digest, read_json, whole, write_bytes, write_json
from train.data.sources import hub, pinned
from train.data.sources.archive import matches
from train.data.sources.local import examples, listing
from train.data.sources.pinned import FileSpec, VanishedError
from train.data.sources.spec import AnySource, File, FilesSource, HubSource, PypiSource, SourceRecord, StoriesSource
from train.errors import UserError
from train.world import Inputs, World


@dataclass(frozen=True)
class RawConfig:
    """Where the text comes from."""

    sources: Annotated[tuple[AnySource, ...], MinLen(1)]  # read in order

    def __post_init__(self) -> None:
        slugs = [source.slug for source in self.sources]
        for slug in sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            raise ValueError(f"sources: '{slug}' is listed twice")

    def placeless(self) -> "RawConfig":
        """What decides which bytes come: the sources without where they are looked for."""
        return RawConfig(tuple(source.placeless() for source in self.sources))

    @property
    def kinds_of_places(self) -> dict[str, list[str]]:
        """Package URL -> the kinds of places that its config names for it."""
        kinds = {"path": "folder", "mirrors": "mirror"}
        return {source.purl: [kinds[name] for name, place in source.places.items() if place] for source in self.sources}


def fetch(config: RawConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write `<slug>/<files>` for each source and `sources.json`, the record of them all.

    When and from where a file was retrieved goes to `witness/retrieved.json`: it is true of one machine only.
    Raises UserError when a source cannot be had as it is pinned, VanishedError when it is gone.
    """
    records, retrieved = [], {}
    for source in world.track(config.sources, "fetch"):
        folder = out / source.slug
        match source:
            case PypiSource():
                wanted = FileSpec(source.purl, source.filename, source.sha256, source.bytes)
                kept, origin = pinned.place(source, wanted, folder, world)
                names = [source.filename]
                retrieved[source.slug] = {"retrieved": _day(kept), "from": origin}
            case HubSource():
                names, origins = hub.place(source, folder, world)
                retrieved[source.slug] = {"retrieved": _day(folder), "from": ", ".join(sorted(origins))}
            case FilesSource():
                names = _place_files(source, folder, world)
            case StoriesSource():
                names = _place_stories(source, folder)
        files = tuple(File(n, file_digest(folder / n), (folder / n).stat().st_size) for n in sorted(names))
        if isinstance(source, FilesSource) and digest({file.path: file.sha256 for file in files}) != source.sha256:
            raise UserError(f"{source.purl}: its files changed while they were copied; run the same command again")
        records.append(SourceRecord(source, files).to_json())
    write_json(out / "sources.json", records)
    write_json(out / WITNESS / "retrieved.json", retrieved)


def _day(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_files(config: RawConfig, world: World) -> None:
    """UserError, as `fetch` would raise it now, when the files of a local source are no longer as they are pinned."""
    for source in config.sources:
        if isinstance(source, FilesSource):
            locate(source, world)


def locate(source: FilesSource, world: World) -> tuple[Path, list[str]]:
    """The first of the source's places that holds its files as they are pinned, and their names."""
    problems: list[UserError] = []
    for place in (source.path, *map(Path, source.mirrors)):
        try:
            return _check_pinned(source, place, world)
        except UserError as problem:
            problems.append(problem)
    gone = all(isinstance(problem, VanishedError) for problem in problems)
    reasons = "; ".join(map(str, problems))
    raise (VanishedError if gone else UserError)(f"{source.purl}: {reasons}")


def _check_pinned(source: FilesSource, place: Path, world: World) -> tuple[Path, list[str]]:
    """The root of the source's files at `place` and their names; UserError unless they have the digest."""
    if not place.exists():
        home = "; ~ means no home here: give the path from the folder you work in" if str(place).startswith("~") else ""
        raise VanishedError(f"{place} is not there{home}")
    root = place if place.is_dir() else place.parent
    try:
        files = listing(source, place, own(world))
        names = sorted({*files.taken, *source.licence_files})
        digests = {name: file_digest(root / name) for name in names}
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror})") from None
    beside = f"; passed over: {others}" if (others := files.passed_over()) else ""
    if not any(matches(name, source.include, source.exclude) for name in files.taken):
        raise UserError(f"{place}: no file matches {list(source.include)}{beside}; correct `include`")
    if (digest_found := digest(digests)) != source.sha256:
        pinned_before = "" if source.sha256 is None else " and raise the version in purl"
        raise UserError(
            f"{place}: expected sha256 {source.sha256 or 'null'}, found {digest_found} over {len(digests)} files; "
            f"if these are the files you mean, set sha256 to the latter{pinned_before}"
            f"{since_pinned(source, digests, world.machine.runs)}{beside}"
        )
    return root, names


def since_pinned(source: FilesSource, digests: Mapping[str, str], runs: Path) -> str:
    """Which files are new, changed or gone since the source was pinned, where an artifact of that pin is in `runs`."""
    records = (record for path in runs.glob("raw-*/sources.json") for record in read_json(path))
    for files in ({file["path"]: file["sha256"] for file in record["files"]} for record in records):
        if digest(files) == source.sha256:
            both = digests.keys() & files.keys()
            changes = {"new": digests.keys() - both, "gone": files.keys() - both,
                     "changed": {name for name in both if digests[name] != files[name]}}  # fmt: skip
            counts = (f"{len(names)} {kind} ({examples(kind, [*names])})" for kind, names in changes.items() if names)
            return f"; since it was pinned {', '.join(counts)}"
    return ""


def passed_over(config: RawConfig, world: World) -> list[str]:
    """What lies beside the files of each local source and is not taken, in a line each."""
    sources = [source for source in config.sources if isinstance(source, FilesSource) and source.path.is_dir()]
    lines = (listing(source, source.path, own(world)).passed_over() for source in sources)
    return [line for line in lines if line]


def own(world: World) -> tuple[Path, Path]:
    """The folders that the program writes to."""
    return world.machine.runs, world.machine.releases


def _place_files(source: FilesSource, folder: Path, world: World) -> list[str]:
    """Copy the source's files; return their names.

    None is made durable by itself, which takes half an hour for 10^5: what a power cut tears, its digest tells, and the
    folder that it came from is still there.
    """
    root, names = locate(source, world)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, folder / name)
    return names


def repository_files(config: RawConfig | None) -> tuple[str, ...]:
    """The files of this repository that `fetch` copies: the licences of the texts that it writes itself."""
    own = (source for source in config.sources if isinstance(source, StoriesSource)) if config else ()
    return tuple(name for source in own for name in source.licence_files)


def _place_stories(source: StoriesSource, folder: Path) -> list[str]:
    from train.data.generated.stories import stories

    with whole(folder / "stories.jsonl") as file:
        for path, text in stories(source.seed, source.count):
            file.write(json.dumps({"path": path, "text": text}, ensure_ascii=False).encode() + b"\n")
    repository = Path(__file__).parents[2]
    for name in source.licence_files:
        try:
            write_bytes(folder / name, (repository / name).read_bytes())
        except OSError as error:
            raise UserError(f"{source.purl}: licence file {name!r} is not in this repository ({error})") from None
    return ["stories.jsonl", *source.licence_files]
