"""What licences are: their expressions, whether they are open, and what they ask."""

import pytest
from conftest import ROOT, refusal

from train.compose import compose
from train.config import build
from train.errors import ConfigError
from train.licences import duties, hub_name, known, of_name, restriction, standing
from train.pipeline import Run, run
from train.release.resolved import DataConfig
from train.spdx import UNFILLED, identifiers, listed


@pytest.mark.parametrize(("expression", "expected"), [
    ("MIT", "OSI-approved"), ("Apache-2.0 OR BSD-3-Clause", "OSI-approved"), ("CC0-1.0", "open, not OSI-listed"),
    ("MIT AND CC-BY-4.0", "open, not OSI-listed"), ("MIT OR CC-BY-NC-4.0", "OSI-approved"),
    ("MIT AND CC-BY-NC-4.0", "not known to be open"), ("Python-2.0", "OSI-approved"),
    ("do what you like", "not known to be open"), ("", "not known to be open"),
    ("CC-BY-SA-2.5", "open, not OSI-listed"), ("CC-BY-2.0", "open, not OSI-listed"),
    ("CC-BY-3.0-DE", "open, not OSI-listed"), ("CC-BY-SA-2.1-JP", "open, not OSI-listed"),
    ("CC-BY-NC-2.0", "not known to be open"), ("CC-BY-NC-SA-2.0-DE", "not known to be open"),
    ("CC-BY-ND-4.0", "not known to be open"), ("CDLA-Sharing-1.0", "open, not OSI-listed"),
    ("GPL-2.0-only WITH Classpath-exception-2.0", "OSI-approved"),
    ("CC-BY-NC-4.0 WITH Classpath-exception-2.0", "not known to be open"), ("MIT WITH MIT", "not known to be open"),
    (UNFILLED, "not known to be open"),
])  # fmt: skip
def test_standing(expression, expected):
    assert standing(expression) == expected


def test_identifiers_of_an_expression():
    assert identifiers("(MIT OR Apache-2.0) AND MIT") == ("Apache-2.0", "MIT")


@pytest.mark.parametrize("name", ["CC-BY-NC-4.0", "CC-BY-ND-4.0", "OpenRAIL-M", "BigScience-OpenRAIL-M",
                                  "X-NonCommercial"])  # fmt: skip
def test_names_that_reserve_uses(name):
    assert restriction(name, name=True)


@pytest.mark.parametrize("name", ["MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-SA-4.0", "NCSA", "LGPL-2.1-or-later"])
def test_names_that_do_not(name):
    assert restriction(name, name=True) is None


def test_texts_that_reserve_uses():
    assert restriction("for non-commercial use only", name=False)
    assert restriction("Use-based restrictions as referenced in paragraph 5", name=False)
    assert restriction("for any purpose, commercial or not", name=False) is None


KEEP = "keep the notices of copyright and licence"
CREDIT = "name the authors and the licence, and say what changed"


@pytest.mark.parametrize(("expression", "attribution", "bound"), [
    ("CC0-1.0", "none", None),
    ("MIT", KEEP, None),
    ("CC-BY-4.0", CREDIT, None),
    ("CC-BY-SA-4.0", CREDIT, "CC-BY-SA-4.0"),
    ("ODbL-1.0", CREDIT, "ODbL-1.0"),
    ("GPL-3.0-or-later", KEEP, "GPL-3.0-or-later"),
    ("MIT AND CC-BY-SA-4.0", CREDIT, "CC-BY-SA-4.0"),
    ("MIT OR GPL-2.0-only", KEEP, None),  # whoever passes it on may choose
    ("MIT AND (GPL-2.0-only OR Apache-2.0)", KEEP, None),
    ("CC0-1.0 OR CC-BY-4.0", "none", None),
    ("MPL-2.0 AND GPL-3.0-only", KEEP, "GPL-3.0-only and MPL-2.0"),
    ("CC-BY-2.5", CREDIT, None),
    ("CC-BY-SA-2.5", CREDIT, "CC-BY-SA-2.5"),
    ("CDLA-Sharing-1.0", KEEP, "CDLA-Sharing-1.0"),
    ("CDLA-Sharing-1.0 AND CC-BY-2.0", CREDIT, "CDLA-Sharing-1.0"),
    ("GPL-2.0-only WITH Classpath-exception-2.0", KEEP, "GPL-2.0-only"),
])  # fmt: skip
def test_duties(expression, attribution, bound):
    found = duties(expression)
    assert found["attribution"] == attribution
    if bound is None:
        assert (found["share_alike"], found["beside_ours"]) == ("none", "no conflict")
    else:
        assert found["share_alike"].endswith(f"stay under {bound}")
        assert found["beside_ours"].startswith("the texts cannot be put under Apache-2.0")


@pytest.mark.parametrize(("identifier", "name"), [
    ("MIT", "mit"), ("GPL-3.0-or-later", "gpl-3.0"), ("ODC-By-1.0", "odc-by"), ("CC-BY-2.5", "cc-by-2.5"),
    ("CDLA-Sharing-1.0", "cdla-sharing-1.0"), ("HPND", "other"), ("CC-BY-SA-2.5", "other"), ("Python-2.0", "other"),
])  # fmt: skip
def test_the_hub_spells_licences_its_own_way(identifier, name):
    assert hub_name(identifier) == name


def test_every_licence_of_the_table_is_on_the_spdx_list():
    assert set(known()) <= set(listed().values())


@pytest.mark.parametrize(("word", "identifier"), [
    ("apache-2.0", "Apache-2.0"), ("MIT", "MIT"), ("gpl-3.0", "GPL-3.0-only"), ("odc-by", "ODC-By-1.0"),
    ("other", "other"), ("llama3.1", "llama3.1"), ("cc-by-sa-2.5", "CC-BY-SA-2.5"), ("0bsd", "0BSD"),
])  # fmt: skip
def test_a_name_that_a_card_gives_is_the_licence_of_the_list(word, identifier):
    assert of_name(word) == identifier


# What is accepted is decided before anything is made ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CC-BY-NC-4.0", "CC-BY-ND-4.0", "JSON", "CC-BY-4.0 AND CC-BY-NC-4.0", "SSPL-1.0"])
def test_the_config_tells_which_licences_no_release_may_hold(name):
    composed = compose(["recipe=tiny", f"data.selected.licences=[Apache-2.0,'{name}']"])
    refusal(build, DataConfig, composed["data"], match=r"selected.*licences", error=ConfigError)


@pytest.mark.parametrize("licence", ["MIT", "'Apache-2.0 AND MIT'", "'Apache-2.0 WITH LLVM-exception'"])
def test_a_source_that_selection_would_refuse_is_not_fetched(licence, tmp_path):
    where = [f"machine.{name}={tmp_path / name}" for name in ("runs", "cache", "releases")]
    config = build(Run, compose(["recipe=tiny", f"data.raw.sources.0.licence={licence}", "until=selected", *where]))
    refusal(run, config, match=r"is not among Apache-2.0; accept it in data.selected.licences")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs/data").glob("*.yaml")))
def test_every_data_config_accepts_open_licences_alone(name):
    composed = compose([f"data={name}"])
    assert set(composed["data"]["selected"]["licences"]) <= {UNFILLED, *known()}
