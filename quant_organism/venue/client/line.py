"""One thread's connection to the venue: every answer whole within a time, of a size that can be wanted, from one host.

A timeout of a socket bounds each wait, not their sum: an answer that comes byte by byte would be read for ever. So a
timer breaks the connection when the time for the whole of it is over.
"""

import contextlib
import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MAX_ANSWER_BYTES: Final = 1 << 25
"""Several times the largest answer that the venue gives."""
_CHUNK: Final = 1 << 16
_HEADERS: Final = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}


class TooLarge(Exception):
    """An answer is larger than any that can be wanted."""


class TooSlow(Exception):
    """An answer was not whole when its time was over."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its HTTP status, its headers by names in small letters, and all of its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Line:
    """A connection that is kept open between requests; it belongs to one thread.

    Parameters
    ----------
    connect_seconds, read_seconds
        Longest wait for a connection and for the next bytes; together, the longest for a whole answer.
    proxy
        URL of an HTTP proxy; none: nothing of the environment either.
    """

    def __init__(self, connect_seconds: float, read_seconds: float, proxy: str | None) -> None:
        self._timeouts = (connect_seconds, read_seconds)
        self._watched = _Watched()
        self._session = requests.Session()
        self._session.trust_env = False
        if proxy is not None:
            self._session.proxies = {"http": proxy, "https": proxy}
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._watched))

    def post(self, url: str, body: Mapping[str, Any]) -> Reply:
        """Send JSON and return the answer, wherever it says to go instead.

        Raises
        ------
        TooSlow, TooLarge
            See each.
        requests.exceptions.RequestException, urllib3.exceptions.HTTPError
            What else can happen on the way.
        """
        options: dict[str, Any] = {"timeout": self._timeouts, "stream": True, "allow_redirects": False}
        with self._in_time(), self._session.post(url, json=body, headers=_HEADERS, **options) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, headers, _body(response))

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._watched.cut()

        timer = threading.Timer(sum(self._timeouts), expire)
        timer.daemon = True
        timer.start()
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        finally:
            timer.cancel()
        if expired.is_set():  # what was read may have been cut off where it looks whole
            raise TooSlow(f"no whole answer in {sum(self._timeouts):g} s") from None
        if failure is not None:
            raise failure


class _Watched:
    """The socket of a line, for whoever must break it from another thread."""

    def __init__(self) -> None:
        self.socket: socket.socket | None = None

    def cut(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)  # below TLS, which is not safe over threads


class _Adapter(HTTPAdapter):
    """Makes connections whose socket is known."""

    def __init__(self, watched: _Watched) -> None:
        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                watched.socket = self.sock

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                watched.socket = self.sock

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _body(response: requests.Response) -> bytes:
    """Return the whole body, unpacked no further than can be wanted."""
    packed = response.headers.get("Content-Encoding", "identity").lower() == "gzip"
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS) if packed else None
    content = bytearray()
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        content += chunk if unpacking is None else unpacking.decompress(chunk, MAX_ANSWER_BYTES + 1 - len(content))
        if len(content) > MAX_ANSWER_BYTES:
            raise TooLarge(f"an answer larger than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)
