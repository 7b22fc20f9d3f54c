"""The verbs of the command: what each does, in a sentence, an example, and its arguments; standard library alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Argument:
    names: tuple[str, ...]
    options: dict[str, Any]  # as argparse takes them
    apart: bool  # only one of those of a verb at a time


@dataclass(frozen=True)
class Verb:
    does: str
    example: str
    arguments: tuple[Argument, ...]
    more: str = ""
    judges: tuple[str, str] | None = None  # what the exit statuses 0 and 1 mean; 2 is that it cannot tell
    needs_tree: bool = False  # works in the source tree alone, not as an installed package


def take(*names: str, apart: bool = False, **options: Any) -> Argument:
    return Argument(names, options, apart)


def switch(name: str, help: str, apart: bool = False) -> Argument:
    return take(name, apart=apart, action="store_true", help=help)


RELEASE = take("release", type=Path, help="the folder that holds MANIFEST.json")
MACHINE = take("machine", nargs="*", metavar="machine.KEY=VALUE", help="how to compute, such as machine.threads=2")
OVERRIDES = take("overrides", nargs="*", metavar="KEY=VALUE", help="Hydra overrides, such as recipe=tiny")
CACHE = take("--cache", type=Path, default=Path("~/.cache/pellucid"), metavar="FOLDER", help="default: %(default)s")
ATTEST = take("--attest", type=Path, metavar="KEY", help="sign what came out, in a file beside the release")
INTO = take("--into", type=Path, metavar="FOLDER", help="where to")
HERE = switch("--here", "in the environment of this command, not in a new one from the release's lock")
SECONDS = take("--seconds", type=float, default=10, help="of measuring this machine (default: %(default)s)")
CONFIG = take("--config", type=Path, metavar="FILE", help="the code/config.json of a release; only machine.KEY=VALUE "
              "and until=NAME can be set then")  # fmt: skip
MULTIRUN = switch("--multirun", "every combination of comma-separated values, which share what they can")

VERBS = {
    "release": Verb(
        "make a release, or any artifact on the way to one",
        "recipe=tiny training.steps=50",
        (
            OVERRIDES, MULTIRUN, CONFIG,
            take("--given", type=Path, metavar="FOLDER", help="artifacts, by name, to take in place of making them"),
            switch("--dry-run", "as the verb plan"), SECONDS,
        ),
        "Interrupted, it goes on from what was whole. Several processes train together under torchrun.",
        needs_tree=True,
    ),
    "plan": Verb(
        "tell what a run would make, and take on this machine, and make nothing",
        "recipe=reference model=1m",
        (OVERRIDES, MULTIRUN, CONFIG, SECONDS),
        "What cannot fit is refused.",
        needs_tree=True,
    ),
    "verify": Verb(
        "check a release, as far as looking shows",
        "releases/tiny-0.1.0 --quick",
        (
            take("release", nargs="+", help="the folder that holds MANIFEST.json, or its archives; and how to "
                 "compute: machine.threads=N, machine.device=cuda"),
            switch("--quick", "integrity and completeness only, with the standard library alone", apart=True),
            switch("--deep", "also install what the lock names", apart=True),
            switch("--sources", "also prepare the pinned sources again, fetched if need be", apart=True),
            take("--from", dest="folder", type=Path, metavar="FOLDER", help="where files of sources are"),
            CACHE,
            take("--only", action="append", default=[], metavar="NAME", help="run this check alone; repeatable"),
            take("--public-key", action="append", default=[], type=Path, metavar="PEM",
                 help="demand a statement signed with this key; repeatable"),
            take("--minutes", type=float, default=60, help="stop after so many (default: %(default)s)"),
            take("--nonce", help="draw the samples that this word draws (default: others each time)"),
        ),
        "The last lines tell which rung of the ladder of proof is reached, and what would establish the others.",
        judges=("every check holds", "a check fails"),
    ),
    "replay": Verb(
        "train segments of a release again, and compare every bit",
        "releases/tiny-0.1.0 --segments 2 machine.threads=2",
        (
            RELEASE, MACHINE,
            take("--segment", apart=True, type=int, metavar="K", help="from checkpoint K to K + 1; 0: initial weights"),
            take("--segments", apart=True, type=int, default=1, metavar="N", help="drawn ones (default: %(default)s)"),
            switch("--all", "every segment, and the evaluation", apart=True),
            take("--nonce", metavar="TEXT", help="a word to draw by, unknown to whoever published"),
            switch("--release-code", "train with the code that the release holds: look at it before you do"),
            HERE, INTO, ATTEST,
        ),
        "With --into it trains only, and leaves in FOLDER what is reached.",
        judges=("each next checkpoint is reached", "something differs"),
    ),
    "reproduce": Verb(
        "make a release again from itself alone, and compare",
        "releases/tiny-0.1.0 --from-release-data",
        (
            RELEASE, MACHINE,
            switch("--from-release-data", "start from the released documents"),
            switch("--use-cache", "take sources from the cache of downloads if they are there"),
            HERE, INTO, ATTEST,
        ),
        "It runs the code that the release holds, in a sandbox if there is bubblewrap: look at it before you do. Run "
        "again, it goes on from what was made.",
        judges=("bit-identical", "something differs"),
        needs_tree=True,
    ),
    "explore": Verb(
        "answer from token to source and back, of a folder of runs or a release",
        "--from releases/tiny-0.1.0 step 12",
        (
            take("question", choices=["step", "document", "source", "search", "trace", "affected"], metavar="COMMAND",
                 help="step N: its batch; document ID or source PURL: what became of it; search TEXT: where it stands; "
                 "trace TEXT: its longest spans in the training text; affected ID-OR-PURL...: steps and checkpoints"),
            take("what", nargs="*", metavar="WHAT", help="trace without: --file, or the standard input"),
            take("--from", dest="folders", type=Path, action="append", metavar="FOLDER",
                 help="of runs, an artifact in one, or a release; several for affected (default: runs)"),
            take("--most", type=int, default=10, help="places, spans or readings shown (default: %(default)s)"),
            take("--file", type=Path, help="holds the text to trace"),
            take("--least", type=int, default=40, help="characters of a span (default: %(default)s)"),
        ),
    ),
    "sample": Verb(
        "let a release write",
        'releases/tiny-0.1.0 --prompt "One day" --tokens 50',
        (
            take("release", type=Path, help="folder with config.json, model.safetensors and tokenizer.json"),
            take("--prompt", default="", help="what the text begins with (default: nothing)"),
            take("--tokens", type=int, default=200, help="at most so many (default: %(default)s)"),
            take("--temperature", type=float, default=0.7, help="0: the likeliest token (default: %(default)s)"),
            take("--top-k", type=int, default=50, help="draw among so many likeliest (default: %(default)s)"),
            take("--seed", type=int, default=0, help="of the draws (default: %(default)s)"),
            take("--serve", type=int, nargs="?", const=8000, metavar="PORT", help="answer on loopback instead: a page, "
                 "and /v1/completions (port: %(const)s; 0: a free one)"),
            switch("--trace", "with --serve: show what is copied from the training text"),
        ),
        "The same release and settings give the same text.",
    ),
    "score": Verb(
        "judge minimal pairs of your own by a release",
        "releases/tiny-0.1.0 blimp/adjunct_island.jsonl",
        (RELEASE, take("files", type=Path, nargs="+", metavar="FILE", help="JSON lines of pairs; or a pattern")),
        "A line has sentence_good and sentence_bad, as in BLiMP. Training text was not kept clear of them.",
    ),
    "export": Verb(
        "write a release as one GGUF file, for llama.cpp and what is built on it",
        "releases/tiny-0.1.0 model.gguf",
        (
            take("release", type=Path, help="folder with config.json, model.safetensors and tokenizer.json"),
            take("file", type=Path, help="to be written, such as model.gguf"),
        ),
        "Needs the extra `interoperability`.",
    ),
    "diff": Verb(
        "tell what changed between two releases",
        "releases/tiny-0.1.0 releases/tiny-0.2.0",
        (
            take("before", type=Path, help="a folder that holds MANIFEST.json"),
            take("after", type=Path, help="another one"),
            switch("--all", "show every change, not the first ones of a kind"),
        ),
        judges=("they have the same identity", "they differ"),
    ),
    "sign": Verb(
        "sign a release, or take others' signed statements into it",
        "releases/tiny-0.1.0 --key key.pem",
        (
            RELEASE,
            take("--key", type=Path, metavar="PEM", help="a private key, Ed25519 or P-256, without a password"),
            take("--collect", type=Path, nargs="+", default=[], metavar="FILE", help="statements of --attest"),
        ),
        "Neither changes the identity. A key: openssl genpkey -algorithm ed25519 -out key.pem",
    ),
    "archive": Verb(
        "pack a release into one file, the same bytes on every machine",
        "releases/tiny-0.1.0",
        (RELEASE, switch("--by-role", "data, code, checkpoints and all else apart"), INTO),
        "It lies beside the release; verify takes it as well.",
    ),
    "publish": Verb(
        "upload a release to a model repository of the Hugging Face hub, if every check holds",
        "releases/tiny-0.1.0 owner/name",
        (
            RELEASE,
            take("repository", metavar="OWNER/NAME", help="made if it is not there yet"),
            switch("--delete", "delete what else stands in that repository"),
        ),
        "Which hub, and by whose leave, say the settings of the hub's own client, such as HF_TOKEN.",
    ),
    "fork": Verb(
        "make a project of your own from this source tree",
        'our_text "Our text" ../our_text',
        (
            take("name", help="of recipe, data config and releases: small letters, digits and underscores"),
            take("title", help="as people read it"),
            take("destination", type=Path, help="a folder that is not there yet, or empty"),
            take("--authors", help="who hold the rights (default: The TITLE maintainers)"),
        ),
        needs_tree=True,
    ),
    "assess": Verb(
        "tell what of the openness table any model's folder holds, by its files alone",
        "some/model",
        (
            take("folder", type=Path, help="a model as it is handed around: weights, and whatever lies beside"),
            take("--mof", type=Path, metavar="FILE", help="what its makers say by the Model Openness Framework"),
        ),
        "Nothing in it is run or unpickled.",
        judges=("no must-item is without a file of its kind", "some is"),
    ),
    "config": Verb(
        "show each key of a configuration: meaning, allowed values, value",
        "training recipe=tiny",
        (take("words", nargs="*", metavar="GROUP|KEY=VALUE", help="groups or keys to show (none: all); overrides"),),
    ),
    "bench": Verb(
        "time the data stages and training, beside their peers",
        "encoding recipe=tiny",
        (take("words", nargs="*", metavar="NAME|KEY=VALUE", help="benchmarks (none: all), and overrides"),),
        needs_tree=True,
    ),
}  # fmt: skip
