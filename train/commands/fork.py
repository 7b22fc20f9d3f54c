"""`pellucid fork`: a project of one's own from this source tree.

The folder gets every file that git tracks here, those of submodules too, and new ones under the project's name
(`written`). Code stays as it is, so that later changes fit. A fork is forked in the same way.
"""

import argparse
import json
import re
import shlex
import shutil
import stat
from datetime import date
from pathlib import Path
from string import Template

from train.artifact import whole_folder
from train.errors import UserError
from train.release import repository

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = Path(__file__).with_name("project")
TEMPLATE = "my_text"  # the name of the data config, card and recipe that are copied under the project's name
NO_TEXT = frozenset(["yes", "no", "on", "off", "true", "false", "null", "nan", "inf"])  # to YAML 1.1 or to Hydra
LATER = "train scripts tests configs data_cards docs README.md Makefile pyproject.toml requirements.lock .ci"
RELEASES, FORGE = "configs/release/{}.yaml", ".github/workflows/check.yml"


def run(args: argparse.Namespace) -> dict[str, str]:
    authors = args.authors if args.authors is not None else f"The {args.title} maintainers"
    refuse(args.name, args.title, authors, args.destination)
    bake(args.name, args.title, authors, args.destination.absolute())
    return {"title": args.title, "folder": str(args.destination)}


def refuse(name: str, title: str, authors: str, destination: Path) -> None:
    """UserError when a name cannot be one, or the folder is not free."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,38}[a-z0-9]", name):
        expected = "2 to 40 small letters, digits and underscores, a letter first and no underscore last"
        raise UserError(f"NAME: expected {expected}, got {name!r}")
    if name in NO_TEXT:
        raise UserError(f"NAME: {name!r} is not text to YAML, which takes it for a value of its own; choose another")
    for group in ("data", "recipe", "release"):
        if (ROOT / "configs" / group / f"{name}.yaml").exists():
            raise UserError(f"NAME: '{name}' is taken by configs/{group}/{name}.yaml; choose another")
    for what, text in (("TITLE", title), ("authors", authors)):
        if not text.strip() or len(text) > 100 or not text.isprintable() or "${" in text or "TODO" in text:
            raise UserError(f"{what}: expected a line of 1 to 100 characters, without '${{' and TODO, got {text!r}")
    where = destination.resolve()
    if where == ROOT or ROOT in where.parents or where in ROOT.parents or str(destination) == ".":
        raise UserError(f"DEST: expected a folder beside this checkout, got '{destination}'")
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise UserError(f"DEST: '{destination}' is there and not empty; give a new folder")


def parent() -> str:
    """Title, version and commit of this checkout."""
    cited = dict(re.findall(r"(?m)^(title|version): (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8")))
    title = json.loads(cited["title"]) if cited["title"].startswith('"') else cited["title"]
    commit = repository.commit(ROOT) or "none"
    changed = " with changes that were not committed" if repository.git(ROOT, "status", "--porcelain") else ""
    return f"{title.partition(':')[0]} {cited['version']}, commit {commit}{changed}"


def bake(name: str, title: str, authors: str, destination: Path) -> None:
    """Write the project, whole or not at all."""
    listed = repository.git(ROOT, "ls-files", "-z", "--recurse-submodules") or ""
    tracked = [path for path in listed.split("\0") if path]
    if "pyproject.toml" not in tracked:
        why = "not a git checkout, or git is not here; install it, clone the repository, fork there"
        raise UserError(f"{ROOT}: {repository.distrusted(ROOT) or why}")
    links = {path for path in tracked if (ROOT / path).is_symlink()}
    if gone := [path for path in tracked if path not in links and not (ROOT / path).is_file()]:
        bring = "submodule update --init" if (ROOT / gone[0]).is_dir() else "checkout"
        remedy = f"`git {bring} -- {shlex.quote(gone[0])}` brings it back"
        raise UserError(f"{gone[0]}: tracked by git and not there; {remedy}")
    with whole_folder(destination) as aside:
        new = written(name, title, authors)
        for path in (*new, *(path for path in tracked if path not in new)):
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            if path in new:
                (aside / path).write_text(new[path], encoding="utf-8")
            elif path != ".gitmodules":  # the files of submodules are the project's own
                shutil.copy2(ROOT / path, aside / path, follow_symlinks=False)
                if path not in links:  # what may be read alone here is to be edited there
                    (aside / path).chmod((ROOT / path).stat().st_mode | stat.S_IWUSR)
        for words in (["init", "--quiet"], ["add", "--all"]):  # a commit is its people's own
            if repository.git(aside, *words) is None:
                raise UserError(f"{destination}: `git {' '.join(words)}` failed there; try another place")


def written(name: str, title: str, authors: str) -> dict[str, str]:
    """Path -> text of each file that is new or another in the project."""
    new = {}
    for path in ("configs/data/{}.yaml", "configs/recipe/{}.yaml", "data_cards/{}.md"):
        text = here(path.format(TEMPLATE))
        new[path.format(name)] = text.replace("my-text", name.replace("_", "-")).replace(TEMPLATE, name)
    data, recipe = f"configs/data/{name}.yaml", f"configs/recipe/{name}.yaml"
    head = f"# The texts of {title}. Replace what says TODO here and in data_cards/{name}.md.\n"
    new[data] = head + re.sub(r"\A(#.*\n)*", "", new[data])
    new[recipe] = new[recipe].replace("\ndefaults:\n", f"\ndefaults:\n  - override /release: {name}\n")
    for path, line, own in (
        ("Makefile", r"RECIPE \?= .*", f"RECIPE ?= {name}"),
        ("configs/recipe/reference.yaml", "# command: make release", "# command: make release RECIPE=reference"),
    ):
        new[path] = re.sub(f"(?m)^{line}$", own, here(path))
    project = f"{title}: a fully open language model"
    new["pyproject.toml"] = here("pyproject.toml")
    for key, value in (("name", name), ("version", "0.1.0"), ("description", project)):
        line = f"{key} = {quoted(value)}".replace("\\", r"\\")
        new["pyproject.toml"] = re.sub(rf"(?m)^{key} = .*$", line, new["pyproject.toml"], count=1)
    day, origin = date.today().isoformat(), parent()
    notice = here("NOTICE") if (ROOT / "NOTICE").exists() else "Pellucid\nCopyright The Pellucid maintainers\n"
    new["NOTICE"] = f"{title}\nCopyright {day[:4]} {authors}\n\nMade from:\n\n{notice}"
    new["CHANGELOG.md"] = f"# Changes\n\n## 0.1.0 ({day})\n\nMade from {origin}.\n"
    cited, readme = here("CITATION.cff"), here("README.md")
    whose = re.search(r"^authors:\n((?:  - .*\n)+)", cited, re.M)
    words = {
        "name": name, "title": title, "day": day, "parent": origin, "later": LATER, "quoted_title": quoted(title),
        "quoted_authors": quoted(authors), "quoted_project": quoted(project),
        "promise": "".join(readme.partition("**The promise:**")[1:]).rstrip("\n") or readme.rstrip("\n"),
        "parent_title": (re.findall(r"^title: .*$", cited, re.M) or ["title: its parent"])[0],
        "parent_authors": re.sub(r"(?m)^", "    ", whose[1]).rstrip() if whose else "",
    }  # fmt: skip
    for path in (RELEASES.format(name), "README.md", "CITATION.cff", "UPGRADE.md", FORGE):
        template = TEMPLATES / {RELEASES.format(name): "release.yaml"}.get(path, Path(path).name)
        new[path] = Template(template.read_text(encoding="utf-8")).substitute(words)
    return new


def here(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def quoted(text: str) -> str:
    """`text` as YAML and TOML hold it."""
    return json.dumps(text, ensure_ascii=False)
