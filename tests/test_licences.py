"""What licences are: their expressions, whether they are open, what they ask, and which one a text is evidence of."""

import pytest
from conftest import ROOT, refusal

from train import licences
from train.compose import compose
from train.config import build
from train.errors import ConfigError
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
    assert licences.standing(expression) == expected


@pytest.mark.parametrize(("text", "name", "reserved"), [
    *((name, True, True) for name in
      ("CC-BY-NC-4.0", "CC-BY-ND-4.0", "OpenRAIL-M", "BigScience-OpenRAIL-M", "X-NonCommercial")),
    *((name, True, False) for name in
      ("MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-SA-4.0", "NCSA", "LGPL-2.1-or-later")),
    ("for non-commercial use only", False, True), ("for any purpose, commercial or not", False, False),
    ("Use-based restrictions as referenced in paragraph 5", False, True),
])  # fmt: skip
def test_names_and_texts_that_reserve_uses(text, name, reserved):
    assert bool(licences.restriction(text, name=name)) is reserved


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
    found = licences.duties(expression)
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
    assert licences.hub_name(identifier) == name


def test_every_licence_of_the_table_is_on_the_spdx_list_and_expressions_hold_identifiers():
    assert set(licences.known()) <= set(listed().values())
    assert identifiers("(MIT OR Apache-2.0) AND MIT") == ("Apache-2.0", "MIT")


@pytest.mark.parametrize(("word", "identifier"), [
    ("apache-2.0", "Apache-2.0"), ("MIT", "MIT"), ("gpl-3.0", "GPL-3.0-only"), ("odc-by", "ODC-By-1.0"),
    ("other", "other"), ("llama3.1", "llama3.1"), ("cc-by-sa-2.5", "CC-BY-SA-2.5"), ("0bsd", "0BSD"),
])  # fmt: skip
def test_a_name_that_a_card_gives_is_the_licence_of_the_list(word, identifier):
    assert licences.of_name(word) == identifier


APACHE = (ROOT / "LICENSE").read_text()
GRANT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software\n"
MIT = f"Copyright X\n\n{GRANT}The above copyright notice and this\npermission notice shall be included in all copies."
MIT_0 = f"{GRANT}THE SOFTWARE IS PROVIDED AS IS"
BSD_2 = "Redistribution and use in source and binary forms, with or without\n"
BSD_2 += "Redistributions in binary form must reproduce"
BSD_3 = f"{BSD_2} ... Neither the name of X may be used to endorse or promote products"
USE = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby "
USE += "granted"
FORBIDDEN = "All rights reserved. Do not copy."


@pytest.mark.parametrize(("text", "families"), [
    (APACHE, ["Apache-2.0"]), (MIT, ["MIT"]), (GRANT, ["MIT"]), (MIT_0, ["MIT-0"]), (BSD_2, ["BSD-2-Clause"]),
    (BSD_3, ["BSD-3-Clause"]), (f"{USE}, provided that the above copyright notice", ["ISC"]),
    (f"{USE}.\n\nTHE SOFTWARE IS PROVIDED", ["0BSD"]),
    ("GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", ["GPL-3.0"]),
    ("GNU LESSER GENERAL PUBLIC LICENSE\n   Version 2.1", ["LGPL-2.1"]),
    ("GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3", ["AGPL-3.0"]),
    ("Attribution-ShareAlike 4.0 International", ["CC-BY-SA-4.0"]),
    ("Attribution 4.0 International", ["CC-BY-4.0"]),
    ("Attribution-NonCommercial-ShareAlike 4.0 International", ["CC-BY-NC-SA-4.0"]),
    ("Community Data License Agreement \u2013 Sharing \u2013 Version 1.0", ["CDLA-Sharing-1.0"]),
    (f"{MIT}\n\n{APACHE}", ["Apache-2.0", "MIT"]), (FORBIDDEN, []),
])  # fmt: skip
def test_a_text_is_known_by_what_it_cannot_do_without(text, families):
    assert licences.recognised(licences.plain_text(text.encode())) == families


@pytest.mark.parametrize(("text", "claimed"), [
    (APACHE, "Apache-2.0"),
    (APACHE, "Apache-2.0 OR CC-BY-NC-4.0"),
    (f"{MIT}\n{APACHE}", "MIT AND Apache-2.0"),
    ("license: odc-by", "ODC-By-1.0"),
    ("---\nlicense: cdla-sharing-1.0\n---\n# TinyStories", "CDLA-Sharing-1.0"),
    ("These plays are in the public domain.", "CC0-1.0"),
    ("https://creativecommons.org/licenses/by-sa/2.5/", "CC-BY-SA-2.5"),
    ("Creative Commons Attribution 3.0 Germany", "CC-BY-3.0-DE"),
    ("SPDX-License-Identifier: MIT", "MIT"),
    ("Under the MIT License.", "MIT"),
    ("Licensed under the Apache License, Version 2.0", "Apache-2.0"),
    ("Mozilla Public License Version 2.0", "MPL-2.0"),
    ("GNU General Public License, version 2, with LLVM-exception", "GPL-2.0-only WITH LLVM-exception"),
    ("GNU GENERAL PUBLIC LICENSE Version 3", "GPL-3.0-or-later"),
    (FORBIDDEN, "NOASSERTION"),  # rows tell theirs
])  # fmt: skip
def test_a_text_that_tells_the_licence_passes_without_a_word(text, claimed):
    assert licences.claim_problem({"LICENSE": text.encode()}, claimed) == ("", False)


@pytest.mark.parametrize(("text", "claimed", "said"), [
    (FORBIDDEN, "Apache-2.0", "neither its text nor its name"), (FORBIDDEN, "MIT", "neither its text nor its name"),
    ("mit freundlichen Grüßen", "MIT", "neither its text nor its name"),
    ("permitted", "MIT", "neither its text nor its name"),
    (FORBIDDEN, "CC-BY-SA-2.5", "neither its text nor its name"), (MIT, "Apache-2.0", "the text of MIT"),
    (APACHE, "CC-BY-4.0", "the text of Apache-2.0"), (APACHE, "LAL-1.3", "the text of Apache-2.0"),
    (BSD_3, "BSD-2-Clause", "the text of BSD-3-Clause"), (MIT, "MIT AND Apache-2.0", "the text of MIT"),
    ("license: cc-by-nc-4.0", "CC-BY-4.0", "neither its text nor its name"),
    ("Attribution-NonCommercial 4.0 International", "CC-BY-4.0", "the text of CC-BY-NC-4.0"),
    ("GNU GENERAL PUBLIC LICENSE Version 2", "GPL-3.0-only", "the text of GPL-2.0"), ("", "MIT", "is empty"),
    (" \n\t", "MIT", "is empty"), ("--- ***", "LAL-1.3", "is empty"), ("\0" * 3000, "NOASSERTION", "is no text"),
    ("M\0I\0T\0", "MIT", "is no text"), (FORBIDDEN, "LAL-1.3", "LICENSE: not recognised as LAL-1.3"),
])  # fmt: skip
def test_a_text_that_tells_something_else_tells_against_it(text, claimed, said):
    problem, against = licences.claim_problem({"LICENSE": text.encode()}, claimed)
    assert against != ("not recognised" in said) and said in problem  # of a text not known nothing was shown


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
    assert set(composed["data"]["selected"]["licences"]) <= {UNFILLED, *licences.known()}
