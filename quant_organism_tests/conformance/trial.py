"""What was tried with a client, and what came of it; standard library only: each client's environment is bare."""

import argparse
import asyncio
import itertools
import json
import os
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Result = Literal["passed", "refused", "failed", "not offered"]

KEYS: Final = {name: "0x" + byte * 32 for name, byte in (("alice", "a1"), ("bob", "b0"))}
"""Wallets that the venue is opened with money for."""

VAULT: Final = "0x" + "7a" * 20
SECONDS: Final = 20.0
_DETAIL: Final = 160
_NONCES = itertools.count(int(time.time() * 1000))


@dataclass(frozen=True, slots=True)
class Trial:
    """One method.

    Parameters
    ----------
    result
        `refused`: as it should be, with the text that says why; `not offered`: by the venue, or by the client.
    detail
        The text, or what went wrong.
    """

    part: str
    method: str
    result: Result
    detail: str = ""


class Refused(Exception):
    """The venue said no, and should have; the message is what it said."""


class Trials:
    """Tries methods one by one, and keeps what comes of each."""

    def __init__(self) -> None:
        self.found: list[Trial] = []

    def run(self, part: str, method: str, call: Callable[[], object]) -> None:
        """Try a method: it passes where nothing is raised."""
        try:
            call()
        except Refused as refused:
            self.found.append(Trial(part, method, "refused", str(refused)))
        except Exception as error:  # whatever a client raises is what came of it
            self.found.append(Trial(part, method, "failed", f"{type(error).__name__}: {error}"[:_DETAIL]))
        else:
            self.found.append(Trial(part, method, "passed"))

    async def run_async(self, part: str, method: str, call: Callable[[], Awaitable[object]]) -> None:
        """Try a method of a client that is asynchronous."""
        try:
            await asyncio.wait_for(call(), SECONDS)
        except Refused as refused:
            self.found.append(Trial(part, method, "refused", str(refused)))
        except Exception as error:  # see run
            self.found.append(Trial(part, method, "failed", f"{type(error).__name__}: {error}"[:_DETAIL]))
        else:
            self.found.append(Trial(part, method, "passed"))

    def leave(self, part: str, method: str, reason: str) -> None:
        """Say that a method is not offered."""
        self.found.append(Trial(part, method, "not offered", reason))


def admin(url: str, name: str, **body: Any) -> Any:
    """Tell the venue something from outside the wire; return its answer."""
    request = urllib.request.Request(
        f"{url}/admin/{name}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.load(answer)


def next_nonce() -> int:
    """Return a nonce above all before it: clients stamp with the millisecond, of which two requests may have one."""
    return next(_NONCES)


def main(drive: Callable[[str, Trials], None]) -> None:
    """Drive the client against the venue at the URL that is given, and print what came of it as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    trials = Trials()
    drive(parser.parse_args().url, trials)
    sys.stdout.write(json.dumps([asdict(trial) for trial in trials.found]) + "\n")
    sys.stdout.flush()
    os._exit(0)  # threads of a client may never end
