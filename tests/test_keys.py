"""What of the code decides an artifact: its meaning, in the modules that a stage reaches."""

import json
import shutil
import subprocess
import sys

import pytest

from train import pipeline
from train.keys import ROOT, imported, meaning

FOUND = [found for minor in range(11, 15) if (found := shutil.which(f"python3.{minor}"))]
PYTHONS = [found for found in FOUND if not subprocess.run([found, "-c", ""], capture_output=True).returncode]
# Digest of the meaning, which every Python from 3.11 on has to find -> the source.
SOURCES = {
    "ad2e13b69c4fc1fda46413f740f426fc1793cfc6d6da8d226ba619f1aef48be7":
        b'',
    "b003cd98877d3251aaf9e16dca1a493181309265d9fc37e6f55e3848bd7ef840":
        b"x = [None, ..., True, 1, -0.0, 2j, b'\\x00', 'na\\u00efve \\ud800', *(), {**{}}]\n",
    "831a2429414c2913d6907283109862ae4a3086a390b719e1f64678a9291542f7":
        b'def f(a, /, b=1, *c, d=None, **e): pass\nasync def g(): return [x async for x in y if await x]\n',
    "9ae41457465615ea00a2f7a4a222bee615643082404468963b50c4d96ef24342":
        b"f'{a!r:>{b}}' 'c' f'' f'd{{{e}' '\\n'\nlambda *, x=(y := 1): x\n",
    "28cf8a192ebb268bea0ee1b34ff5ec46ba8434a4df318469fab0ec8cd6e1bc7d":
        b"match a:\n    case {'k': [1, *_], **r} if r: pass\n    case P(x=None) | None: pass\n",
    "0d2f01a24d6ccb363283743e09f831a870097da124d5a9987eae5bdbca372d07":
        b'try: pass\nexcept* E as e: raise X from e\n',
}  # fmt: skip
SOURCE = b'''
"""What it is."""
from dataclasses import dataclass

@dataclass(frozen=True)
class Pair:
    """Two."""
    left: int
    right: float = 1.5

def added(pair: Pair, *rest: int, by: str = "+") -> str:
    """The sum."""
    return f"{pair.left} {by} {pair.right:>{len(rest)}}" if rest else ""
'''


@pytest.mark.parametrize(("old", "new"), [
    (b"What it is.", b"What it is and was."), (b'    """The sum."""\n', b""),
    (b"left: int", b"left: int  # of the two"), (b"\n\ndef", b"\n\n\n\n# ---\ndef"), (b'"+"', b"'+'"),
    (b"1.5", b"1.50"), (b'if rest else ""', b'if (rest) else ("" "")'),
    (b'f"{pair.left} {by} ', b'f"{pair.left}" f" {by}" " "f"'),
])  # fmt: skip
def test_what_changes_no_meaning_changes_no_digest(old, new):
    assert old in SOURCE and meaning(SOURCE.replace(old, new)) == meaning(SOURCE)


@pytest.mark.parametrize(("old", "new"), [
    (b"1.5", b"1.25"), (b"left: int", b"left: str"), (b"frozen=True", b"frozen=False"), (b"frozen=True", b"frozen=1"),
    (b'"+"', b'"-"'), (b'"+"', b'b"+"'), (b'"+"', b"None"), (b"*rest: int, by", b"rest: int, *, by"),
    (b"} {by}", b"}  {by}"), (b"pair.right:>", b"pair.right:<"), (b"{by}", b"{by!r}"),
    (b'return f"', b'"The sum."; return f"'), (b'return f"', b'yield f"'),
    (b'What it is."""', b'What it is."""\nprint(__doc__)'),
])  # fmt: skip
def test_what_changes_the_meaning_changes_the_digest(old, new):
    assert old in SOURCE and meaning(SOURCE.replace(old, new)) != meaning(SOURCE)


def test_a_docstring_counts_where_its_module_reads_it():
    reading = SOURCE + b"print(added.__doc__)\n"
    assert meaning(reading) != meaning(reading.replace(b"The sum.", b"Their sum."))


@pytest.mark.parametrize("python", [sys.executable, *PYTHONS])
def test_every_python_finds_the_same_digests(python):
    program = "import json, sys; from train.keys import meaning\n"
    program += "print(json.dumps([meaning(source.encode()) for source in json.loads(sys.stdin.read())]))"
    told = json.dumps([source.decode() for source in SOURCES.values()])
    done = subprocess.run([python, "-c", program], input=told, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == list(SOURCES)


@pytest.mark.parametrize("source", [b"def", b"\0", b"(" * 10_000, b"-" * 200_000 + b"1"])
def test_what_is_no_program_is_told_by_an_error_that_verify_expects(source):
    with pytest.raises((SyntaxError, ValueError, RecursionError, MemoryError)):
        meaning(source)


def test_imports_count_wherever_they_run():
    source = b"import train.a\nif TYPE_CHECKING:\n    from train.b import c\nelse:\n    import train.d\n"
    source += b"def f():\n    from train.e import g\n    import os\n"
    assert imported(source) == ("train.a", "train.d", "train.e", "train.e.g")


# For each stage the modules whose meaning its key holds: whoever adds one sees here what it makes anew.
GROUND = "artifact errors world"
RULES = """
    unicode data/dedup/contamination data/text/file_types data/filters/language
    data/dedup/ngrams data/filters/pieces data/filters/quality data/filters/pii data/filters/repetition
    data/filters/rules config data/filters/apply data/filters/lines data/ledger data/schema spdx
"""
JUDGED = f"{RULES} data/candidates data/dedup/minhash"
FILTERS = f"{JUDGED} data/judged data/duplicates data/selected"
RAW = """
    config unicode data/sources/archive data/sources/local data/sources/hub data/sources/pinned data/text/language_tag
    data/raw data/sources/spec data/generated/stories data/generated/stories.txt
    data/generated/grammar data/text/file_types spdx
"""
TOKENS = f"{RULES} data/tokenizer data/encoding data/tokens differences initial"
CLOSURES = {
    "raw": RAW,
    "documents": """
        config unicode data/sources/archive data/documents data/text/file_types data/text/readers
        data/text/delimited data/text/html
        data/text/language_tag data/text/rst data/sources/spec data/schema spdx
    """,
    "benchmarks": f"{RAW} data/benchmarks data/generated/pairs data/schema data/generated/pairs.txt",
    "judged": f"{JUDGED} data/judged",
    "duplicates": f"{JUDGED} data/duplicates",
    "selected": FILTERS,
    "tokenizer": "data/schema data/text/file_types data/tokenizer differences initial",
    "tokens": TOKENS,
    "weights": f"""{TOKENS} config data/batches data/mixture exact kernels model premises
        training/steps training/checkpoint training/loop training/numerics training/optimizer training/distributed
        training/start""",
    "evaluation": f"""{TOKENS} {FILTERS} config exact kernels model premises training/checkpoint
        training/numerics evaluation/measure evaluation/items evaluation/minimal_pairs evaluation/multiple_choice
        evaluation/overlap evaluation/prediction evaluation/baselines inference/generate""",
}
# What only says how to run: handed to a stage by its world, or standing above it.
HOW = """
    machine workers terminal pipeline keys data/sources/download data/sources/pypi data/sources/places
    training/agreement training/further training/log training/meters training/budget release/publish
"""


@pytest.mark.parametrize("stage", pipeline.STAGES[:-1], ids=lambda stage: stage.name)
def test_a_stage_reaches_the_modules_of_the_table_and_no_other(stage):
    names = f"{GROUND} {CLOSURES[stage.name]}".split()
    wanted = {f"train/{name}" if "." in name else f"train/{name}.py" for name in names}
    assert set(pipeline.code(stage)) == wanted


def test_every_file_of_templates_is_in_the_key_of_a_stage():
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "train/data").rglob("*.txt")}
    assert files and files <= {path for stage in pipeline.STAGES[:-1] for path in pipeline.code(stage)}


def test_what_only_says_how_to_run_is_in_no_closure():
    how = {f"train/{name}.py" for name in HOW.split()}
    assert all((ROOT / path).is_file() for path in how)
    assert not any(how & pipeline.code(stage).keys() for stage in pipeline.STAGES[:-1])


def test_a_release_holds_its_code_so_every_byte_of_it_counts():
    assert {"train/machine.py", "README.md", "tests/test_keys.py"} <= pipeline.code(pipeline.STAGES[-1]).keys()
