"""What only reads releases works as a package that pip installed, without a clone."""

import json

import pytest


def test_a_release_is_verified_by_an_installed_package(installed, release):
    said = installed("verify", release, "--json", "machine.threads=1", status=2)
    results = {each["name"]: each for each in json.loads(said)}
    absent = {name for name, each in results.items() if each["status"] != "holds"}
    assert absent == {"generated", "recipe", "snapshot"} and "installed package" in results["generated"]["detail"]


@pytest.mark.parametrize(("words", "says"), [
    (["verify", "RELEASE", "--quick"], "2 of 2 checks hold"),
    (["explore", "--from", "RELEASE", "step", "1"], "step 1 of"),
    (["sample", "RELEASE", "--tokens", "1", "--prompt", "the cat"], "the cat"),
    (["diff", "RELEASE", "RELEASE"], "the same: identity"),
    (["assess", "RELEASE"], "must-items"),
])  # fmt: skip
def test_each_verb_that_reads_works_installed(words, says, installed, release):
    assert says in installed(*(release if word == "RELEASE" else word for word in words))
