"""Facts about the repository itself: layers, doors, names, and that the README tells the truth."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(ROOT.glob("train/**/*.py"))
TOP = {"train", "configs", "data_cards", "scripts", "tests", "docs", ".ci", ".github"}

# What each layer may import; imports point down only.
GROUND = {
    "artifact", "config", "differences", "errors", "humanize", "initial", "keys", "layout", "machine", "unicode",
    "world",
}  # fmt: skip
LICENCES = {"spdx", "licences"}
ROOMS = {"data", "model", "training", "explore", "inference", "evaluation"}
LAYERS = {
    "errors": set(), "config": {"artifact", "errors"}, "unicode": set(), "differences": set(), "humanize": set(),
    "programs": set(), "layout": {"artifact"},
    "machine": {"config"}, "world": {"machine"},
    "artifact": {"errors"}, "keys": {"artifact"}, "initial": {"artifact", "differences", "errors"},
    "spdx": {"errors"}, "licences": {"spdx"},
    "terminal": {"errors", "unicode"}, "workers": {"errors", "machine", "programs", "world"},
    "exact": GROUND, "premises": GROUND | {"exact"}, "kernels": GROUND | {"exact"},
    "model": GROUND | {"exact", "kernels"}, "data": GROUND | {"programs", "spdx", "data"},
    "training": GROUND | {"exact", "premises", "kernels", "data", "model", "training"},
    "explore": GROUND | {"data", "training", "explore"},
    "inference": GROUND | {"exact", "data", "model", "training", "explore", "inference"},
    "evaluation": GROUND | {"exact", "kernels", "data", "model", "training", "inference", "evaluation"},
    "release": GROUND | LICENCES | ROOMS | {"programs", "release", "terminal"},
    "compose": GROUND | {"data", "release"}, "__main__": {"cli"},
    "cli": {"errors", "unicode", "terminal", "release"},
    "commands": GROUND | ROOMS | {"programs", "release", "compose", "pipeline", "terminal", "commands"},
    "pipeline": GROUND | LICENCES | ROOMS | {"workers", "release"},
}  # fmt: skip
DOORS = {
    "cryptography", "datasets", "huggingface_hub", "jinja2", "license_expression", "pyarrow", "pypi_simple", "ray",
    "safetensors", "tiktoken", "tokenizers", "wandb", "yaml", "zstandard",
}  # fmt: skip
# What the hub lists is in a key; how files come from it and a release gets there is not: modules of their own.
MORE_DOORS = {"huggingface_hub": 3, "yaml": 2}
# Words that name no value: what it is, a noun says.
WORDS = re.compile("_?(apart|asked|found|given|made|mine|somebody|somewhat|theirs|those|told|whoever)")


@functools.cache
def imports(path: Path) -> list[str]:
    """Every module that a file imports, at any depth of its code."""
    found = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def upward(path: Path) -> list[str]:
    """Imports of `path` that do not point down."""
    own = path.relative_to(ROOT).with_suffix("").parts[1]
    names = (name for name in imports(path) if name.startswith("train.") and own != "__init__")
    return [name for name in names if name.split(".")[1] not in LAYERS.get(own, set())]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    assert upward(path) == []


def test_the_layer_check_can_fail(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    wrong = tmp_path / "train" / "data" / "wrong.py"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("from train.model import Transformer\nfrom train.data import schema\n")
    assert upward(wrong) == ["train.model.Transformer"]


def importers(paths: list[Path], *libraries: str) -> list[str]:
    """The files that import one of these libraries."""
    return [path.name for path in paths if any(name.split(".")[0] in libraries for name in imports(path))]


def test_each_heavy_library_has_one_door():
    doors = {library: importers(MODULES, library) for library in DOORS}
    assert all(len(paths) <= MORE_DOORS.get(name, 1) for name, paths in doors.items()), doors


def test_one_module_knows_hydra():
    assert importers([*MODULES, *ROOT.glob("scripts/*.py")], "hydra", "omegaconf") == ["compose.py"]


def test_packages_hold_docstrings_only_because_keys_leave_them_out():
    for path in ROOT.glob("train/**/__init__.py"):
        body = ast.parse(path.read_bytes()).body
        assert len(body) == 1 and ast.get_docstring(ast.parse(path.read_bytes())), path


def test_no_script_is_named_like_a_module_it_would_hide():
    import sys

    names = {path.stem for path in ROOT.glob("scripts/*.py")}
    assert not names & (set(sys.stdlib_module_names) | {"train"})


def no_nouns(source: str | bytes) -> list[str]:
    """The identifiers of a program that are words which name no value."""
    fields = ((node, name) for node in ast.walk(ast.parse(source)) for name in ("id", "arg", "name", "asname"))
    return [name for node, field in fields if WORDS.fullmatch(name := str(getattr(node, field, "")))]


def test_values_are_called_by_nouns():
    for program in ("{} = 1", "for {} in x: 1", "f = lambda {}: 0", "def _{}(): 1", "import x as {}"):
        assert no_nouns(program.format("found")) and not no_nouns(program.format("founder"))
    assert not [path for path in (*MODULES, *ROOT.glob("scripts/*.py")) if no_nouns(path.read_bytes())]


def test_top_level_is_fixed():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    configs = "".join(path.read_text() for path in ROOT.glob("configs/data/*.yaml"))
    private = {".git", ".venv", "runs", "releases", *re.findall(r"^ +path: (\w+)", configs, re.M)}  # folders of texts
    assert {f for f in folders - TOP - private if not f.endswith("_cache") and f != "__pycache__"} == set()


def unsafe(path: Path) -> set[str]:
    """What a file imports or calls that runs what it reads, or another program, for which there is one door."""
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)}
    libraries = {name.split(".")[0] for name in imports(path)}
    found = {"pickle", "shelve", "marshal", "pty"} & libraries | {"eval", "exec"} & calls
    programs = {name for name in calls if re.match(r"os\.(system|popen|spawn|exec|posix_spawn)", name)}
    return found if path.parent.name == "scripts" else found | {"subprocess"} & libraries | programs


def test_nothing_unsafe_and_no_index_host_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    for number, line in enumerate(("import pickle", "import subprocess", "import os; os.system('x')", "eval('1')")):
        (tmp_path / f"train/{number}.py").write_text(line)
        assert unsafe(tmp_path / f"train/{number}.py")
    hosts = ["pypi" + ".org", "pythonhosted" + ".org"]
    found = {path.relative_to(ROOT).as_posix(): unsafe(path) for path in [*MODULES, *ROOT.glob("scripts/*.py")]}
    assert {name: words for name, words in found.items() if words} == {"train/programs.py": {"subprocess"}}
    documents = [path for path in ROOT.iterdir() if path.is_file()]
    for path in [*MODULES, *documents, *ROOT.glob("configs/**/*.yaml"), *ROOT.glob("data_cards/*")]:
        assert not any(host in path.read_text() for host in hosts), path


def test_every_recipe_says_what_it_takes_and_how_to_run_it():
    default = re.search(r"^RECIPE \?= (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    for path in (ROOT / "configs" / "recipe").glob("*.yaml"):
        head = [line for line in path.read_text().split("\n\n")[0].splitlines() if line.startswith("#")]
        text = "\n".join(head)
        for word in ("hardware:", "time:", "memory:", "score:", "command:"):
            assert word in text, f"{path.name}: {word}"
        command = re.search(r"command: (.+)", text)[1]
        assert command in (f"make release RECIPE={path.stem}", "make release" if path.stem == default else "")


README, CODE = (ROOT / "README.md").read_text(), (ROOT / "docs/code.md").read_text()


def test_readme_commands_are_targets():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    used = set(re.findall(r"^make ([a-z]+)", README, re.M))
    assert {"release", "test"} <= used <= targets


def test_docs_show_the_table_as_it_is():
    from train.pipeline import STAGES

    rows = re.findall(r"^\| `(\w+)` \| `([\w/.]+)` (\w+) \| ([^|]*) \|", CODE, re.M)
    found = [(name, path, verb, needs.strip()) for name, path, verb, needs in rows]
    module = lambda stage: stage.make.__module__.removeprefix("train.").replace(".", "/") + ".py"  # noqa: E731
    wanted = [(s.name, module(s), s.make.__name__, ", ".join(s.needs)) for s in STAGES]
    assert found == wanted


def test_docs_name_every_room_and_nothing_that_is_not_there():
    text = "".join(path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/[a-z]*.md")))
    named = set(re.findall(r"`((?:train|scripts|configs|tests|data_cards)/[\w/.]*)`", text))
    assert {path for path in named if not (ROOT / path).exists()} == set()
    assert {path.parent.relative_to(ROOT).as_posix() + "/" for path in MODULES} <= named


def recipes():
    """The table of recipes, as their heads and their configurations tell it."""
    from train.compose import compose
    from train.config import build
    from train.humanize import brief
    from train.model import ModelConfig
    from train.training.budget import needs
    from train.training.loop import FitConfig, TrainingConfig

    yield "| recipe | parameters | hardware | time | memory | score |"
    yield "|---|---|---|---|---|---|"
    for name in ("tiny", "reference", "my_text", "shakespeare", "gpu", "cluster"):
        head = (ROOT / "configs/recipe" / f"{name}.yaml").read_text().partition("\n\n")[0]
        config = compose([f"recipe={name}"])
        fit = FitConfig(build(ModelConfig, config["model"]), build(TrainingConfig, config["training"]))
        size = brief(needs(fit, config["tokenizer"]["vocabulary"], 1).parameters)
        told = {key: re.search(rf"# {key}: (.*)", head)[1] for key in ("hardware", "time", "memory", "score")}
        cells = [text if key == "score" else text.partition(";")[0] for key, text in told.items()]
        yield f"| `{name}` | {size} | {' | '.join(cells)} |"


def test_the_readme_tells_of_each_recipe_what_its_head_tells():
    table = "\n".join(recipes())
    assert table in README, f"README.md: under `## Recipes` should stand\n{table}"


def test_the_readme_shows_how_verify_ends_and_says_where_everything_else_stands():
    from train.release.standards.osaid import RUNGS

    assert all(f"  {rung.name:<10}  {rung.establishes}" in README for rung in RUNGS)
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
        assert all((path.parent / link).is_file() for link in links), (path, links)
    assert (ROOT / "docs/release.svg").stat().st_size < 150_000
