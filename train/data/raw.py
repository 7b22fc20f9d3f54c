"""Stage 1. The source files, byte for byte, each pinned by a Package URL and a SHA-256.

This is the only stage that touches the network, and only for what the cache does not hold. No host is named
here: sources come from the package index that pip is set up with on this machine.
"""

import ast
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

import requests
import urllib3
from license_expression import ExpressionError, Licensing, get_spdx_licensing
from packageurl import PackageURL
from packaging.utils import canonicalize_name, parse_sdist_filename
from packaging.version import Version
from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple, UnsupportedContentTypeError
from requests.adapters import HTTPAdapter

from train.artifact import digest, file_digest, sync_directory, whole, write_bytes, write_json
from train.config import UserError, plain
from train.data.archives import matches, name_problem
from train.world import World

ATTEMPTS = 5  # at one file, each going on where the last one stopped
BACKOFF = 0.5  # seconds, doubled from attempt to attempt
TIMEOUT = 30.0  # seconds without a byte, unless pip is set up with another
CONNECT = 10.0  # seconds, at most, for a connection
CHUNK = 2**16


@dataclass(frozen=True)
class Source:
    """What every source tells of itself."""

    purl: str  # canonical
    licence: str  # SPDX expression, of the texts and not of the program they come with
    licence_files: tuple[str, ...]  # in the source; the decisive one first
    attribution: str
    language: str  # BCP 47 tag
    include: tuple[str, ...]  # globs over the paths in the source
    exclude: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            canonical = PackageURL.from_string(self.purl).to_string()
        except ValueError as error:
            raise ValueError(f"purl: {error}") from None
        if canonical != self.purl:
            raise ValueError(f"purl: expected the canonical '{canonical}', got '{self.purl}'")
        check_licence(self.licence)
        if not self.licence_files:
            raise ValueError(f"licence_files: {self.purl} needs at least one, as evidence of its licence")
        if not self.include:
            raise ValueError(f"include: {self.purl} needs at least one glob, e.g. '**'")

    @property
    def slug(self) -> str:
        """The purl as a name of a folder."""
        return re.sub(r"[^a-z0-9.]+", "-", self.purl.removeprefix("pkg:").lower()).strip("-.")


@dataclass(frozen=True)
class PypiSource(Source):
    """A source distribution on the package index."""

    kind: Literal["pypi"]
    filename: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sha256(self.sha256)
        purl = PackageURL.from_string(self.purl)
        name, version = parse_sdist_filename(self.filename)
        if purl.type != "pypi" or (canonicalize_name(purl.name), Version(purl.version or "0")) != (name, version):
            raise ValueError(f"purl: expected 'pkg:pypi/{name}@{version}' for {self.filename}, got '{self.purl}'")
        if name_problem(self.filename, 255) or "/" in self.filename:
            raise ValueError(f"filename: expected a plain file name, got {self.filename!r}")
        if self.bytes < 1:
            raise ValueError(f"bytes: expected at least 1, got {self.bytes}")


@dataclass(frozen=True)
class FilesSource(Source):
    """A local file or folder. The digest is over {path in the source: SHA-256 of the file}."""

    kind: Literal["files"]
    path: Path  # relative to the working directory; enters no product
    sha256: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sha256(self.sha256)
        if self.path.is_absolute():  # it would stand in the config of the release
            raise ValueError(f"path: expected one relative to the folder you work in, got {str(self.path)!r}")


@dataclass(frozen=True)
class StoriesSource(Source):
    """Texts that this repository writes from a seed; licence files are the repository's own."""

    kind: Literal["stories"]
    seed: int
    count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 1:
            raise ValueError(f"count: expected at least 1, got {self.count}")


@dataclass(frozen=True)
class RawConfig:
    """Where the text comes from."""

    sources: tuple[PypiSource | FilesSource | StoriesSource, ...]

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: expected at least one")
        slugs = [source.slug for source in self.sources]
        for slug in sorted({slug for slug in slugs if slugs.count(slug) > 1}):
            raise ValueError(f"sources: '{slug}' is listed twice")


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()


@cache
def check_licence(expression: str) -> None:
    """ValueError unless `expression` is an SPDX licence expression in its usual spelling."""
    try:
        spelled = str(_spdx().parse(expression, validate=True, strict=True))
    except ExpressionError as error:
        raise ValueError(f"licence: expected an SPDX expression, got {expression!r} ({error})") from None
    if spelled != expression:
        raise ValueError(f"licence: expected the spelling {spelled!r}, got {expression!r}")


def check_sha256(text: str) -> None:
    """ValueError unless `text` is a SHA-256 in lower-case hexadecimal."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"sha256: expected 64 lower-case hexadecimal digits, got {text!r}")


def fetch(config: RawConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `<slug>/<files>` for each source and `sources.json`, the record of them all.

    When and from where a file was retrieved goes to `witness/retrieved.json`: it is true of one machine only.
    """
    records, retrieved = [], {}
    for source in world.track(config.sources, "fetch"):
        folder = out / source.slug
        match source:
            case PypiSource():
                retrieved[source.slug] = _place_distribution(source, folder, world.machine.cache.expanduser())
                names = [source.filename]
            case FilesSource():
                names = _place_files(source, folder)
            case StoriesSource():
                names = _place_stories(source, folder)
        files = [
            {"path": name, "sha256": file_digest(folder / name), "bytes": (folder / name).stat().st_size}
            for name in sorted(names)
        ]
        entry = {key: value for key, value in plain(source).items() if key != "path"}
        records.append({**entry, "slug": source.slug, "files": files})
    write_json(out / "sources.json", records)
    write_json(out / "witness" / "retrieved.json", retrieved)


def _place_distribution(source: PypiSource, folder: Path, cache: Path) -> dict[str, str]:
    kept = cache / source.sha256
    with _alone_in(cache):
        index = None if _is_whole(kept, source) else _download(source, cache)
    _copy(kept, folder / source.filename)
    day = datetime.fromtimestamp(kept.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"retrieved": day, "from": index or "cache"}


def _place_files(source: FilesSource, folder: Path) -> list[str]:
    root = source.path if source.path.is_dir() else source.path.parent
    try:
        found = source.path.rglob("*") if source.path.is_dir() else [source.path]
        names = {path.relative_to(root).as_posix() for path in found if path.is_file()}
        names = {name for name in names if matches(name, source.include, source.exclude)}
        names |= set(source.licence_files)
        for name in names:
            if problem := name_problem(name, 400):
                raise UserError(f"{source.purl}: file {name!r} {problem}; rename or exclude it")
        digests = {name: file_digest(root / name) for name in sorted(names)}
    except OSError as error:
        raise UserError(f"{source.purl}: {error.filename} cannot be read ({error.strerror})") from None
    if (found_digest := digest(digests)) != source.sha256:
        raise UserError(
            f"{source.purl}: expected sha256 {source.sha256}, found {found_digest} over {len(digests)} files; "
            f"if these are the files you mean, set sha256 to the latter"
        )
    for name in digests:
        _copy(root / name, folder / name)
    return list(digests)


def _place_stories(source: StoriesSource, folder: Path) -> list[str]:
    from train.data.stories import stories

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


def _copy(origin: Path, target: Path) -> None:
    with origin.open("rb") as read, whole(target) as write:
        while chunk := read.read(CHUNK):
            write.write(chunk)


# Downloads -----------------------------------------------------------------------------------------------------------


@contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """Keep other processes from writing to the cache; the system lets go when the process ends, however it ends."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = os.open(cache, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"{cache}: cannot be used as the cache folder ({error.strerror}); set machine.cache") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_whole(path: Path, source: PypiSource) -> bool:
    return path.is_file() and path.stat().st_size == source.bytes and file_digest(path) == source.sha256


def _download(source: PypiSource, cache: Path) -> str:
    """Bring the file into the cache; return the index it came from, without credentials."""
    options = pip_options()
    silence = float(options.get("timeout", options.get("default-timeout", TIMEOUT)))
    timeout = (min(silence, CONNECT), silence)
    extra = options.get("extra-index-url", "").split()
    indexes = [url for url in [options.get("index-url", PYPI_SIMPLE_ENDPOINT), *extra] if url.startswith("http")]
    with requests.Session() as session:
        retry = urllib3.Retry(2, backoff_factor=BACKOFF, status_forcelist=(429, 500, 502, 503, 504))
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        session.verify = options.get("cert", True)
        if proxy := options.get("proxy"):
            session.proxies = {"http": proxy, "https": proxy}
        url, index = _find(source, session, indexes, timeout)
        part = cache / f"{source.sha256}.part"
        _fill(part, source, session, url, timeout)
    if (found := file_digest(part)) != source.sha256:
        part.unlink()
        raise UserError(
            f"{source.purl}: {source.filename} has changed: expected sha256 {source.sha256}, found {found}; "
            "the download was deleted. Ask the index's keeper, or pin another version"
        )
    part.replace(cache / source.sha256)
    sync_directory(cache)
    return _without_credentials(index)


@cache
def pip_options() -> dict[str, str]:
    """What pip is set up with on this machine, from its files and its environment; {} where there is no pip."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    sections: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in listed.stdout.splitlines():
        section, dot, rest = line.partition(".")
        name, equals, value = rest.partition("=")
        if dot and equals and section in sections:
            sections[section][name] = str(ast.literal_eval(value))
    return sections["global"] | sections["download"] | sections[":env:"]


def _find(
    source: PypiSource, session: requests.Session, indexes: list[str], timeout: tuple[float, float]
) -> tuple[str, str]:
    """The file's URL and the index that lists it."""
    name = PackageURL.from_string(source.purl).name
    found_project = False
    for index in indexes:
        try:
            page = PyPISimple(index, session=session).get_project_page(name, timeout=timeout)
        except NoSuchProjectError:
            continue
        except (requests.RequestException, UnsupportedContentTypeError, ValueError) as error:
            raise UserError(_unreachable(source, error)) from None
        found_project = True
        for package in page.packages:
            if package.filename == source.filename:
                return _with_credentials(package.url, index), index
    what = f"no longer lists {source.filename}" if found_project else f"has no project '{name}'"
    raise UserError(
        f"{source.purl}: the package index {what}; check purl and filename, pin another version, "
        f"or put the file into the cache folder as {source.sha256}"
    )


def _fill(part: Path, source: PypiSource, session: requests.Session, url: str, timeout: tuple[float, float]) -> None:
    """Bring `part` to its full size, going on from what is there; a stream that breaks is taken up again."""
    failure: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        have = part.stat().st_size if part.exists() else 0
        if have == source.bytes:
            return
        # What is asked for is the file as it lies there, not compressed once more for the way.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        try:
            with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
                if response.status_code == 416:  # nothing stands there: what we have belongs to another file
                    part.unlink()
                    continue
                if response.status_code in (404, 410):
                    raise UserError(
                        f"{source.purl}: {source.filename} has vanished from the package index "
                        f"(status {response.status_code}); pin another version, or put the file into the cache "
                        f"folder as {source.sha256}"
                    )
                response.raise_for_status()
                with part.open("ab" if response.status_code == 206 else "wb") as file:
                    for chunk in response.raw.stream(CHUNK, decode_content=False):
                        file.write(chunk)
                        if file.tell() > source.bytes:
                            break
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = error
        size = part.stat().st_size if part.exists() else 0
        if size > source.bytes:
            part.unlink()
            raise UserError(
                f"{source.purl}: {source.filename} is larger than the {source.bytes} bytes it is pinned with; "
                "the download was stopped and deleted"
            )
        if size == source.bytes:
            return
    if failure:
        raise UserError(_unreachable(source, failure))
    raise UserError(f"{source.purl}: {source.filename} ends after {size} of {source.bytes} bytes; check `bytes`")


def _unreachable(source: PypiSource, error: Exception) -> str:
    # The error's own text may hold a URL with credentials, so only its kind is shown.
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = f"status {status}" if status else type(error).__name__
    return (
        f"{source.purl}: {source.filename} cannot be fetched from the package index ({reason}); "
        f"check the network and `pip config list`, and run again: it goes on from what it has. Without a network, "
        f"put the file into the cache folder as {source.sha256}"
    )


def _with_credentials(url: str, index: str) -> str:
    """`url` with the user and password of `index`, if it is on the same host; nobody else gets to see them."""
    file, home = urlsplit(url), urlsplit(index)
    if home.username is None or (file.hostname, file.port) != (home.hostname, home.port) or file.username:
        return url
    user = home.netloc.rpartition("@")[0]
    return urlunsplit(file._replace(netloc=f"{quote(user, safe=':%')}@{file.netloc}"))


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
