"""`pellucid sample`: let a release write; with --serve on a page and as OpenAI's API does, for this machine alone."""

import argparse
import itertools
import threading
import time
from typing import Any

from train import terminal
from train.config import build
from train.data import tokenizer as tokenizers
from train.errors import UserError
from train.evaluation.measure import load_model
from train.explore.lineage import lineage
from train.explore.search import corpus
from train.inference.generate import SamplesConfig, generate, pieces, shape_of
from train.inference.server import Served, server
from train.release.bounds import MINUTES, confine

SETTINGS = ("tokens", "temperature", "top_k", "seed")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """What is written, said piece by piece meanwhile; nothing when it serves, until Ctrl-C."""
    if args.serve is not None and not 0 <= args.serve < 2**16:
        raise UserError(f"--serve: expected a port from 0 to 65535, got {args.serve}")
    config = build(SamplesConfig, {"prompts": [args.prompt], **{name: getattr(args, name) for name in SETTINGS}})
    confine(args.release, minutes=None if args.serve is not None else MINUTES)
    shape, tokenizer = shape_of(args.release), tokenizers.load(args.release)
    model = load_model(args.release, shape, tokenizer.vocabulary)
    return serve(args, model, tokenizer) if args.serve is not None else write(args, config, model, tokenizer)


def write(args: argparse.Namespace, config: SamplesConfig, model: Any, tokenizer: Any) -> dict[str, Any]:
    """The text after the prompt, its tokens and how it ended."""
    settings: dict[str, Any] = {"temperature": config.temperature, "top_k": config.top_k, "seed": config.seed}
    start, end = tokenizer.encode([args.prompt])[0], tokenizer.end_of_text
    tokens, again = itertools.tee(generate(model, start, count=config.tokens, end_of_text=end, **settings))
    began, text = time.monotonic(), ""
    show(args, args.prompt)
    for piece in pieces(tokenizer, tokens):
        text += piece
        show(args, piece)
    written = list(again)
    speed = len(written) / (time.monotonic() - began)
    ended = "the end of the text" if len(written) < config.tokens else "as many as asked for"
    show(args, "\n")
    terminal.note(f"[{len(written)} tokens, {ended}; {speed:.1f} tokens/s]")
    return {"prompt": args.prompt, "text": text, "tokens": written, "ended": ended, **settings}


def serve(args: argparse.Namespace, model: Any, tokenizer: Any) -> dict[str, Any]:
    """Answer until Ctrl-C."""
    traced = None
    if args.trace:
        read = lineage(args.release)
        traced = corpus(read.artifacts.selected, read.training)
    name = args.release.resolve().name
    with server(Served(name, model, tokenizer, traced, threading.Lock()), args.serve) as bound:
        address = f"http://127.0.0.1:{bound.server_address[1]}"
        args.say(f"{name} answers at {address} and {address}/v1/completions; Ctrl-C ends it")
        bound.serve_forever()
    return {}


def show(args: argparse.Namespace, text: str) -> None:
    if not args.json:
        terminal.write(text)
