"""A small release, made once by the real command; tests that alter one get a copy."""

import hashlib
import json
import shutil
from pathlib import Path

import forger
import pytest
import torch
import warm
from conftest import LEAST, hydra, source

from train.artifact import digest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """A model this small computes faster so, above all beside other work."""
    torch.set_num_threads(1)


# Names that nothing in a release may tell, of the folder that it is made in and of who makes it.
PRIVATE = {
    "HOME": "/telltale-home", "USER": "telltale-user", "LOGNAME": "telltale-user", "HOSTNAME": "telltale-host",
    "HF_TOKEN": "hf_telltale", "WANDB_API_KEY": "telltale-key", "HF_ENDPOINT": "http://127.0.0.1/telltale-hub",
    "PIP_INDEX_URL": "http://telltale:word@127.0.0.1/telltale-index", "PIP_EXTRA_INDEX_URL": "http://127.0.0.1/telltale",
}  # fmt: skip


# An evaluation set of others: pairs as BLiMP has them, and questions, in a folder beside those of runs.
SETS = {
    "pairs.jsonl": [{"sentence_good": "The cats sit.", "sentence_bad": "The cats sits.", "UID": "agreement",
                     "field": "morphology", "linguistics_term": "subject_verb_agreement"}],
    "questions.jsonl": [{"question": f"Of {number} ships the storm left", "choices": ["one", "the others"],
                         "answer": 1} for number in range(8)],
}  # fmt: skip


FILES = {name: "".join(f"{json.dumps(row)}\n" for row in rows) for name, rows in SETS.items()}
FILES["LICENSE"] = "CC0-1.0\n"
SHA256 = digest({name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()})
OTHERS = source(purl="pkg:generic/others@1", path="sets", sha256=SHA256, licence="CC0-1.0", include=["*.jsonl"])
DECLARED = f"benchmarks.raw={hydra({'sources': [OTHERS]})}"


def made(home: Path) -> list[str]:
    """The overrides by which the release is made in `home`."""
    folders = (f"machine.{name}={home / name}" for name in ("runs", "releases", "cache"))
    return [*LEAST, "machine.threads=1", DECLARED, *folders]


def make(home: Path) -> None:
    for folder in ("sets", "generic-others-1"):  # as it is called by whoever makes the release again, too
        (home / folder).mkdir()
        for name, text in FILES.items():
            (home / folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patched:
        for name, value in PRIVATE.items():
            patched.setenv(name, value)
        warm.command("release", *made(home), cwd=home)


@pytest.fixture(scope="session")
def home(once) -> Path:
    """A folder with `runs/` and `releases/`, in which one release was made; not to be changed."""
    return once("telltale", make)


@pytest.fixture(scope="session")
def small(home) -> list[str]:
    """The overrides by which the release was made, and the folders that it was made in."""
    return made(home)


@pytest.fixture(scope="module")
def own_home(home, tmp_path_factory) -> Path:
    """A copy of that folder, in which other releases can be made from what is there."""
    return Path(shutil.copytree(home, tmp_path_factory.mktemp("own") / "home"))


@pytest.fixture(scope="module")
def own_small(own_home) -> list[str]:
    """The overrides by which the release is made there."""
    return made(own_home)


@pytest.fixture(scope="session")
def release(home) -> Path:
    """The release as it was placed; not to be changed."""
    return home / "releases" / "tiny-0.1.0"


@pytest.fixture
def copy(release, tmp_path) -> Path:
    """A copy of the release, to be changed."""
    return Path(shutil.copytree(release, tmp_path / "copy", copy_function=shutil.copyfile))  # without its modes


@pytest.fixture
def reseal():
    """A function that makes every digest of a changed release fit again, as somebody would who means to deceive."""
    return forger.digests
