"""Files on their way into the cache: each by its digest, resumed where it broke off, from the first place with it."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter

from train.artifact import naming, sync_directory
from train.data.sources.pinned import FileSpec, VanishedError
from train.errors import FULL, UserError

ATTEMPTS = 5  # in a row that bring less than PROGRESS, each going on where the last one stopped
PROGRESS = 2**20  # bytes more than ever before: a connection may be cut often in hours
BACKOFF = 0.5  # seconds, doubled from attempt to attempt
TIMEOUT = 30.0  # seconds without a byte
CONNECT = 10.0  # seconds, at most, for a connection
CHUNK = 2**16
GO_ON = "run again to go on from what there is"


@dataclass(frozen=True)
class Mirror:
    """A place to have a file from. `fetch` fills the given path, going on from what is there.

    It raises UserError, or VanishedError, with the reason alone.
    """

    name: str  # for people at the terminal: addresses and paths are not recorded
    fetch: Callable[[Path], None]
    kind: str  # "index", "hub" or "mirror": what is recorded


def obtain(wanted: FileSpec, places: Sequence[Mirror], cache: Path) -> tuple[Path, str]:
    """The file in `cache`, whole and checked, and the kind of place it came from; "cache" when it was there.

    The digest decides: a place that gives other bytes is passed over like one that gives none. Raises UserError, or
    VanishedError when it is gone from all places, that names every place tried with what was the matter there.
    """
    kept, part = cache / wanted.digest, cache / f"{wanted.digest}.part"
    failures: list[tuple[str, UserError]] = []
    with _alone_in(cache):
        if wanted.identity(kept) == wanted.digest:
            return kept, "cache"
        for place in places:
            try:
                _fetch(wanted, place, part)
            except UserError as failure:
                failures.append((place.name, failure))
                continue
            part.replace(kept)
            sync_directory(cache)
            return kept, place.kind
    reasons = "; ".join(f"{name}: {failure}" for name, failure in failures) or "there is no place to ask"
    gone = bool(failures) and all(isinstance(failure, VanishedError) for _, failure in failures)
    what, advice = ("has vanished", "pin another version") if gone else ("cannot be fetched", GO_ON)
    raise (VanishedError if gone else UserError)(
        f"{wanted.purl}: {wanted.name} {what} ({reasons}); {advice}, or put the file into the cache folder as "
        f"{wanted.digest}"
    )


def _fetch(wanted: FileSpec, place: Mirror, part: Path) -> None:
    """Fill `part` from `place`. What another place left there may be to blame for a wrong digest: then from scratch."""
    resumed = part.exists()
    with naming(part):
        place.fetch(part)
    if (digest := wanted.identity(part)) != wanted.digest:
        part.unlink()
        if resumed:
            return _fetch(wanted, place, part)
        kind = "sha256" if len(wanted.digest) == 64 else "git object id"
        raise UserError(f"has changed: expected {kind} {wanted.digest}, found {digest}; the download was deleted")
    return None


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


def from_path(path: Path, wanted: FileSpec) -> Mirror:
    """A copy on this machine."""

    def fetch(part: Path) -> None:
        try:
            size = path.stat().st_size
            if size != wanted.bytes:
                raise UserError(f"expected {wanted.bytes} bytes, found {size}")
            with path.open("rb") as read, part.open("wb") as write:
                while chunk := read.read(CHUNK):
                    write.write(chunk)
        except FileNotFoundError:
            raise VanishedError("no such file") from None
        except OSError as error:
            if error.errno in FULL:
                raise
            raise UserError(f"cannot be read ({error.strerror})") from None

    return Mirror(str(path), fetch, "mirror")


def fetch_url(
    part: Path,
    wanted: FileSpec,
    url: str,
    session: requests.Session,
    timeout: tuple[float, float] = (CONNECT, TIMEOUT),
    headers: Mapping[str, str] | None = None,
) -> None:
    """Bring `part` to its full size from `url`; a stream that breaks off or stalls is taken up again."""
    failure: Exception | None = None
    part.touch()
    size = best = part.stat().st_size
    attempt = 0
    while attempt < ATTEMPTS:
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        attempt += 1
        size = part.stat().st_size
        if size == wanted.bytes:
            return
        # What is asked for is the file as it lies there, not compressed once more for the way.
        own = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})
        try:
            with session.get(url, headers={**(headers or {}), **own}, stream=True, timeout=timeout) as response:
                if response.status_code == 416:  # nothing stands there: what we have belongs to another file
                    part.write_bytes(b"")
                    continue
                if response.status_code in (404, 410):
                    raise VanishedError(f"status {response.status_code}")
                response.raise_for_status()
                with part.open("ab" if response.status_code == 206 else "wb") as file:
                    for chunk in response.raw.stream(CHUNK, decode_content=False):
                        file.write(chunk)
                        if file.tell() > wanted.bytes:
                            break
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = error
        size = part.stat().st_size
        if size > wanted.bytes:
            part.unlink()
            raise UserError(f"is larger than the {wanted.bytes} bytes it is pinned with; the download was deleted")
        if size == wanted.bytes:
            return
        if size >= best + PROGRESS:
            attempt, best = 0, size
    raise UserError(reason(failure) if failure else f"ends after {size} of {wanted.bytes} bytes; check `bytes`")


def reason(error: Exception) -> str:
    """Why a server could not be asked, in words without credentials: the error's own text may hold a URL."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"{f'status {status}' if status else type(error).__name__}; check the network"


def session() -> requests.Session:
    """A session that asks a busy server again."""
    opened = requests.Session()
    retry = urllib3.Retry(2, backoff_factor=BACKOFF, status_forcelist=(429, 500, 502, 503, 504))
    for scheme in ("http://", "https://"):
        opened.mount(scheme, HTTPAdapter(max_retries=retry))
    return opened
