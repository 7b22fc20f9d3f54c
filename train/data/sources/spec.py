"""What a source is: where its files are, what they must be, and under which licence its texts stand."""

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from annotated_types import MinLen
from packageurl import PackageURL
from packaging.utils import canonicalize_name, parse_sdist_filename
from packaging.version import Version

from train.artifact import read_json
from train.config import Count, Natural, build, plain
from train.data.sources.archive import name_problem
from train.data.text import language_tag
from train.errors import ConfigError, UserError
from train.spdx import NOASSERTION, check_spelling, check_text

INDEXES = {"pypi": "pypi", "huggingface": "hub"}  # type of Package URL -> the kind of source that can show it true


@dataclass(frozen=True)
class Source:
    """What every source tells of itself."""

    purl: str  # Package URL, in its canonical form
    licence: str  # SPDX expression, of the texts and not of the program they come with
    licence_files: Annotated[tuple[str, ...], MinLen(1)]  # in the source, as evidence; the decisive one first
    attribution: str  # whom to credit
    language: str  # BCP 47 tag
    include: Annotated[tuple[str, ...], MinLen(1)]  # globs over the paths in the source, such as '**'
    exclude: tuple[str, ...]  # globs of what is left out of these

    def __post_init__(self) -> None:
        try:
            purl = PackageURL.from_string(self.purl)
        except ValueError as error:
            raise ValueError(f"purl: {error}") from None
        if (canonical := purl.to_string()) != self.purl:
            raise ValueError(f"purl: expected the canonical '{canonical}', got '{self.purl}'")
        if (fetched := INDEXES.get(purl.type)) and fetched != getattr(self, "kind", None):
            own = "call others pkg:generic/<name>@<version>, or give a folder with those files as its mirror"
            raise ValueError(f"purl: '{self.purl}' is what a source of kind '{fetched}' gives; {own}")
        for name in self.licence_files:
            if problem := name_problem(name, 400):
                raise ValueError(f"licence_files: {name!r} {problem}")
        if self.licence != NOASSERTION:
            check_licence("licence", self.licence)
        elif not self.licence_by_row:
            raise ValueError(f"licence: {NOASSERTION} is for sources whose rows tell theirs, in `columns.licence`")
        if self.language != language_tag.UNFILLED:
            language_tag.check_tag(self.language)

    def placeless(self) -> Self:
        """The same source without where it is looked for, since the digest decides: in a folder of its own name."""
        here: dict[str, Any] = {"path": Path(self.slug), "mirrors": ()}
        return replace(self, **{name: value for name, value in here.items() if hasattr(self, name)})

    @property
    def places(self) -> dict[str, Any]:
        """What of its configuration says only where it is looked for."""
        return {name: plain(getattr(self, name)) for name in ("path", "mirrors") if hasattr(self, name)}

    @property
    def licence_by_row(self) -> bool:
        """Whether each row tells its own licence."""
        columns = getattr(self, "columns", None)
        return bool(columns and columns.licence)

    @property
    def slug(self) -> str:
        """The purl as a name of a folder."""
        return slug(self.purl)


@dataclass(frozen=True)
class Columns:
    """Which field of a row holds what; a dot leads into a field within a field."""

    text: str  # of the document
    path: str | None  # null: the file and the number of the row
    licence: str | None  # null: the source's licence holds for every row
    licence_names: dict[str, str]  # what stands in the rows -> SPDX expression; SPDX itself needs no entry
    attribution: str | None  # null: the source's

    def __post_init__(self) -> None:
        for name, expression in self.licence_names.items():
            check_licence(f"licence_names.{name}", expression)
        if self.licence_names and not self.licence:
            raise ValueError("licence_names: of no use where `licence` names no column")


@dataclass(frozen=True)
class File:
    """One file of a source, pinned; `sources.json` of an artifact `raw` has entries of this shape to copy from."""

    path: str  # in the source
    sha256: str  # of its bytes
    bytes: Natural  # its size

    def __post_init__(self) -> None:
        check_sha256(self.sha256)
        if problem := name_problem(self.path, 400):
            raise ValueError(f"path: {self.path!r} {problem}")


@dataclass(frozen=True)
class PypiSource(Source):
    """A source distribution on the package index."""

    kind: Literal["pypi"]
    filename: str  # of the source distribution
    sha256: str  # of its bytes
    bytes: Count  # its size
    mirrors: tuple[str, ...]  # URLs or relative paths of the same file, tried in turn after the index

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sha256(self.sha256)
        purl = PackageURL.from_string(self.purl)
        name, version = parse_sdist_filename(self.filename)
        if purl.type != "pypi" or (canonicalize_name(purl.name), Version(purl.version or "0")) != (name, version):
            raise ValueError(f"purl: expected 'pkg:pypi/{name}@{version}' for {self.filename}, got '{self.purl}'")
        if name_problem(self.filename, 255) or "/" in self.filename:
            raise ValueError(f"filename: expected a plain file name, got {self.filename!r}")
        check_mirrors(self.mirrors)


@dataclass(frozen=True)
class FilesSource(Source):
    """A local file or folder. The digest is over {path in the source: SHA-256 of the file}."""

    kind: Literal["files"]
    path: Path  # relative to the working directory; enters no product
    sha256: str | None  # null: not pinned yet, and refused with the digest that was found
    columns: Columns | None  # of rows in JSON lines or Parquet; null: `text` and `path`
    mirrors: tuple[str, ...]  # relative paths of the same files, tried in turn

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sha256 is not None:
            check_sha256(self.sha256)
        if self.path.is_absolute():  # it would stand in the config of the release
            raise ValueError(f"path: expected one relative to the folder you work in, got {str(self.path)!r}")
        check_mirrors(self.mirrors)
        if any(is_url(mirror) for mirror in self.mirrors):
            raise ValueError("mirrors: expected relative paths, for the names of the files are found by looking")


@dataclass(frozen=True)
class HubSource(Source):
    """A split of a Hugging Face dataset at a commit: `pkg:huggingface/datasets/<owner>/<name>@<commit>`."""

    kind: Literal["hub"]
    config: str | None  # name of the dataset's configuration; null: its default one
    split: str  # of the dataset, such as train
    columns: Columns  # which field of a row holds what
    limit: Count | None  # rows, from the first on; null: all
    streaming: bool  # true: only the rows are kept, in `rows.jsonl`; false: the split's files, byte for byte
    files: tuple[File, ...]  # pinned, licence files among them; none: the commit decides, and what it holds is recorded
    mirrors: tuple[str, ...]  # URLs or relative paths below which the same paths lie, tried in turn after the hub

    def __post_init__(self) -> None:
        super().__post_init__()
        purl = PackageURL.from_string(self.purl)
        if purl.type != "huggingface" or (purl.namespace or "").split("/")[0] != "datasets":
            raise ValueError(f"purl: expected 'pkg:huggingface/datasets/<owner>/<name>@<commit>', got '{self.purl}'")
        if purl.version and not re.fullmatch(r"[0-9a-f]{40}", purl.version):
            raise ValueError(
                f"purl: expected a full commit of 40 hexadecimal digits after @, got '{purl.version}'; a branch or tag "
                f"moves, so what it named today would be lost. {how_to_find_commit(self.dataset)}"
            )
        check_mirrors(self.mirrors)
        if (self.mirrors or self.files) and self.streaming:
            raise ValueError(
                "streaming: rows that are streamed come from the hub itself, without `files` and `mirrors`"
            )
        if self.mirrors and not self.files:
            raise ValueError("mirrors: need `files`, for it is their digests that tell whether a mirror is true")

    @property
    def dataset(self) -> str:
        """`<owner>/<name>`, as the hub calls it."""
        purl = PackageURL.from_string(self.purl)
        return f"{purl.namespace}/{purl.name}".removeprefix("datasets/")

    @property
    def commit(self) -> str | None:
        return PackageURL.from_string(self.purl).version


@dataclass(frozen=True)
class StoriesSource(Source):
    """Texts that this repository writes from a seed; licence files are the repository's own."""

    kind: Literal["stories"]
    seed: int  # of the stories
    count: Count  # of the stories


AnySource = PypiSource | FilesSource | HubSource | StoriesSource


@dataclass(frozen=True)
class SourceRecord:
    """A source as it was fetched: an entry of `sources.json`, without where it was looked for."""

    source: AnySource
    files: tuple[File, ...]  # as they came

    @property
    def columns(self) -> Columns | None:
        return getattr(self.source, "columns", None)

    def to_json(self) -> dict[str, Any]:
        entry = {name: value for name, value in plain(self.source).items() if name not in self.source.places}
        return {**entry, "slug": self.source.slug, "files": plain(self.files)}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "SourceRecord":
        kinds = {get_args(kind.__annotations__["kind"])[0]: kind for kind in get_args(AnySource)}
        names = {field.name for field in fields(kinds[entry["kind"]])}
        nowhere = {"path": entry["slug"], "mirrors": [], "files": []}
        source = {name: value for name, value in (entry | nowhere).items() if name in names}
        return build(cls, {"source": source, "files": entry["files"]})


def read_sources(path: Path) -> list[SourceRecord]:
    """The records in a file `sources.json`; UserError where it holds something else."""
    try:
        return [SourceRecord.from_json(entry) for entry in read_json(path)]
    except (ConfigError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: holds no records of sources ({type(error).__name__}: {error})") from None


def slug(purl: str) -> str:
    """A Package URL as a name of a folder."""
    return re.sub(r"[^a-z0-9.]+", "-", purl.removeprefix("pkg:").lower()).strip("-.")


def availability(card: str) -> str:
    """What a data card says under its heading "Availability", in one line; empty when it has no such section."""
    _, _, section = card.partition("\n## Availability\n")
    return " ".join(section.partition("\n## ")[0].split())


def how_to_find_commit(dataset: str) -> str:
    return f"The history of `datasets/{dataset}` on the hub lists its commits; end `purl` with @ and one of them"


def is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def check_mirrors(mirrors: tuple[str, ...]) -> None:
    """ValueError unless each is a URL or a relative path."""
    for mirror in mirrors:
        if not mirror or (not is_url(mirror) and ("://" in mirror or Path(mirror).is_absolute())):
            raise ValueError(f"mirrors: expected http(s) URLs or relative paths, got {mirror!r}")


def check_licence(key: str, expression: str) -> None:
    """ValueError, which names the key, unless `expression` is an SPDX licence expression in its usual spelling."""
    try:
        check_spelling(expression)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def check_licence_text(purl: str, path: str, text: bytes) -> None:
    """UserError when a licence file of a source cannot be evidence of anything: it is empty, or no text."""
    try:
        check_text(text)
    except ValueError as error:
        raise UserError(f"{purl}: licence file {path!r} {error}; give the text of the licence, in UTF-8") from None


def check_sha256(text: str) -> None:
    """ValueError unless `text` is a SHA-256 in lower-case hexadecimal."""
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"sha256: expected 64 lower-case hexadecimal digits, got {text!r}")
