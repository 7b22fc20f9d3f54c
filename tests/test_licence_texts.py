"""Which licence a text is, and whether it is evidence of the licence claimed."""

import pytest

from train.keys import ROOT
from train.licences import claim_problem, plain_text, recognised

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
    assert recognised(plain_text(text.encode())) == families


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
    assert claim_problem({"LICENSE": text.encode()}, claimed) == ("", False)


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
    ("M\0I\0T\0", "MIT", "is no text"),
])  # fmt: skip
def test_a_text_that_tells_something_else_tells_against_it(text, claimed, said):
    problem, against = claim_problem({"LICENSE": text.encode()}, claimed)
    assert against and said in problem


def test_of_a_licence_whose_text_is_not_known_it_is_said_that_nothing_was_shown():
    said, against = claim_problem({"LICENSE": FORBIDDEN.encode()}, "LAL-1.3")
    assert said.startswith("LICENSE: not recognised as LAL-1.3") and not against
