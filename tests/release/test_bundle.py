"""The release as others read it: transformers, datasets, people; and the same bytes whenever it is packed."""

import dataclasses
import socket
from pathlib import Path

import pytest
import torch
import yaml

from train.artifact import read_json
from train.config import build
from train.data import schema
from train.data.text import readers
from train.data.tokenizer import load
from train.errors import UserError
from train.keys import ROOT
from train.layout import ARTIFACTS, placed
from train.release import bundle
from train.release.about import ReleaseConfig
from train.release.bundle import CollectConfig, collect, manifest_of, source_tree
from train.release.standards.osaid import REQUEST
from train.world import Inputs


@pytest.fixture
def inputs(home):
    return Inputs(**{name: next(p for p in (home / "runs").glob(f"{name}-*") if not p.suffix) for name in ARTIFACTS})


@pytest.fixture
def config(release):
    resolved = read_json(release / "code/config.json")
    settings, asked = (read_json(release / path) for path in ("code/overrides.json", REQUEST))
    return CollectConfig(build(ReleaseConfig, resolved["release"]), resolved, tuple(settings), asked)


def test_transformers_reads_the_release_and_computes_the_same_logits(release):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = "There was once a girl named Ada.\n\nShe had 12 cats."
    tokens = AutoTokenizer.from_pretrained(release)(text)["input_ids"]
    words = load(release)
    assert tokens == [words.end_of_text, *words.encode([text])[0]]
    theirs = AutoModelForCausalLM.from_pretrained(release)
    ours = bundle.model_of(release)
    assert type(theirs).__name__ == "Qwen3ForCausalLM"
    with torch.no_grad():
        batch = torch.tensor([tokens[:32]])
        assert torch.allclose(theirs(batch).logits, ours(batch), atol=1e-4, rtol=1e-4)


def test_what_gave_no_document_is_in_the_release_file_by_file(release):
    for purl, counts in read_json(release / "data/extracted.json").items():
        slug = next(s["slug"] for s in read_json(release / "data/sources.json") if s["purl"] == purl)
        lines = (release / f"data/left_out/{slug}.jsonl").read_text().splitlines()
        assert len(lines) == sum(counts[reason] for reason in readers.REASONS)


def test_packing_twice_gives_the_same_bytes(inputs, config, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "release").mkdir(parents=True)
        (tmp_path / name / "release" / "left over").write_text("by an interrupted attempt")
        collect(config, inputs, tmp_path / name, None)
    assert manifest_of(tmp_path / "one/release") == manifest_of(tmp_path / "two/release")
    one, two = ((tmp_path / name / "release/MANIFEST.json").read_bytes() for name in ("one", "two"))
    assert one == two


def test_the_identity_is_of_products_alone(copy):
    before = manifest_of(copy)
    (copy / "logs/weights/log.jsonl").write_text("another machine\n")
    after = manifest_of(copy)
    assert after.identity == before.identity and after.witnesses != before.witnesses
    (copy / "README.md").write_text("another model\n")
    assert manifest_of(copy).identity != before.identity


def test_a_data_set_without_a_card_is_refused(inputs, config, tmp_path):
    resolved = {**config.resolved, "data": {**config.resolved["data"], "name": "cardless"}}
    with pytest.raises(UserError, match=r"data_cards/cardless.md: cannot be read"):
        collect(dataclasses.replace(config, resolved=resolved), inputs, tmp_path, None)


def test_cards_have_front_matter_that_the_hub_reads(release):
    cards = (release / path for path in ("README.md", "data/README.md"))
    model, data = (yaml.safe_load(card.read_text().split("---\n")[1]) for card in cards)
    assert (model["license"], model["library_name"], model["language"]) == ("apache-2.0", "transformers", ["en"])
    assert data["configs"][0]["config_name"] == "documents"
    assert yaml.safe_load((release / "CITATION.cff").read_text())["cff-version"] == "1.2.0"


def test_the_source_tree_leaves_out_caches(tmp_path):
    for name in (
        "train/a.py",
        "train/__pycache__/a.pyc",
        "train/.a.py.swp",
        "train/b.py~",
        "runs/x",
        ".ci/run",
        "LICENSE",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "train/link.py").symlink_to(tmp_path / "LICENSE")
    assert list(source_tree(tmp_path)) == [".ci/run", "LICENSE", "train/a.py"]


def test_products_are_placed_by_the_table():
    assert placed("selected", "documents/part-0000.parquet") == "data/documents/part-0000.parquet"
    assert placed("tokens", "train.npy") is None
    assert placed("weights", "checkpoints/step-000050/state.json") == "checkpoints/step-000050/state.json"
    assert placed("weights", "../../etc/passwd") is None and placed("weights", "/etc/passwd") is None


def test_a_release_config_names_known_items_only(config):
    with pytest.raises(ValueError, match="'5' is not among the declared items"):
        dataclasses.replace(config.release, not_used={"5": "because"})
    with pytest.raises(ValueError, match="version"):
        dataclasses.replace(config.release, version="../1")


def test_no_file_of_a_release_tells_who_made_it_or_where(release):
    """The release of these tests is made in such a folder, by such a user, with such tokens and indexes."""
    code = {*(release / "code").rglob("*")} - {release / path for path in bundle.RESOLVED}
    own = {path: contents(path) for path in release.rglob("*") if path.is_file() and path not in code}
    here = [b"telltale", str(ROOT).encode(), str(Path.home()).encode() + b"/", socket.gethostname().encode()]
    assert len(own) > 60 and not [(path, word) for path in own for word in here if len(word) > 5 and word in own[path]]


def contents(path: Path) -> bytes:
    """The bytes of a file, and of a table what its columns say, unpacked."""
    rows = schema.read_rows([path]) if path.suffix == ".parquet" else ()
    return path.read_bytes() + "".join(map(str, rows)).encode()
