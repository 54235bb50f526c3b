"""A line that is bent on holding us up: answers that drip, that do not end, that send us to another host."""

import gzip
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from quant_organism.venue import VenueSpec
from quant_organism.venue.client.line import MAX_ANSWER_BYTES
from quant_organism.venue.client.network import Limits
from quant_organism.venue.client.transport import Transport, VenueUnreachable, VenueUnreadable

Answer = Callable[[socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def listening(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """Serve on loopback with a function that is handed the socket after each request; give URL and requests."""
    server, heard = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            line.settimeout(30.0)
            with line:
                try:
                    heard.append(line.recv(65_536))
                    answer(line)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(30.0)


def transport(url: str, *, patience_s: float = 30.0) -> Transport:
    """Return a way to a venue that is asked once; little patience is for lines that are to be given up."""
    limits = Limits(info_attempts=1)
    spec = VenueSpec("simulator", "0x" + "ab" * 20, url, connect_seconds=0.2, read_seconds=patience_s, limits=limits)
    return Transport(spec)


def drip(content: bytes) -> Answer:
    """Send a byte at a time, each before the wait for the next one is over."""

    def answer(line: socket.socket) -> None:
        for byte in content:
            line.sendall(bytes([byte]))
            time.sleep(0.05)

    return answer


def flood(size: int) -> Answer:
    """Send more than anybody could want to know, and it is JSON."""

    def answer(line: socket.socket) -> None:
        line.sendall(HEAD % (size + 2) + b"{}")
        for _ in range(size // 65_536):
            line.sendall(b" " * 65_536)

    return answer


BODY = json.dumps({"time": 1, "padding": "x" * 40}).encode()


@pytest.mark.parametrize("content", [HEAD % len(BODY) + BODY, BODY], ids=["head and body", "no head"])
def test_an_answer_that_drips_is_given_up(content: bytes) -> None:
    with listening(drip(content)) as (url, _), pytest.raises(VenueUnreachable, match="no whole answer"):
        transport(url, patience_s=0.4).info({"type": "exchangeStatus"})


def test_a_body_that_drips_is_given_up() -> None:
    def answer(line: socket.socket) -> None:
        line.sendall(HEAD % len(BODY))
        drip(BODY)(line)

    with listening(answer) as (url, _), pytest.raises(VenueUnreachable, match="no whole answer"):
        transport(url, patience_s=0.4).info({"type": "exchangeStatus"})


def test_after_an_answer_that_dripped_the_next_one_is_heard() -> None:
    calls = itertools.count()

    def answer(line: socket.socket) -> None:
        if next(calls) == 0:
            line.sendall(HEAD % len(BODY))
            drip(BODY)(line)
        else:
            line.sendall(HEAD % len(BODY) + BODY)

    with listening(answer) as (url, _):
        line = transport(url, patience_s=1.5)
        with pytest.raises(VenueUnreachable):
            line.info({"type": "exchangeStatus"})
        assert line.info({"type": "exchangeStatus"})["time"] == 1


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with listening(flood(2 * MAX_ANSWER_BYTES)) as (url, _), pytest.raises(VenueUnreadable, match="larger than"):
        transport(url).info({"type": "exchangeStatus"})


def packed(content: bytes) -> Answer:
    """Send something compressed."""
    small = gzip.compress(content)
    head = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") % len(small)
    return lambda line: line.sendall(head + small)


def test_a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked() -> None:
    bomb = packed(b" " * (2 * MAX_ANSWER_BYTES) + b"{}")
    with listening(bomb) as (url, _), pytest.raises(VenueUnreadable, match="larger than"):
        transport(url).info({"type": "exchangeStatus"})


def test_a_packed_answer_is_read() -> None:
    with listening(packed(BODY)) as (url, _):
        assert transport(url).info({"type": "exchangeStatus"})["time"] == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_signed_follows_to_another_host(status: int) -> None:
    ok = b'{"status":"ok"}'
    with listening(lambda line: line.sendall(HEAD % len(ok) + ok)) as (other, stolen):
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {other}/exchange\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(lambda line: line.sendall(head)) as (url, _):
            line = transport(url)
            with pytest.raises(VenueUnreadable, match=str(status)):
                line.exchange({"action": {"type": "order"}, "signature": "secret"}, 1, is_urgent=True)
            with pytest.raises(VenueUnreadable, match=str(status)):
                line.info({"type": "meta"})
    assert stolen == []
