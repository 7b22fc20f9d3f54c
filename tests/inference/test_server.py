"""The server as programs and people meet it: the real handler on loopback, and the command that starts it."""

import functools
import hashlib
import http.client
import json
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT, wait_for
from little import MODEL as TINY
from little import TEXT, write_release

from train.data import tokenizer as tokenizers
from train.data.schema import TokenRange
from train.data.selected import kept_documents
from train.errors import UserError
from train.explore.search import corpus
from train.inference import server
from train.inference.generate import generate, pieces
from train.inference.server import BODY, TOKENS, Served
from train.model import Transformer


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def served(release):
    tokenizer = tokenizers.load(release)
    (row,) = kept_documents(release / "selected", "train")
    document = TokenRange(row.id, 0, 9, len(TEXT.encode()), row.source, row.path, row.licence)
    text = corpus(release / "selected", [document])
    return Served("cats", Transformer(TINY, 270, seed=1).double(), tokenizer, text, threading.Lock())


@pytest.fixture(scope="module")
def port(served):
    with server.server(served, 0) as bound:
        threading.Thread(target=bound.serve_forever, daemon=True).start()
        yield bound.server_address[1]
        bound.shutdown()


def asked(port, method="POST", path="/v1/completions", body=None, raw=None, **headers):
    """The status of a server's answer, and what it said."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    sent = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    kind = {"Content-Type": "application/json"} if sent is not None else {}
    connection.request(method, path, sent, {**kind, **{n.replace("_", "-"): v for n, v in headers.items()}})
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(found) if is_json else found.decode()


@pytest.fixture
def ask(port):
    return functools.partial(asked, port)


def request(port: int, body: bytes, *more: str, method: str = "POST", path: str = "/v1/completions") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", "Content-Type: application/json", *more]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@pytest.fixture
def connection(port, monkeypatch):
    monkeypatch.setattr(server, "ARRIVAL", 1)  # before the server begins to wait
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


ASKED = {"model": "cats", "prompt": "the cat", "max_tokens": 12, "temperature": 1.5, "top_k": 50, "seed": 2}


def drawn(served, count=12, seed=2):
    start = served.tokenizer.encode(["the cat"])[0]
    settings = {"temperature": 1.5, "top_k": 50, "end_of_text": 0}
    return list(generate(served.model, start, count=count, seed=seed, **settings))


def test_a_completion_is_the_text_that_the_model_writes(ask, served):
    status, found = ask(body=ASKED)
    tokens = drawn(served)
    text = "".join(pieces(served.tokenizer, tokens))
    assert (status, found["object"], found["model"]) == (200, "text_completion", "cats")
    (choice,) = found["choices"]
    assert choice == {"index": 0, "text": text, "logprobs": None, "finish_reason": "length"}
    prompt = len(served.tokenizer.encode(["the cat"])[0])
    assert found["usage"] == {"prompt_tokens": prompt, "completion_tokens": 12, "total_tokens": prompt + 12}
    assert ask(body=ASKED)[1]["choices"] == found["choices"]
    assert ask(body={**ASKED, "seed": 3})[1]["choices"] != found["choices"]
    echoed = ask(body={**ASKED, "echo": True, "user": "me", "n": 1, "suffix": None})[1]
    assert echoed["choices"][0]["text"] == "the cat" + text


def test_a_stream_gives_the_same_in_parts_and_ends_as_the_protocol_says(ask):
    whole = ask(body=ASKED)[1]
    status, found = ask(body={**ASKED, "stream": True})
    events = found.split("\n\n")
    assert (status, events[-2:]) == (200, ["data: [DONE]", ""])
    parts = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert len(parts) > 4 and "".join(part["choices"][0]["text"] for part in parts) == whole["choices"][0]["text"]
    assert [part["choices"][0]["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + ["length"]
    assert parts[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_ends_before_a_stop_text_even_one_of_several_tokens(ask, stream):
    text = ask(body=ASKED)[1]["choices"][0]["text"]
    stop = text[len(text) // 2 : len(text) // 2 + 4]
    found = ask(body={**ASKED, "stop": ["never so", stop], "stream": stream})[1]
    parts = [json.loads(e[6:]) for e in found.split("\n\n")[:-2]] if stream else [found]
    assert "".join(part["choices"][0]["text"] for part in parts) == text[: text.index(stop)]
    assert parts[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_end_of_text_is_a_stop_and_time_bounds_an_answer(ask, served, monkeypatch):
    seed = next(seed for seed in range(400) if len(drawn(served, 30, seed)) < 30)
    assert ask(body={**ASKED, "max_tokens": 30, "seed": seed})[1]["choices"][0]["finish_reason"] == "stop"
    monkeypatch.setattr(server, "SECONDS", 0)
    found = ask(body={**ASKED, "max_tokens": 2000})[1]
    assert found["usage"]["completion_tokens"] == 1 and found["choices"][0]["finish_reason"] == "length"


def test_spans_of_the_training_text_are_named_with_source_and_licence(ask, served, monkeypatch):
    said = "xx the cat sat on the mat, \u00e9t\u00e9 zz"
    tokens = served.tokenizer.encode([said])[0]
    monkeypatch.setattr(server, "generate", lambda model, prompt, **_: iter(tokens))
    choice = ask(body={**ASKED, "trace": True, "max_tokens": 100})[1]["choices"][0]
    (span,) = choice["spans"]
    assert choice["text"] == said and said[span["start"] : span["end"]] == " the cat sat on the mat, \u00e9t\u00e9 "
    assert span["occurrences"] == 8  # the first one has no space before it
    place = {"source": "x", "path": "x", "licence": "MIT", "id": hashlib.sha256(TEXT.encode()).hexdigest()}
    assert span["places"][0] == {**place, "byte": len(TEXT.encode()) // 9 - 1}
    assert "spans" not in ask(body=ASKED)[1]["choices"][0]


def test_without_an_index_nothing_can_be_traced(served, ask, monkeypatch):
    with pytest.raises(server.Refusal, match="start it with --trace"):
        bare = Served("cats", served.model, served.tokenizer, None, threading.Lock())
        server.understood(bare, json.dumps({**ASKED, "trace": True}).encode())


def test_models_and_the_page(ask):
    status, found = ask("GET", "/v1/models")
    assert (status, [model["id"] for model in found["data"]], found["object"]) == (200, ["cats"], "list")
    assert ask("GET", "/v1/models/cats")[1]["object"] == "model"
    status, page = ask("GET", "/")
    assert status == 200 and "<form>" in page and not re.findall(r"(?:src|href)=\"(?!data:)", page)


@pytest.mark.parametrize(("change", "param", "says"), [
    ({"max_tokens": "many"}, "max_tokens", "expected int, got 'many'"),
    ({"max_tokens": 0}, "max_tokens", f"expected 1 to {TOKENS}"),
    ({"max_tokens": 10**9}, "max_tokens", f"expected 1 to {TOKENS}"),
    ({"temperature": 2.5}, "temperature", "expected 0 to 2"), ({"temperature": True}, "temperature", "expected float"),
    ({"top_k": 0}, "top_k", "expected null or at least 1"), ({"stop": ["a"] * 5}, "stop", "a length of at most 4"),
    ({"stop": [""]}, "stop", "a length of at least 1"), ({"prompt": ["two", "prompts"]}, "prompt", "expected str"),
    ({"prompt": "\udcff"}, "prompt", "expected text without"), ({"prompt": None}, None, "prompt: missing"),
    ({"n": 2}, "n", "only 1 is supported"), ({"logprobs": 5}, None, "unknown key 'logprobs'"),
    (b"{", None, "not JSON"), (b"[1]", None, "expected a JSON object"), (b"\xff", None, "not JSON"),
    (b"[" * 60000, None, "not JSON"),
])  # fmt: skip
def test_a_wrong_parameter_or_body_is_answered_as_the_protocol_says(ask, change, param, says):
    status, found = ask(raw=change) if isinstance(change, bytes) else ask(body={**ASKED, **change})
    assert (status, found["error"]["type"], found["error"]["param"]) == (400, "invalid_request_error", param)
    assert says in found["error"]["message"] and found["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "says"), [
    ("POST", "/v1/completions", {**ASKED, "model": "gpt"}, {}, 404, "model_not_found"),
    ("GET", "/v2/nothing", None, {}, 404, ""), ("GET", "/v1/models/dogs", None, {}, 404, ""),
    ("GET", "/v1/completions", None, {}, 405, ""), ("DELETE", "/", None, {}, 405, ""),
    ("BREW", "/", None, {}, 501, "server_error"), ("POST", "/v1/completions", " " * BODY, {}, 413, str(BODY)),
    ("POST", "/v1/completions", {}, {"Content_Type": "text/plain"}, 415, ""),
    *(("POST", "/v1/completions", ASKED, headers, status, "") for headers, status in (
        ({"Host": "evil.example"}, 403), ({"Host": "127.0.0.1"}, 403), ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403), ({"Content_Length": "-5"}, 411))),  # this machine, by its own name, alone
])  # fmt: skip
def test_other_models_places_methods_sizes_and_machines_are_refused(ask, method, path, body, headers, status, says):
    found, said = ask(method, path, body=body, **headers)
    assert found == status and says in json.dumps(said["error"])


def test_its_own_page_and_names_are_answered(ask, port, served):
    for name in ("127.0.0.1", "localhost"):
        assert ask("GET", "/v1/models", Host=f"{name}:{port}", Origin=f"http://{name}:{port}")[0] == 200
    with server.server(served, 0) as bound:
        assert bound.server_address[0] == "127.0.0.1"


def test_who_waits_too_long_for_the_turn_is_told(ask, served, monkeypatch):
    monkeypatch.setattr(server, "WAIT", 0.05)
    with served.turn:
        status, found = ask(body=ASKED)
    assert (status, found["error"]["type"]) == (503, "server_error") and ask(body=ASKED)[0] == 200


def test_a_torn_request_is_answered_in_json(connection):
    connection.sendall(b"nonsense\r\n\r\n")
    answer = connection.makefile("rb").read()
    assert b'"invalid_request_error"' in answer and b"<html" not in answer.lower()


def reset(connection: socket.socket) -> None:
    """Leave without a word of goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
@pytest.mark.parametrize("stream", [True, False])
def test_who_leaves_frees_the_turn_in_silence(ask, connection, port, served, monkeypatch, capfd, leave, stream):
    written, real = [], server.generate
    slow = lambda *a, **k: (written.append(t) or time.sleep(0.01) or t for t in real(*a, **k))  # noqa: E731
    monkeypatch.setattr(server, "generate", slow)
    connection.sendall(request(port, json.dumps({**ASKED, "max_tokens": TOKENS, "stream": stream}).encode()))
    wait_for(lambda: written)
    leave(connection)
    wait_for(lambda: not served.turn.locked())
    assert len(written) < TOKENS // 4 and capfd.readouterr().err == "" and ask(body=ASKED)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"POST /v1/comp", b"GET / HTTP/1.1\r\nHost: loc", b"nonsense\r\n\r\n",
                                  b"\0" * 70000])  # fmt: skip
def test_who_leaves_before_all_is_said_is_passed_over_in_silence(connection, ask, capfd, sent):
    connection.sendall(sent)
    reset(connection)
    assert ask("GET", "/v1/models")[0] == 200
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("head", "answer"), [(True, b"HTTP/1.0 408 "), (False, b"")], ids=["body", "head"])
def test_a_request_that_drips_is_given_up_in_time(connection, port, served, capfd, head, answer):
    whole = request(port, json.dumps(ASKED).encode())
    if head:
        start, whole = whole.split(b"\r\n\r\n")
        connection.sendall(start + b"\r\n\r\n")
    for byte in whole:  # each well before a silence would be too long
        connection.sendall(bytes([byte]))
        if given_up := select.select([connection], [], [], 0.05)[0]:
            break
    assert given_up and not served.turn.locked()
    assert (not head or connection.makefile("rb").read().startswith(answer)) and capfd.readouterr().err == ""


@pytest.mark.parametrize(("method", "path", "body", "more", "status"), [
    ("GET", "/v1/models", b"{}", (), 200), ("GET", "/v1/models", b"GET /v2/evil HTTP/1.1\r\n\r\n", (), 200),
    ("GET", "/v1/models", b"x" * (BODY + 1), (), 200), ("GET", "/v2/nothing", b"x" * BODY, (), 404),
    ("DELETE", "/", b"GET / HTTP/1.1\r\n\r\n", (), 405),
    ("GET", "/v1/models", b"2\r\n{}\r\n0\r\n\r\n", ("Transfer-Encoding: chunked",), 200),
    ("POST", "/v1/completions", b"2\r\n{}\r\n0\r\n\r\n", ("Transfer-Encoding: chunked",), 411),
    ("POST", "/v1/completions", b"x" * (BODY + 1), (), 413),
])  # fmt: skip
def test_a_body_that_nobody_asked_for_is_no_second_request(connection, port, capfd, method, path, body, more, status):
    connection.sendall(request(port, body, *more, method=method, path=path))
    said = connection.makefile("rb").read()
    assert said.startswith(f"HTTP/1.0 {status} ".encode()) and said.count(b"HTTP/1.0") == 1
    json.loads(said.split(b"\r\n\r\n", 1)[1])
    assert capfd.readouterr().err == ""


def failing(after: int, error: Exception):
    """An answer that fails after so many parts."""

    def answers(served, asked):
        for number in range(after):
            choice = {"index": 0, "text": str(number), "logprobs": None, "finish_reason": None}
            yield {"id": "x", "choices": [choice]}
        raise error

    return answers


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("error", [UserError("the index is gone"), KeyError("x")])
def test_an_answer_that_fails_is_an_error_and_not_half_of_one(ask, served, monkeypatch, capfd, after, stream, error):
    says = str(error) if isinstance(error, UserError) else "KeyError"
    monkeypatch.setattr(server, "answers", failing(after, error))
    status, found = ask(body={**ASKED, "stream": stream})
    if stream and after:
        events = found.split("\n\n")
        assert (status, events[-2:]) == (200, ["data: [DONE]", ""])
        found = json.loads(events[-3].removeprefix("data: "))
    else:
        assert status == 500
    assert found["error"]["type"] == "server_error" and says in found["error"]["message"]
    assert not served.turn.locked() and capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_writes_and_shows_what_stands_in_the_training_text(port, served, browse, monkeypatch, scheme):
    said = "\U0001f600<b>\u00e9</b> the cat sat on the mat, \u00e9t\u00e9 zz"
    tokens = served.tokenizer.encode([said])[0]
    monkeypatch.setattr(server, "generate", lambda model, prompt, **_: iter(tokens))
    page = browse(f"http://127.0.0.1:{port}/", color_scheme=scheme)
    page.shown.fill("#prompt", "xx")
    page.shown.click("button")
    page.shown.wait_for_selector("#spans li")
    assert page.shown.inner_text("#text") == f"xx{said}"
    assert page.shown.inner_text("mark") == " the cat sat on the mat, \u00e9t\u00e9 "
    assert "in the training text 8 times: x of x, MIT" in page.shown.inner_text("#spans")
    assert page.violations() == [] == page.complaints
    assert all(url.startswith(f"http://127.0.0.1:{port}/") for url in page.requests)


def test_the_command_serves_until_it_is_interrupted(release):
    line = [sys.executable, str(ROOT / "scripts/pellucid.py"), "sample", str(release), "--serve", "0"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+) ", process.stdout.readline())[1])
        assert asked(port, body={**ASKED, "model": release.name})[1]["usage"]["completion_tokens"] == 12
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err
