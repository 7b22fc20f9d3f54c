"""Keys: what decides an artifact's products, as one digest that is known before anything runs.

Of the code, its meaning decides: the digest is over the syntax tree, without comments, layout and docstrings, in a
spelling that every Python from 3.11 on agrees about. Which modules count follows from imports. What only says how to
run (progress, log, downloads, the machine's options) is handed to a stage by the pipeline, so no import leads there.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.artifact import digest

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_MEANING = ("ctx", "kind", "type_comment", "type_ignores")  # of nodes: told by their place, or by comments


def key(*, stage: str, config: Any, code: Mapping[str, str], inputs: Mapping[str, str]) -> str:
    """SHA-256 of what decides an artifact's products: stage, its config, its code and the keys of its inputs."""
    return digest({"stage": stage, "config": config, "code": digest(code), "inputs": inputs})


@functools.cache
def meaning(source: bytes) -> str:
    """SHA-256 of a module's syntax tree, the same for any layout, comments, docstrings and Python from 3.11 on.

    Docstrings count where the module itself reads one. Raises SyntaxError or ValueError for what is no Python, and
    RecursionError or MemoryError for what is nested too deeply.
    """
    tree = ast.parse(source)
    if not any("__doc__" in (getattr(node, "attr", ""), getattr(node, "id", "")) for node in ast.walk(tree)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
    return hashlib.sha256(spelled(tree).encode("ascii")).hexdigest()


def spelled(value: Any) -> str:
    """A syntax tree as text. Fields that are empty are left out, so one that a later Python adds changes nothing."""
    if isinstance(value, ast.JoinedStr):
        value = ast.JoinedStr(list(joined(value.values)))
    if isinstance(value, ast.AST):
        fields = ((name, getattr(value, name, None)) for name in sorted(value._fields) if name not in WITHOUT_MEANING)
        parts = (f"{name}={spelled(field)}" for name, field in fields if field is not None and field != [])
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, list):
        return f"[{','.join(map(spelled, value))}]"
    return ascii(value)


def joined(parts: list[ast.expr]) -> Iterator[ast.expr]:
    """The parts of an f-string, neighbouring constants as one and empty ones left out: Pythons divide them unalike."""
    text = ""
    for part in parts:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ast.Constant(text)
        text = ""
        yield part
    if text:
        yield ast.Constant(text)


def closure(module: Path, root: Path = ROOT) -> list[Path]:
    """Import closure: `module`, every module below `root` that it reaches, and the `.txt` of templates beside each."""
    reached, queue = set(), [module.resolve()]
    while queue:
        path = queue.pop()
        if path in reached:
            continue
        reached.add(path)
        files = (root.joinpath(*name.split(".")).with_suffix(".py") for name in imported(path.read_bytes()))
        queue.extend(file for file in files if file.is_file())
    return sorted([*reached, *filter(Path.is_file, (path.with_suffix(".txt") for path in reached))])


@functools.cache
def imported(source: bytes) -> tuple[str, ...]:
    """What a module imports of this library, and names that may be modules of it or things in them."""
    names: list[str] = []
    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.startswith("train."))


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a syntax tree but those below `if TYPE_CHECKING:`, which never run."""
    yield tree
    skipped = tree.body if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING" else []
    for child in ast.iter_child_nodes(tree):
        if child not in skipped:
            yield from running(child)
