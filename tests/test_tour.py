"""The tour tells the truth: its commands run in its order, print what it shows, and its checks hold."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from train.keys import ROOT
from train.layout import regular_files
from train.release.bundle import belongs

CHAPTERS, MARK = 8, "=== ended "
PARTS = [
    f"**{part}**"
    for part in (
        "What it is for.", "What the definition asks.", "What went wrong elsewhere.", "Read", "Run", "Break",
        "Exercises",
    )
]  # fmt: skip


def tour() -> str:
    pages = [ROOT / "docs" / "tour.md", *sorted((ROOT / "docs").glob("[0-9]_*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def blocks(text: str) -> list[tuple[str, str]]:
    """What a shell is given, in order, and what must then appear; a check in Python must print nothing."""
    found = []
    for kind, body in re.findall(r"^```(console|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if kind == "python":
            found.append((f".venv/bin/python - <<'END'\n{body}END", ""))
            continue
        for command in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            whole = re.match(r".*<<'(\w+)'\n(?s:.*?)^\1\n|.*\n", command, re.MULTILINE)
            found.append((whole[0].rstrip(), command[whole.end() :]))
    return found


def agrees(shown: str, printed: str) -> bool:
    """Whether the text shown is the text printed, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in re.split(r"\.\.\.", shown.strip()))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.fixture
def clone(tmp_path) -> Path:
    """A copy of this repository's source code, whose environment is the one that the tests run in."""
    for name in filter(belongs, ours()):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / "complete").touch()
    return tmp_path


def ours() -> list[str]:
    folders = [path.name for path in ROOT.iterdir() if path.is_dir() and belongs(path.name)]
    below = [f"{folder}/{name}" for folder in folders for name in regular_files(ROOT / folder)]
    return [path.name for path in ROOT.iterdir() if path.is_file()] + below


@pytest.mark.slow
def test_every_command_prints_what_the_tour_shows_and_every_check_holds(clone):
    given = blocks(tour())
    script = "".join(f"{command}\nprintf '\\n{MARK}%s\\n' $?\n" for command, _ in given)
    (clone / ".venv" / "tour.sh").write_text(script)
    own = ("MAKE", "MFLAGS", "RECIPE", "RELEASE", "PROMPT", "SEGMENT", "ARGS", "RUN")  # of a `make test` around this
    settings = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    done = subprocess.run(
        ["bash", ".venv/tour.sh"], cwd=clone, env={**settings, "OMP_NUM_THREADS": "1"}, text=True, timeout=1800,
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    printed = re.split(rf"^{MARK}\d+\n", done.stdout, flags=re.MULTILINE)[:-1]
    assert len(printed) == len(given), done.stdout
    for (command, shown), text in zip(given, printed, strict=True):
        assert agrees(shown, text), f"{command}\n--- shown\n{shown}\n--- printed\n{text}"


def test_the_comparison_can_fail():
    assert agrees("kept  ... in ... s\n", "kept  runs/a in 2.1 s\n\n")
    assert agrees("first\n...\nlast\n", "first\n1\n2\nlast\n") and not agrees("first\nlast\n", "first\n1\nlast\n")
    assert not agrees("", "AssertionError\n") and not agrees("a.b ...\n", "axb 1\n")


def test_a_block_gives_its_commands_with_what_they_print():
    text = "```console\n$ one\na\nb\n$ two <<'END'\nin\nEND\nc\n```\n\n```python\nassert 1\n```\n\n"
    text += "```\n$ not run\n```\n"
    check = ".venv/bin/python - <<'END'\nassert 1\nEND"
    assert blocks(text) == [("one", "a\nb\n"), ("two <<'END'\nin\nEND", "c\n"), (check, "")]


def test_eight_chapters_have_every_part_and_two_exercises_with_checks():
    chapters = re.split(r"^# \d\. ", tour(), flags=re.MULTILINE)[1:]
    assert len(chapters) == CHAPTERS
    for chapter in chapters:
        places = [chapter.find(part) for part in PARTS]
        assert -1 not in places and places == sorted(places), chapter.splitlines()[0]
        exercises = chapter[places[-1] :]
        assert len(re.findall(r"^[12]\. ", exercises, re.MULTILINE)) == 2, chapter.splitlines()[0]
        assert len(re.findall(r"^```(?:console|python)$", exercises, re.MULTILINE)) == 2, chapter.splitlines()[0]


def test_what_the_tour_names_is_there():
    named = re.findall(r"`((?:train|scripts|configs|data_cards|tests)/[\w./]+)`", tour())
    assert named and {path for path in named if not (ROOT / path).exists()} == set()
    for name, path in re.findall(r"`(\w+)`\s+in\s+`(train/[\w/]+\.py)`", tour()):
        assert re.search(rf"^(?:\s*def {name}\(|class {name}\b|{name} = )", (ROOT / path).read_text(), re.M), name
