"""Make a project of your own from this checkout: `python scripts/fork.py our_text "Our text" ../our_text`.

The folder gets every file that git tracks here, and new ones under the project's name: a data config and its card to
fill in, a tiny recipe, what people say of its releases, citation, notice, a check for public forges, and how to take
over later changes. Code stays as it is, so that those changes fit. A fork is forked in the same way.
"""

import argparse
import json
import re
import shutil
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(ROOT))

from train.errors import UserError
from train.release import repository
from train.terminal import guarded

TEMPLATE = "my_text"  # the name of the data config, card and recipe that are copied under the project's name
NO_TEXT = frozenset(["yes", "no", "on", "off", "true", "false", "null", "nan", "inf"])  # to YAML 1.1 or to Hydra
LATER = "train scripts tests configs data_cards docs README.md Makefile pyproject.toml requirements.lock .ci"


@dataclass(frozen=True)
class Project:
    name: str
    title: str
    authors: str  # who hold the rights
    day: str
    parent: str  # what it is made from: title, version and commit


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("name", help="of recipe, data config and releases: small letters, digits and underscores")
    parser.add_argument("title", help="as people read it")
    parser.add_argument("destination", type=Path, help="a folder that is not there yet, or empty")
    parser.add_argument("--authors", help="who hold the rights (default: The TITLE maintainers)")
    asked = parser.parse_args(arguments)
    authors = asked.authors if asked.authors is not None else f"The {asked.title} maintainers"
    refuse(asked.name, asked.title, authors, asked.destination)
    project = Project(asked.name, asked.title, authors, date.today().isoformat(), parent())
    bake(project, asked.destination.absolute())
    print(f"{asked.title} is in {asked.destination}. Its README.md begins with what to do for a first release.")


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
    """This checkout in a few words."""
    cited = dict(re.findall(r"(?m)^(title|version): (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8")))
    title = json.loads(cited["title"]) if cited["title"].startswith('"') else cited["title"]
    commit = repository.commit(ROOT) or "none"
    changed = " with changes that were not committed" if repository.git(ROOT, "status", "--porcelain") else ""
    return f"{title.partition(':')[0]} {cited['version']}, commit {commit}{changed}"


def bake(project: Project, destination: Path) -> None:
    """Write the project, whole or not at all."""
    tracked = [name for name in (repository.git(ROOT, "ls-files", "-z") or "").split("\0") if name]
    if "pyproject.toml" not in tracked:
        raise UserError(f"{ROOT}: not a git checkout, or git is not here; install it, clone the repository, fork there")
    if gone := [name for name in tracked if not (ROOT / name).is_file()]:
        raise UserError(f"{gone[0]}: tracked by git and not there; `git checkout -- {gone[0]}` brings it back")
    aside = destination.with_name(f".{destination.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
    try:
        for name in tracked:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, aside / name)
        for name, text in written(project).items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_text(text, encoding="utf-8")
        repository.git(aside, "init", "--quiet")
        repository.git(aside, "add", "--all")  # a commit is its people's own
        aside.rename(destination)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def written(project: Project) -> dict[str, str]:
    """Path -> text of each file that is new or another in the project."""
    name, title = project.name, project.title
    named = {path: (ROOT / path.format(TEMPLATE)).read_text(encoding="utf-8") for path in (
        "configs/data/{}.yaml", "configs/recipe/{}.yaml", "data_cards/{}.md")}  # fmt: skip
    new = {
        path.format(name): text.replace("my-text", name.replace("_", "-")).replace(TEMPLATE, name)
        for path, text in named.items()
    }
    head = f"# The texts of {title}. Replace what says TODO here and in data_cards/{name}.md.\n"
    new[f"configs/data/{name}.yaml"] = head + re.sub(r"\A(#.*\n)*", "", new[f"configs/data/{name}.yaml"])
    recipe = new[f"configs/recipe/{name}.yaml"]
    new[f"configs/recipe/{name}.yaml"] = recipe.replace(
        "\ndefaults:\n", f"\ndefaults:\n  - override /release: {name}\n"
    )
    new[f"configs/release/{name}.yaml"] = release(project)
    for path, line, own in (
        ("Makefile", "RECIPE ?= .*", f"RECIPE ?= {name}"),
        ("configs/recipe/reference.yaml", "# command: make release", "# command: make release RECIPE=reference"),
    ):
        new[path] = re.sub(f"(?m)^{line.replace('?', '[?]')}$", own, (ROOT / path).read_text(encoding="utf-8"))
    new["README.md"] = readme(project)
    project_file = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for key, value in (("name", name), ("version", "0.1.0"), ("description", f"{title}: a fully open language model")):
        line = f"{key} = {quoted(value)}".replace("\\", r"\\")
        project_file = re.sub(rf"(?m)^{key} = .*$", line, project_file, count=1)
    new["pyproject.toml"] = project_file
    new["CITATION.cff"] = citation(project)
    notice = ROOT / "NOTICE"
    before = notice.read_text(encoding="utf-8") if notice.exists() else "Pellucid\nCopyright The Pellucid maintainers\n"
    new["NOTICE"] = f"{title}\nCopyright {project.day[:4]} {project.authors}\n\nMade from:\n\n{before}"
    new["CHANGELOG.md"] = f"# Changes\n\n## 0.1.0 ({project.day})\n\nMade from {project.parent}.\n"
    new["UPGRADE.md"] = upgrade(project)
    new[".github/workflows/check.yml"] = FORGE
    return new


def quoted(text: str) -> str:
    """`text` as YAML and TOML hold it."""
    return json.dumps(text, ensure_ascii=False)


def release(project: Project) -> str:
    """What people say of the project's releases; what is not said here is as by default."""
    statements = {
        "description": "The data card, the ledger and the code tell all that is needed to build this data again.",
        "licence claims": "The data card tells who read which licence; it is believed to cover the texts.",
        "completeness": "The model was trained from a random start on the listed sources and on nothing else.",
    }
    signed = f"    name: {quoted(project.authors)}\n    date: {quoted(project.day)}\n"
    said = "".join(f"  - item: {item}\n    text: {quoted(text)}\n{signed}" for item, text in statements.items())
    return f"""# What people say of the releases of {project.title}. Read it: whoever makes a release says this.
defaults:
  - default
  - _self_

version: 0.1.0
title: {quoted(project.title)}
description: >-
  A small language model that was trained in the open: data, code, settings, every stage on the way and this release
  can be checked by a program and made again, byte for byte, by anyone.
authors: [{quoted(project.authors)}]
contact: the maintainers of the repository that you cloned
date: {quoted(project.day)}
statements: # what no machine can decide
{said}"""


def readme(project: Project) -> str:
    """The README with a beginning of the project's own."""
    before = (ROOT / "README.md").read_text(encoding="utf-8")
    _, promise, rest = before.partition("**The promise:**")
    name = project.name
    return f"""# {project.title}

A fully open language model: data, code, settings and every stage on the way to its releases. Made from
{project.parent}.

A first release, from texts of your own:

1. Put the texts, and the text of their licence as `LICENSE`, into a folder `{name}` here.
2. Replace what says TODO in `configs/data/{name}.yaml` and `data_cards/{name}.md`; before that nothing is trained.
3. Read `configs/release/{name}.yaml`: it is said in your name.
4. `make release RECIPE={name}`. The first run ends with the digest of the texts, to be written into the data config;
   the next one makes the release and verifies it.

{promise}{rest if promise else before}"""


def citation(project: Project) -> str:
    """`CITATION.cff`, which names what the project is made from."""
    before = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = re.search(r"^title: .*$", before, re.M)
    authors = re.search(r"^authors:\n((?:  - .*\n)+)", before, re.M)
    whose = re.sub(r"(?m)^", "    ", authors[1]).rstrip(" ") if authors else ""
    return f"""cff-version: 1.2.0
message: If you use this project, please cite it.
type: software
title: {quoted(f"{project.title}: a fully open language model")}
version: 0.1.0
date-released: "{project.day}"
license: Apache-2.0
authors:
  - name: {quoted(project.authors)}
references:
  - type: software
    {cited[0] if cited else "title: its parent"}
    authors:
{whose}"""


def upgrade(project: Project) -> str:
    return f"""# To take over later changes

This project was made from {project.parent}.

With THEIRS a clone of that repository, and COMMIT the one named above:

    git -C THEIRS diff COMMIT HEAD -- {LATER} > later.patch
    git apply --3way later.patch
    make check
    make test

Conflicts can only be where a file was changed on both sides. Then write the new commit above, for the next time.
"""


FORGE = """# For GitHub, and for Forgejo and Gitea, which read this folder too: what the README tells people to run.
name: check
on: [push, pull_request]
permissions: {contents: read}
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.11"}
      - run: .ci/run
"""


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
