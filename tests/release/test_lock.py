"""The lock: read, compared with what was installed, and fit for every Python that the project names."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distributions

import pytest
from conftest import ROOT, refusal
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from train.release.lock import CUDA, Pin, asked_for, normal, pins, unlike

LOCK = (ROOT / "requirements.lock").read_text()
SHA = f"--hash=sha256:{'0' * 64}"
PYTHONS = ("3.11.2", "3.11.14", "3.12.0", "3.13.0", "3.14.0")
PROJECT = (ROOT / "pyproject.toml").read_text()
OLDEST = tomllib.loads(PROJECT)["project"]["requires-python"].removeprefix(">=")


@pytest.mark.parametrize("line", [
    f"torch==2.13.0 {SHA}",
    f"Torch_x.y==2.13.0+cpu {SHA} --hash=sha256:{'a' * 64}",
    f"soupsieve==2.10 ; python_full_version < '3.11.5' {SHA}",
    f"a==1!2.0rc1 ; (sys_platform == 'linux' or platform_machine != \"x\") and python_version >= '3.12' {SHA}",
])  # fmt: skip
def test_a_pin_is_read(line):
    assert [pin.line for pin in pins(f"# about\n\n{line}\n")] == [line]


@pytest.mark.parametrize("line", [
    "torch==2.13.0", "torch==2.13.0 --hash=md5:00", f"torch==2.13.0 {SHA[:-1]}", f"torch>=2 {SHA}", f"torch {SHA}",
    f"torch @ file:///x {SHA}", "-e .", "--index-url http://localhost/x", f"--find-links . torch==1 {SHA}",
    f"torch==1 ; python_version < '3' --index-url x {SHA}", f"torch==1 {SHA} --config-settings=x", "-r other.txt",
    f"torch==1 {SHA} # --hash", f"./torch==1 {SHA}", f"torch==1 \\\n    {SHA}", f"torch[x]==1 {SHA}", "http://x/y.whl",
])  # fmt: skip
def test_a_line_that_is_no_pin_is_refused_by_name(line):
    refusal(pins, f"a==1 {SHA}\n{line}\n", match="is no pinned package with the digests of its files")


@pytest.mark.parametrize(("package", "version", "pinned"), [
    ("torch", "2.13.0", None), ("torch", "2.13.0+cpu", None), ("torch", "2.13.0+cu130", None),
    ("Torch", "2.14.0", "2.13.0"), ("torch", "2.13.0.post1", "2.13.0"), ("torch", "2.14.0+cpu", "2.13.0"),
    ("torch", "2.13", "2.13.0"), ("py_arrow.x", "26.0", None), ("py-arrow-x", "26.0", None),
    ("PY.arrow_X", "25.0", "26.0"), ("local", "1+ours", None), ("local", "1", "1+ours"),
    ("pycld2", "0.41", "0.42"), ("soupsieve", "9", None), ("pytest", "9", None), ("not-pinned", "9", None),
])  # fmt: skip
def test_versions_of_what_the_project_asks_for_are_compared_with_the_lock(package, version, pinned):
    asked = 'dependencies = ["torch==2.13.0", "Py.arrow_X[all]>=2", "local ; python_version > \'3\'", "not_pinned"]\n'
    extras = '[project.optional-dependencies]\nlanguage = ["pycld2>=0.4"]\ndev = ["pytest"]\n'
    lines = ("torch==2.13.0", "Py-Arrow_X==26.0", "local==1+ours", "pycld2==0.42 ; python_version < '3.14'",
             "soupsieve==2.10", "pytest==9.2")  # fmt: skip
    told = unlike("\n".join(f"{line} {SHA}" for line in lines), f"[project]\n{asked}{extras}", {package: version})
    name = package.lower().replace("_", "-").replace(".", "-")
    assert told == ([f"{name} {version} was installed, requirements.lock pins {pinned}"] if pinned else [])


@pytest.mark.parametrize("project", ["", "[project]", "x", "project = 1", "[project]\ndependencies = 1", "\x00"])
def test_a_project_that_tells_no_dependencies_is_refused(project):
    refusal(asked_for, project, match=r"pyproject\.toml: tells no dependencies")


def test_this_environment_is_what_the_lock_pins():
    assert {"torch", "pyarrow", "pypi-simple", "pycld2"} <= asked_for(PROJECT)
    project = tomllib.loads(PROJECT)["project"]
    wanted = map(Requirement, project["dependencies"] + project["optional-dependencies"]["dev"])
    assert {normal(each.name) for each in wanted} <= {normal(pin.name) for pin in pins(LOCK)}
    assert unlike(LOCK, PROJECT, {found.metadata["Name"]: found.version for found in distributions()}) == []


def target(python: str, system: str) -> Environment:
    """The environment in which markers are read, for another Python and system."""
    other = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2]), "extra": ""}
    platform = {"linux": "Linux", "darwin": "Darwin"}[system]
    return {**default_environment(), **other, "sys_platform": system, "platform_system": platform}  # type: ignore


def pins_for(text: str, python: str, system: str) -> list[Pin]:
    """The pins that hold for a Python and a system. (pip reads markers for the Python that runs it.)"""
    wanted = [(pin, Requirement(pin.line.partition(" --hash")[0]).marker) for pin in pins(text)]
    return [pin for pin, marker in wanted if marker is None or marker.evaluate(dict(target(python, system)))]


def unfit(text: str, python: str, system: str) -> list[str]:
    """What the pins for a Python and a system lack, as the metadata of those that are installed here tell."""
    here: dict[tuple[str, str], Distribution] = {
        (normal(d.metadata["Name"]), d.version.partition("+")[0]): d for d in distributions()
    }
    active = [Requirement(pin.line.partition(" --hash")[0]) for pin in pins_for(text, python, system)]
    versions = {normal(each.name): next(iter(each.specifier)).version for each in active}
    problems = [] if len(versions) == len(active) else ["a package is pinned twice"]
    for name, version in versions.items():
        if (found := here.get((name, version))) is None:
            continue
        if python not in SpecifierSet(found.metadata.get("Requires-Python") or ""):
            problems.append(f"{name} {version}: needs Python {found.metadata['Requires-Python']}")
        for need in map(Requirement, found.requires or ()):
            asked = need.marker is None or need.marker.evaluate(dict(target(python, system)))
            if asked and not need.specifier.contains(versions.get(normal(need.name), "0"), prereleases=True):
                problems.append(f"{name} {version}: needs {need}")
    return problems


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_fits_every_python_that_the_project_names(python, system):
    assert PYTHONS[0] == OLDEST and unfit(LOCK, python, system) == []


def test_a_lock_that_does_not_fit_is_noticed():
    newer = f"numpy==99.0 {SHA}"
    assert unfit(f"{LOCK}{newer}", "3.12.0", "linux")[0] == "a package is pinned twice"
    without = "\n".join(line for line in LOCK.split("\n") if not line.startswith("numpy=="))
    assert [line for line in unfit(without, "3.12.0", "linux") if "needs numpy" in line]
    assert [line for line in unfit(LOCK, "3.9.0", "darwin") if line.startswith("numpy") and "needs Python" in line]


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_pip_finds_every_file_by_its_digest(python, tmp_path):
    """Asks the package index that pip is set up with; what it answers is not installed."""
    sdists = ("antlr4", "jsonpath-rw")  # hydra and mlcroissant ask for them; they have no wheels
    wanted = [pin for pin in pins_for(LOCK, python, "linux") if not CUDA.match(pin.name)]

    def status(pinned: list[Pin]) -> int:
        line = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        line += ["--require-hashes", "--only-binary=:all:", f"--python-version={python}", f"--target={tmp_path}"]
        text = "".join(re.sub(" ;.*? --", " --", pin.line) + "\n" for pin in pinned)
        return subprocess.run([*line, "-r", "/dev/stdin"], input=text, text=True, check=False).returncode

    assert status([pin for pin in wanted if not pin.name.startswith(sdists)]) == 0
    assert status([Pin("six", "1.17.0", f"six==1.17.0 {SHA}")]) != 0
