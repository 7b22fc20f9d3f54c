"""The release as others read it: transformers, datasets, people; and the same bytes whenever it is packed."""

import dataclasses
import re
import runpy
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from conftest import artifact, refusal

from train.artifact import read_json
from train.config import build
from train.data import schema
from train.data.text import readers
from train.keys import ROOT
from train.layout import ARTIFACTS, placed
from train.release import bundle
from train.release.about import ReleaseConfig
from train.release.bundle import CollectConfig, collect, manifest_of, source_tree
from train.release.standards.osaid import REQUEST
from train.world import Inputs


@pytest.fixture
def inputs(home):
    return Inputs(**{name: artifact(home, name) for name in ARTIFACTS})


@pytest.fixture
def config(release):
    resolved = read_json(release / "code/config.json")
    settings, asked = (read_json(release / path) for path in ("code/overrides.json", REQUEST))
    return CollectConfig(build(ReleaseConfig, resolved["release"]), resolved, tuple(settings), asked)


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
    assert manifest_of(tmp_path / "one/release") == manifest_of(tmp_path / "two/release")  # fmt: skip
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
    cardless = dataclasses.replace(config, resolved=resolved)
    refusal(collect, cardless, inputs, tmp_path, None, match=r"data_cards/cardless.md: cannot be read")


def test_cards_have_front_matter_that_the_hub_reads(release):
    cards = (release / path for path in ("README.md", "data/README.md"))
    model, data = (yaml.safe_load(card.read_text().split("---\n")[1]) for card in cards)
    assert (model["license"], model["library_name"], model["language"]) == ("apache-2.0", "transformers", ["en"])
    assert data["configs"][0]["config_name"] == "documents"
    assert yaml.safe_load((release / "CITATION.cff").read_text())["cff-version"] == "1.2.0"


def test_the_source_tree_leaves_out_caches(tmp_path):
    paths = ("train/a.py", "train/__pycache__/a.pyc", "train/.a.py.swp", "train/b.py~", "runs/x", ".ci/run", "LICENSE")
    for name in paths:
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
    for wrong, says in (({"not_used": {"5": "because"}}, "'5' is not among the declared items"),
                        ({"version": "../1"}, "version")):  # fmt: skip
        refusal(dataclasses.replace, config.release, **wrong, match=says, error=ValueError)


def test_no_file_of_a_release_tells_who_made_it_or_where(release):
    """The release of these tests is made in such a folder, by such a user, with such tokens and indexes."""
    code = {*(release / "code").rglob("*")} - {release / path for path in bundle.RESOLVED}
    own = {path: contents(path) for path in release.rglob("*") if path.is_file() and path not in code}
    here = [b"telltale", str(ROOT).encode(), str(Path.home()).encode() + b"/", socket.gethostname().encode()]
    assert len(own) > 60 and not [(path, word) for path in own for word in here if len(word) > 5 and word in own[path]]


def test_the_picture_is_drawn_from_the_records_of_a_release(release):
    drawn = runpy.run_path(str(ROOT / "scripts/picture.py"))["picture"](release)
    words = [each.text for each in ElementTree.fromstring(drawn).iter() if each.text]
    scores = read_json(release / "evaluation/scores.json")
    assert read_json(release / "MANIFEST.json")["identity"][:7] in words
    assert f"{scores['bits_per_byte']['value']:.3f}" in words and f"{scores['byte_4gram']['value']:.3f}" in words
    assert {"this model", "complete", "held out", "training"} <= {*words} and len(drawn) < 150_000


def test_the_lines_of_the_python_page_do_what_it_says(release, capsys):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S)
    code = code.replace('Path("releases/tiny-0.1.0")', f"Path({str(release)!r})")
    exec(code.replace("(release), 12)", "(release), 1)"), {})
    bits, *documents = capsys.readouterr().out.splitlines()
    assert 10 < float(bits.removesuffix(" bits")) < 1000
    assert documents and any("Apache-2.0" in line for line in documents)


def contents(path: Path) -> bytes:
    """The bytes of a file, and of a table what its columns say, unpacked."""
    rows = schema.read_rows([path]) if path.suffix == ".parquet" else ()
    return path.read_bytes() + "".join(map(str, rows)).encode()
