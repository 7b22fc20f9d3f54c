"""The files of a folder on this machine: those that a source takes, and those that it passes over, counted by reason.

No link is followed, wherever it leads: what it shows may lie outside the folder, or be read already. What begins with a
dot is passed over unless a glob says the dot, and so are the folders that the program itself writes to.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from train.data.sources.archive import matches, name_problem
from train.data.sources.spec import FilesSource
from train.data.text.file_types import converter
from train.errors import UserError

SHOWN = 3  # names, or suffixes, that a line tells of each reason
WORDS = {"unmatched": "no `include` matches", "idle": "`exclude` fits no file:", "links": "links are not followed:",
         "hidden": "names with a dot:", "special": "no regular files:", "own": "written by this program:"}  # fmt: skip


@dataclass
class Listing:
    """Names relative to the folder; of a link, with where it leads."""

    taken: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)  # globs
    links: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)

    def passed_over(self) -> str:
        """What is not taken, in a line: how many of each kind and the first, or the commonest; empty where all is.

        What is in a form that no format reads is told what makes text of it.
        """
        parts = [f"{WORDS[kind]} {len(names)} ({examples(kind, names)})"
                for kind in WORDS if (names := getattr(self, kind))]  # fmt: skip
        suffixes = sorted({PurePosixPath(name).suffix.removeprefix(".").lower() for name in self.unmatched})
        return "; ".join([*parts, *filter(None, map(converter, suffixes))])


def examples(kind: str, names: Sequence[str]) -> str:
    """Some of `names`; of files that no glob takes, how many there are of each suffix."""
    shown = sorted(names)
    if kind == "unmatched":
        suffixes = Counter(PurePosixPath(name).suffix.lower() or PurePosixPath(name).name for name in shown)
        shown = [f"{count} {suffix}" if suffix.startswith(".") else suffix for suffix, count in suffixes.most_common()]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")


def listing(source: FilesSource, place: Path, own: Collection[Path] = ()) -> Listing:
    """What lies below the folder `place`, or that file alone.

    UserError when a name cannot be one of a source's, a licence is no regular file, or a glob means what no glob can.
    """
    root = place if place.is_dir() else place.parent
    check_licences(source, root)
    if not place.is_dir():
        if not place.is_file():
            raise UserError(f"{place} is neither a file nor a folder")
        if not matches(place.name, source.include, source.exclude):
            remedy = "name the folder that holds the texts, or correct `include`"
            raise UserError(f"{place} is a file that {list(source.include)} do not match; {remedy}")
        return Listing([place.name])
    dotted = [glob for glob in source.include if any(part.startswith(".") for part in glob.split("/"))]
    result, names = Listing(), []
    for name, kind in entries(root, bool(dotted), {path.resolve() for path in own}):
        if kind != "file":
            getattr(result, kind).append(name)
            continue
        names.append(name)
        hidden = any(part.startswith(".") for part in name.split("/"))
        if name in source.licence_files or matches(name, dotted if hidden else source.include, source.exclude):
            result.taken.append(name)
        elif not matches(name, source.exclude, ()):
            (result.hidden if hidden else result.unmatched).append(name)
    for name in result.taken:
        if problem := name_problem(name, 400):
            raise UserError(f"file {name!r} {problem}; rename or exclude it")
    check_globs((*source.include, *source.exclude), names)
    result.idle = [glob for glob in source.exclude if not any(matches(name, [glob], ()) for name in names)]
    return result


def check_licences(source: FilesSource, root: Path) -> None:
    """UserError for a licence file that a link leads to, or that is no regular file."""
    for name in source.licence_files:
        steps = [root / above for above in (PurePosixPath(name), *PurePosixPath(name).parents)][:-1]
        if any(step.is_symlink() for step in steps):
            raise UserError(f"the licence file {name!r} is a link, and links are not followed; put a copy in its place")
        if steps[0].exists() and not steps[0].is_file():
            raise UserError(f"the licence file {name!r} is no regular file; give the file that holds the text")


def entries(root: Path, dots: bool, own: Collection[Path]) -> Iterator[tuple[str, str]]:
    """Each name below `root` and what stands there: `file`, or the kind of what is passed over, with all in it."""

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        above, passed = Path(folder), set()
        for name in sorted([*folders, *files]):
            path = above / name
            shown = path.relative_to(root).as_posix()
            kind = (
                "links" if path.is_symlink() else "file" if path.is_file() else "folder" if path.is_dir() else "special"
            )
            if kind == "folder":
                kind = "own" if path.resolve() in own else "hidden" if name.startswith(".") and not dots else ""
                shown += "/"
            if kind:
                yield f"{shown} -> {os.readlink(path)}" if kind == "links" else shown, kind
                passed.add(name)
        folders[:] = sorted(set(folders) - passed)


def check_globs(globs: Sequence[str], names: Sequence[str]) -> None:
    """UserError for a glob that matches no name and holds signs that mean something elsewhere."""
    for glob in globs:
        if any(sign in glob for sign in "{}[]~") and not any(matches(name, [glob], ()) for name in names):
            raise UserError(
                f"the glob {glob!r} matches no file: ~, {{}} and [] mean only themselves; give a list of globs, in "
                "which * and ? stand for what is in a name and ** crosses folders"
            )
