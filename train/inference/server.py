"""HTTP server on loopback: a page to try the model, and completions as OpenAI's API spells them.

It is for whoever started it alone: bound to loopback, and deaf to who calls it by another name or from another page,
so that no web page can reach it through a name that leads here. Sizes, time and one text at a time bound its work.
"""

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from train.config import Count, Natural, build
from train.data.tokenizer import Tokenizer
from train.errors import ConfigError, UserError
from train.explore.search import Corpus, Span, trace
from train.inference.generate import generate, pieces
from train.model import Transformer

BODY = 2**16  # bytes of a request
TOKENS = 2048  # of an answer
STOPS = 4  # texts that end an answer
SECONDS = 60  # that an answer may take; then it ends with what there is
WAIT = 30  # seconds until somebody else's answer must be done
SILENCE = 10  # seconds without a byte until a connection is given up
ARRIVAL = 15  # seconds in which a request must have come in whole
LEAST = 20  # characters of a span that is looked up in the training text
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"

# What a request that does not say means, and what may be said but not otherwise: OpenAI's reference of completions.
# The same request gives the same text, as `seed` is 0 unless another is given.
DEFAULTS: dict[str, Any] = {
    "max_tokens": 16, "temperature": 1.0, "top_k": None, "seed": 0, "stop": [], "stream": False, "echo": False,
    "trace": False,
}  # fmt: skip
NEUTRAL = {"n": 1, "best_of": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


@dataclass(frozen=True)
class Completion:
    """What a request asks for; `top_k` and `trace` are ours."""

    model: str
    prompt: str
    max_tokens: Annotated[int, Ge(1), Le(TOKENS)]
    temperature: Annotated[float, Ge(0), Le(2)]
    top_k: Count | None
    seed: Natural
    stop: Annotated[tuple[Annotated[str, MinLen(1)], ...], MaxLen(STOPS)]
    stream: bool
    echo: bool  # begin the answer with the prompt
    trace: bool  # show where spans of the answer stand verbatim in the training text

    def __post_init__(self) -> None:
        "".join([self.prompt, *self.stop]).encode()  # raises what is a ValueError when it is not Unicode text


@dataclass(frozen=True)
class Served:
    name: str
    model: Transformer
    tokenizer: Tokenizer
    corpus: Corpus | None  # the training text, to trace answers in
    turn: threading.Lock  # held by who has a text written


class Refusal(Exception):
    """A request that is not answered: status, what is wrong, which parameter, the protocol's code."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        kind = "server_error" if status >= 500 else "invalid_request_error"
        self.status, self.body = status, {"message": message, "type": kind, "param": param, "code": code}


class Server(ThreadingHTTPServer):
    """A thread a connection; connections that break off are not reported."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def server(served: Served, port: int) -> Server:
    """A server on loopback, bound and not yet running; port 0 takes a free one."""
    try:
        bound = Server(("127.0.0.1", port), type("Bound", (Handler,), {"served": served}))
    except OSError as error:
        raise UserError(f"port {port}: {error.strerror}; name another, or 0 for a free one") from None
    bound.daemon_threads = True
    return bound


def understood(served: Served, body: bytes) -> Completion:
    """What the JSON `body` asks for. Raises Refusal, with all that is wrong, as the protocol says."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Refusal(400, "the body: expected a JSON object")
    fields = {name: value for name, value in fields.items() if value is not None and name != "user"}
    for name, neutral in NEUTRAL.items():
        if fields.pop(name, neutral) != neutral:
            raise Refusal(400, f"{name}: only {neutral} is supported", name)
    if isinstance(fields.get("stop"), str):
        fields["stop"] = [fields["stop"]]
    try:
        completion = build(Completion, {**DEFAULTS, **fields})
    except ConfigError as error:
        param = re.split(r"[:\[]", error.problems[0].removeprefix("config: "))[0]
        raise Refusal(400, "; ".join(error.problems), param if param in fields else None) from None
    if completion.model != served.name:
        absent = f"the model {completion.model!r} does not exist; there is {served.name!r}"
        raise Refusal(404, absent, "model", "model_not_found")
    if completion.trace and served.corpus is None:
        raise Refusal(400, "trace: this server does not hold the training text; start it with --trace", "trace")
    return completion


def answers(served: Served, request: Completion) -> Iterator[dict[str, Any]]:
    """The answer as it comes, as objects of the protocol; the last one has `finish_reason`, and `usage` beside it."""
    began, prompt = time.time(), served.tokenizer.encode([request.prompt])[0]
    frame = {"id": f"cmpl-{time.time_ns():x}", "object": "text_completion", "created": int(began)}
    frame |= {"model": request.model}
    drawn: list[int] = []
    text, sent, held = "", 0, max((len(stop) for stop in request.stop), default=1) - 1

    settings: dict[str, Any] = {name: getattr(request, name) for name in ("temperature", "top_k", "seed")}
    settings |= {"count": request.max_tokens, "end_of_text": served.tokenizer.end_of_text}

    def tokens() -> Iterator[int]:
        for token in generate(served.model, prompt, **settings):
            drawn.append(token)
            yield token
            if time.time() - began > SECONDS:
                return

    def choice(piece: str, reason: str | None) -> dict[str, Any]:
        return {"index": 0, "text": piece, "logprobs": None, "finish_reason": reason}

    if request.echo:
        yield {**frame, "choices": [choice(request.prompt, None)]}
    stopped = False
    for piece in pieces(served.tokenizer, tokens()):
        text += piece
        places = [place for stop in request.stop if (place := text.find(stop, max(0, sent - held))) >= 0]
        stopped, text = bool(places), text[: min(places)] if places else text
        ready = len(text) if stopped else max(sent, len(text) - held)
        if ready > sent:
            yield {**frame, "choices": [choice(text[sent:ready], None)]}
            sent = ready
        if stopped:
            break
    ended = stopped or (len(drawn) < request.max_tokens and time.time() - began <= SECONDS)
    last = choice(text[sent:], "stop" if ended else "length")
    if request.trace and served.corpus is not None:
        last["spans"] = [shown(span) for span in trace(served.corpus, text, LEAST)]
    usage = {"prompt_tokens": len(prompt), "completion_tokens": len(drawn), "total_tokens": len(prompt) + len(drawn)}
    yield {**frame, "choices": [last], "usage": usage}


def shown(span: Span) -> dict[str, Any]:
    """A span of the generated text, and the first places where it stands in the training text."""
    names = ("source", "path", "licence", "id")
    places = [{**{name: getattr(place.document, name) for name in names}, "byte": place.byte} for place in span.places]
    return {"start": span.start, "end": span.end, "occurrences": span.occurrences, "places": places}


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The parts of an answer as one."""
    text = "".join(part["choices"][0]["text"] for part in parts)
    return {**parts[-1], "choices": [{**parts[-1]["choices"][0], "text": text}]}


class Handler(BaseHTTPRequestHandler):
    """Routes and limits of the HTTP server, one request a connection; `answers` does the rest."""

    served: Served
    timeout = SILENCE

    def handle(self) -> None:
        """Answer the request; what has not come in whole by ARRIVAL, however steadily it drips, ends there."""
        self.late = threading.Timer(ARRIVAL, self.connection.shutdown, [socket.SHUT_RD])
        self.late.daemon = True
        self.late.start()
        try:
            super().handle()
        finally:
            self.late.cancel()

    def do_GET(self) -> None:
        try:
            self._answer()
            self.connection.shutdown(socket.SHUT_WR)
            self.rfile.read(BODY + 1)  # closing before it is read could take the answer back
        except OSError:
            pass  # whoever asked has gone

    def _answer(self) -> None:
        try:
            self._guard()
            self._route(self.path.split("?")[0])
        except Refusal as refusal:
            self._json({"error": refusal.body}, refusal.status)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def _guard(self) -> None:
        port = self.connection.getsockname()[1]
        names = {f"127.0.0.1:{port}", f"localhost:{port}"}
        if not set(self.headers.get_all("Host", [""])) <= names:
            raise Refusal(403, "this server answers to 127.0.0.1 and localhost only")
        if not set(self.headers.get_all("Origin", [])) <= {f"http://{name}" for name in names}:
            raise Refusal(403, "this server answers to no other page than its own")

    def _route(self, path: str) -> None:
        model = {"id": self.served.name, "object": "model", "created": 0, "owned_by": "you"}
        pages: Mapping[str, Any] = {
            "/v1/models": {"object": "list", "data": [{**model, "trace": self.served.corpus is not None}]},
            f"/v1/models/{self.served.name}": model,
        }
        allowed = "POST" if path == "/v1/completions" else "GET"
        if path not in ("/", "/v1/completions", *pages):
            chat = "; this is no chat model: it goes on with a text, at /v1/completions" if "chat" in path else ""
            raise Refusal(404, f"there is nothing at {path!r}{chat}")
        if self.command != allowed:
            raise Refusal(405, f"{self.command} is not allowed here; {allowed} is")
        if path == "/v1/completions":
            self._complete()
        elif path == "/":
            self._send(Path(__file__).with_name("server.html").read_bytes(), "text/html; charset=utf-8", 200)
        else:
            self._json(pages[path], 200)

    def _complete(self) -> None:
        request = understood(self.served, self._body())
        if not self.served.turn.acquire(timeout=WAIT):
            raise Refusal(503, "another text is being written; ask again later")
        try:
            parts = self._written(answers(self.served, request))
            if request.stream:
                return self._stream(parts)
            answer = joined(list(parts))
        finally:
            self.served.turn.release()
        self._json(answer, 200)  # the turn is free before the answer is out: whoever has it may ask again

    def _written(self, parts: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The parts, as long as somebody waits for them. Raises Refusal when they cannot be had."""
        while True:
            self._require_listener()
            try:
                part = next(parts, None)
            except UserError as error:
                raise Refusal(500, str(error)) from None
            except Exception as error:  # our own mistake, which is no reason to say half of something
                raise Refusal(500, f"the answer could not be written ({type(error).__name__}: {error})") from None
            if part is None:
                return
            yield part

    def _stream(self, parts: Iterator[dict[str, Any]]) -> None:
        first = next(parts)  # what fails at once is answered as such
        self._head("text/event-stream", 200)
        try:
            for part in chain([first], parts):
                self._event(part)
        except Refusal as refusal:
            self._event({"error": refusal.body})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: Any) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def _require_listener(self) -> None:
        """ConnectionError when whoever asked has gone: nobody else has to wait for an answer to nobody."""
        self.connection.setblocking(False)
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError
        except BlockingIOError:
            pass  # nothing more was said
        finally:
            self.connection.settimeout(SILENCE)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refusal(411, "expected a Content-Length")
        if len(length) > 9 or int(length) > BODY:
            raise Refusal(413, f"the body: expected at most {BODY} bytes, got {length[:20]}")
        if self.headers.get_content_type() != "application/json":
            raise Refusal(415, f"expected application/json, got {self.headers.get_content_type()}")
        body = self.rfile.read(int(length))
        self.late.cancel()
        if len(body) < int(length):
            raise Refusal(408, f"the body: expected all of it within {ARRIVAL} seconds")
        return body

    def _json(self, value: Any, status: int) -> None:
        self._send(json.dumps(value).encode() + b"\n", "application/json", status)

    def _send(self, body: bytes, kind: str, status: int) -> None:
        self._head(kind, status, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, kind: str, status: int, length: int | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        headers |= {"Cache-Control": "no-store"} | ({} if length is None else {"Content-Length": str(length)})
        if status == 405:
            headers["Allow"] = "POST" if self.path.startswith("/v1/completions") else "GET"
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library itself refuses, such as a torn request, in the protocol's words."""
        self.command = getattr(self, "command", None) or "GET"
        self.path = getattr(self, "path", "")
        self._json({"error": Refusal(code, message or self.responses[code][0]).body}, code)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is asked is nobody else's business."""
