"""Hugging Face datasets at a commit: `datasets` tells which files make up a split, the hub's client what they are.

Which hub is asked, with which token and how patiently, is for the client's own settings: HF_ENDPOINT, HF_TOKEN,
HF_HUB_DOWNLOAD_TIMEOUT. How the files themselves come is told in `places`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from train.artifact import whole
from train.data.sources import pinned
from train.data.sources.archive import matches
from train.data.sources.pinned import FileSpec, VanishedError
from train.data.sources.spec import HubSource, how_to_find_commit
from train.errors import UserError
from train.world import World

ROWS = "rows.jsonl"  # what streaming writes


def place(source: HubSource, folder: Path, world: World) -> tuple[list[str], set[str]]:
    """Write the source's files to `folder`; return their names and the places they came from."""
    if not source.commit:
        raise UserError(f"{source.purl}: names no commit, so nothing is pinned. {how_to_find_commit(source.dataset)}")
    if source.files:
        files = [FileSpec(source.purl, file.path, file.sha256, file.bytes) for file in source.files]
    else:
        files = _listed(source)
    if missing := set(source.licence_files) - {file.name for file in files}:
        raise UserError(f"{source.purl}: `files` lacks the licence file {min(missing)!r}")
    data = [file.name for file in files if file.name not in source.licence_files]
    came_from = set()
    for file in files:
        if not source.streaming or file.name in source.licence_files:
            came_from.add(pinned.place(source, file, folder, world)[1])
    if not source.streaming:
        return [file.name for file in files], came_from
    with whole(folder / ROWS) as rows:
        for row in _streamed(source, data):
            rows.write(json.dumps(row, ensure_ascii=True, sort_keys=True, default=str).encode() + b"\n")
    return [*source.licence_files, ROWS], came_from


def _listed(source: HubSource) -> list[FileSpec]:
    """The licence files and the files of the split, in the order of their names, with what the hub says they are.

    A large file is known by its SHA-256, a small one by git's id of its content: the commit pins both.
    """
    with _explained(source):
        import datasets
        from huggingface_hub import HfApi, RepoFile

        datasets.disable_progress_bars()
        builder = datasets.load_dataset_builder(source.dataset, source.config, revision=source.commit)
        splits = builder.config.data_files or {}
    if source.split not in splits:
        raise UserError(f"{source.purl}: no split {source.split!r}; it has {', '.join(sorted(splits)) or 'none'}")
    start = f"hf://datasets/{source.dataset}@{source.commit}/"
    names = [str(url).removeprefix(start) for url in splits[source.split]]
    if any(not str(url).startswith(start) for url in splits[source.split]):  # of another commit, from a cache
        raise UserError(f"{source.purl}: cannot be listed at its commit; check the network and run again")
    names = sorted(name for name in names if matches(name, source.include, source.exclude))
    if not names:
        raise UserError(f"{source.purl}: no file of {source.split!r} matches {list(source.include)}; correct the globs")
    names = [*source.licence_files, *(name for name in names if name not in source.licence_files)]
    with _explained(source):
        infos = HfApi().get_paths_info(source.dataset, names, revision=source.commit, repo_type="dataset")
        known = {info.path: info for info in infos if isinstance(info, RepoFile)}
    if missing := [name for name in names if name not in known]:
        raise VanishedError(f"{source.purl}: {missing[0]} is not in the dataset at its commit")
    files = ((name, known[name]) for name in names)
    return [FileSpec(source.purl, n, info.lfs.sha256 if info.lfs else info.blob_id, info.size) for n, info in files]


def _streamed(source: HubSource, names: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of the files `names`, up to the limit, with the named columns alone."""
    columns = source.columns
    wanted = (columns.text, columns.path, columns.licence, columns.attribution)
    tops = {column.split(".")[0] for column in wanted if column}
    with _explained(source):
        import datasets

        files, at = {source.split: names}, source.commit
        rows = datasets.load_dataset(source.dataset, data_files=files, split=source.split, revision=at, streaming=True)
        for row in islice(rows, source.limit):
            yield {name: row.get(name) for name in tops & row.keys()}


@contextmanager
def _explained(source: HubSource) -> Iterator[None]:
    """One clear line for whatever the clients raise; theirs are the errors of half a dozen libraries."""
    try:
        yield
    except (UserError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        said = " ".join(str(error).strip().partition("\n")[0].split())
        line = f"{source.purl}: {said or type(error).__name__}"
        if "GatedRepoError" in kinds or "gated" in line:
            raise UserError(f"{line} Accept its terms on the hub, and set HF_TOKEN") from None
        if kinds & {"DatasetNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError"}:
            raise VanishedError(line) from None
        raise UserError(f"{line} ({type(error).__name__}); check the network and `config`, and run again") from None
