"""Let a release write: `python scripts/sample.py RELEASE --prompt "This tutorial" --tokens 200 --temperature 0.7`.

The same release and settings give the same text. With `--serve [PORT]` it does so on a page and as OpenAI's API does,
for this machine alone; `--trace` shows there what stands word for word in the training text.
Exit status: 0 done, 1 bad input, 130 interrupted.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.artifact import read_json
from train.config import build
from train.errors import UserError
from train.letters import harmless
from train.terminal import tolerate


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error here."""

    def error(self, message: str) -> NoReturn:
        sys.exit(f"error: {message}; --help shows what is allowed")


def arguments() -> argparse.Namespace:
    parser = Parser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="folder with config.json, model.safetensors and tokenizer.json")
    parser.add_argument("--prompt", default="", help="what the text begins with (default: nothing)")
    parser.add_argument("--tokens", type=int, default=200, help="at most so many (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, help="0: the likeliest token (default: %(default)s)")
    parser.add_argument("--top-k", type=int, default=50, help="draw among so many likeliest (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("--serve", type=int, nargs="?", const=8000, metavar="PORT", help="answer on loopback instead: "
                        "a page, and /v1/completions (port: %(const)s; 0: a free one)")  # fmt: skip
    parser.add_argument("--trace", action="store_true", help="with --serve: show what is copied from the training text")
    given = parser.parse_args()
    if given.serve is not None and not 0 <= given.serve < 2**16:
        parser.error(f"--serve: expected a port from 0 to 65535, got {given.serve}")
    return given


def main() -> None:
    given = arguments()
    # Only now, as they bring torch: a wrong argument is answered at once.
    from train.data import tokenizer as tokenizers
    from train.evaluation.measure import load_model
    from train.inference.generate import SamplesConfig, generate, pieces
    from train.model import config_from_hugging_face
    from train.release.bounds import MINUTES, confine

    settings = {name: getattr(given, name) for name in ("tokens", "temperature", "top_k", "seed")}
    config = build(SamplesConfig, {"prompts": [given.prompt], **settings})
    described = given.release / "config.json"
    if not described.is_file():
        raise UserError(f"{given.release}: no release, as it has no config.json; `make release` makes one")
    confine(given.release, minutes=None if given.serve is not None else MINUTES)
    mapping = read_json(described)
    try:
        shape = config_from_hugging_face(dict(mapping))
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"{described}: {str(error).replace(chr(10), '; ')}; expected that of a release") from None
    tokenizer = tokenizers.load(given.release)
    model = load_model(given.release, shape, tokenizer.vocabulary)
    if given.serve is not None:
        serve(given, model, tokenizer)
        return

    written = 0

    def counted(tokens: Iterator[int]) -> Iterator[int]:
        nonlocal written
        for token in tokens:
            written += 1
            yield token

    tokens = generate(
        model,
        tokenizer.encode([given.prompt])[0],
        count=config.tokens,
        temperature=config.temperature,
        top_k=config.top_k,
        seed=config.seed,
        end_of_text=tokenizer.end_of_text,
    )
    began = time.monotonic()
    show(given.prompt)
    for piece in pieces(tokenizer, counted(tokens)):
        show(piece)
    speed = written / (time.monotonic() - began)
    ended = "the end of the text" if written < config.tokens else "as many as asked for"
    print(flush=True)
    print(f"[{written} tokens, {ended}; {speed:.1f} tokens/s]", file=sys.stderr)


def serve(given: argparse.Namespace, model: Any, tokenizer: Any) -> None:
    """Answer until Ctrl-C."""
    from train.explore.lineage import lineage
    from train.explore.search import corpus
    from train.inference.server import Served, server

    traced = None
    if given.trace:
        found = lineage(given.release)
        traced = corpus(found.selected, found.training)
    name = given.release.resolve().name
    with server(Served(name, model, tokenizer, traced, threading.Lock()), given.serve) as bound:
        address = f"http://127.0.0.1:{bound.server_address[1]}"
        print(f"{name} answers at {address} and {address}/v1/completions; Ctrl-C ends it", flush=True)
        bound.serve_forever()


def show(text: str) -> None:
    sys.stdout.write(harmless(text))
    sys.stdout.flush()


if __name__ == "__main__":
    tolerate()
    try:
        main()
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(130)
    except (UserError, OSError, MemoryError) as error:
        sys.exit(f"error: {error or 'more memory than a release of this size may take'}")
