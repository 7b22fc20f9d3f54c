"""Checks of the code: that it is all here, that it made what is here, in which environment, from which commit."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from train.artifact import Input, digest
from train.data.raw import repository_files
from train.differences import keys_apart
from train.keys import closure, meaning
from train.layout import ARTIFACTS, placed
from train.release import bundle, lock, repository
from train.release.differences import mismatch
from train.release.standards.osaid import COMPONENTS, SEARCH
from train.release.verify.result import NotChecked
from train.release.view import Release

PINNED = ("torch", "tokenizers", "safetensors", "numpy", "pyarrow")  # what the products pass through
STRANGE = 5  # files that are named


def components(release: Release) -> Iterator[str]:
    """The source code has each part that the definition names, and each is a program that can be read."""
    needed = ((item, f"code/{path}") for item, path in COMPONENTS.items())
    yield from (f"{path}: missing, which {item} asks for" for item, path in needed if path not in release.paths)
    meanings: dict[str, str] = {}
    for path in release.paths:
        if path.startswith("code/") and path.endswith(".py"):
            try:
                meanings[path] = meaning(release.bytes(path))
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                yield f"{path}: not a Python program ({error})"
    for name, record in release.provenance.items():
        code = code_of(release, name, meanings)
        yield from mismatch(f"provenance/{name}.json: made by other code than code/ holds", record.code, code)
        path, plain = f"logs/{name}/commitment.json", {path: release.products.get(f"code/{path}") for path in code}
        yield from mismatch(f"{path}: other sources than code/ holds", release.json(path).get("sources"), plain)
    about = release.config.release
    if not (about.trials or about.not_used.get(SEARCH, "").strip()):
        yield "hyper-parameter search: neither there nor declared as not used"


def code_of(release: Release, artifact: str, meanings: Mapping[str, str]) -> dict[str, str | None]:
    """What decided an artifact of the code here, by imports, which are read and not run: path -> meaning or digest."""
    root, module = release.path / "code", f"code/{ARTIFACTS[artifact].module}"
    reached = closure(release.path / module, root) if module in meanings else []
    paths = [path.relative_to(release.path).as_posix() for path in reached]
    raw = {"raw": release.config.data.raw, "benchmarks": release.config.benchmarks.raw}.get(artifact)
    read = [f"code/{path}" for path in repository_files(raw)]
    files = {path: meanings.get(path) for path in paths if path.endswith(".py")}
    files |= {path: release.products.get(path) for path in [*paths, *read] if path not in files}
    return {path.removeprefix("code/"): value for path, value in files.items()}


def environment(release: Release) -> Iterator[str]:
    """The libraries are pinned, each stage ran with what is pinned, and what the training ran on is recorded."""
    locked, project = release.text("code/requirements.lock"), release.text("code/pyproject.toml")
    pinned = {pin.name for pin in lock.pins(locked)}
    yield from (f"code/requirements.lock: {name} is not pinned" for name in PINNED if name not in pinned)
    for artifact in ARTIFACTS:
        installed = release.json(f"logs/{artifact}/run.json", "/packages")
        yield from (f"logs/{artifact}: {line}" for line in lock.unlike(locked, project, installed))
        if artifact == "weights":
            yield from (f"logs/weights: no version of {name}" for name in PINNED if name not in installed)


def chain(release: Release) -> Iterator[str]:
    """Keys, digests and commitments lead from each artifact to the next, and to every product that is here."""
    for name, record in release.provenance.items():
        path = f"provenance/{name}.json"
        if record.stage != name:
            yield f"{path}: the manifest of the stage {record.stage}"
        if record.inputs.keys() != set(ARTIFACTS[name].needs):
            yield f"{path}: made from {', '.join(record.inputs)}, not from what that stage needs"
        committed = f"logs/{name}/commitment.json"
        bound, manifest = release.json(committed, "/bound") | {"products": None}, {**asdict(record), "products": None}
        yield from mismatch(f"{path}: is not what was committed to in {committed}", manifest, bound)
        keys = {each: entry.key for each, entry in record.inputs.items()}
        decides = {"stage": name, "config": record.config, "code": digest(record.code), "inputs": keys}
        wrong = f"{path}: the key is not the digest of stage, config, code and inputs"
        yield from mismatch(wrong, record.key, digest(decides), "key")
        for each, entry in record.inputs.items():
            here = Input(release.provenance[each].key, release.provenance[each].digest)
            yield from mismatch(f"{path}: made from another {each}", vars(entry), vars(here))
        for product, listed in record.products.items():
            if place := placed(name, product):
                size = (release.path / place).stat().st_size if place in release.products else None
                there = {"sha256": release.products.get(place), "bytes": size}
                yield from mismatch(f"{place}: not what {name} made, by {path}", vars(listed), there)
    yield from release.written("provenance/chain.json")


def snapshot(release: Release) -> list[str]:
    """The code is that of the commit that it names, as far as this clone knows that commit."""
    ran = release.json("logs/release/commit.json")
    commit = str(ran.get("commit"))
    if not repository.COMMIT.fullmatch(commit) or ran.get("uncommitted_changes") is not False:
        raise NotChecked(f"it names no commit, or one with changes on top of it{strange(release)}")
    tree = repository.tree(bundle.ROOT, commit)
    if tree is None:
        raise NotChecked(f"this is no clone that knows {commit[:12]}, or git is not here{strange(release)}")
    code = [path for path in release.paths if path.startswith("code/") and path not in bundle.RESOLVED]
    here = {path: repository.blob(release.bytes(path), commit) for path in code}
    there = {f"code/{path}": blob for path, blob in tree.items() if bundle.belongs(path)}
    return [f"{path}: not as in {commit[:12]}" for path in keys_apart(here, there)]


def recipe(release: Release) -> Iterator[str]:
    """The overrides that the release names are those that lead to its config, by this clone's files of configs."""
    if foreign := [f"code/{path}" for path in bundle.other_files(release.path) if path.startswith("configs/")]:
        raise NotChecked(f"its configs are not those of this clone: {', '.join(foreign[:STRANGE])}")
    if release.overrides_of is None:
        raise NotChecked("only the command composes configurations")
    path = "code/overrides.json"
    yield from mismatch(path, release.json(path), release.overrides_of(release.json("code/config.json")))


def strange(release: Release) -> str:
    """The files of `code/` that are not as in this clone, as the end of a sentence."""
    foreign = [f"code/{path}" for path in bundle.other_files(release.path)]
    some = f"{', '.join(foreign[:STRANGE])}{' and others' if len(foreign) > STRANGE else ''}"
    return f"; what is not as in this clone, and what it does nobody looked at: {some}" if foreign else ""


def collected(release: Release) -> Iterator[str]:
    """The code's tests can be read, and what they import of it is there. Nothing is run: a stranger wrote them."""
    tests = 0
    for path in release.paths:
        if path.startswith("code/tests/") and path.endswith(".py"):
            tree = ast.parse(release.bytes(path))
            tests += sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in ast.walk(tree))
            wanted = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
            modules = sorted(name for name in wanted if name.startswith("train."))
            places = [(name, f"code/{name.replace('.', '/')}") for name in modules]
            yield from (f"{path}: imports {name}, which is not there" for name, place in places
                        if f"{place}.py" not in release.paths and not (release.path / place).is_dir())  # fmt: skip
    if not tests:
        yield "code/tests: no tests"


def installs(release: Release) -> list[str]:
    """The lock installs; what is not pinned alike in this clone, from wheels alone, which run no code of theirs."""
    own = bundle.ROOT / "requirements.lock"  # which an installed package has not
    ours = {pin.line for pin in lock.pins(own.read_text(encoding="utf-8"))} if own.is_file() else set()
    lock.install(release.path / "code" / "requirements.lock", release.scratch / "installed", ours)
    return []
