"""`make conformance`: each client in an environment of its own against a venue, and docs/conformance.md of it."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from eth_account import Account
from rich.console import Console

from quant_organism.market import Interval, WorldSource
from quant_organism.market.world.spec import Asset, WorldSpec
from quant_organism.simulator import RunningVenue, ServerSpec, VenueClock, VenueServer, open_engine
from quant_organism_tests.conformance.trial import KEYS, Trial
from quant_organism_tests.environments import SECONDS, python_with

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parents[1]
PAGE: Final = REPOSITORY / "docs" / "conformance.md"
ENVIRONMENTS: Final = REPOSITORY / "data" / "conformance"


@dataclass(frozen=True, slots=True)
class ForeignClient:
    """Somebody else's client.

    Parameters
    ----------
    name, package
        What it is called, and the package whose version counts.
    module
        File of this folder that drives it; its requirements are beside it.
    """

    name: str
    package: str
    module: str


CLIENTS: Final = (
    ForeignClient("official SDK", "hyperliquid-python-sdk", "official"),
    ForeignClient("ccxt", "ccxt", "ccxt_client"),
    ForeignClient("nautilus_trader", "nautilus-trader", "nautilus"),
)


def environment(client: ForeignClient) -> Path:
    """Return the Python of a client's environment."""
    return python_with(HERE / f"{client.module}.txt", ENVIRONMENTS / client.module)


def drive(client: ForeignClient, url: str) -> list[Trial]:
    """Run a client against the venue at a URL; return what came of each method."""
    command = [environment(client), "-m", f"conformance.{client.module}", url]
    bare = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    told = subprocess.run(command, cwd=HERE.parent, env=bare, capture_output=True, text=True, timeout=SECONDS)
    try:
        return [Trial(**row) for row in json.loads(told.stdout)]
    except json.JSONDecodeError:
        return [Trial("client", "start", "failed", told.stderr.strip().splitlines()[-1] if told.stderr else "no word")]


def version(client: ForeignClient) -> str:
    """Return the version that a client's requirements pin."""
    text = (HERE / f"{client.module}.txt").read_text()
    found = re.search(rf"^{re.escape(client.package)}==(\S+)", text, re.MULTILINE)
    assert found is not None, f"{client.package} is not pinned"
    return found[1]


def serve() -> RunningVenue:
    """Return a venue on which two wallets have money, and which opens now: clients ask for the last day."""
    assets = (Asset(symbol="BTC", price=80_000.0), Asset(symbol="ETH", price=2_000.0), Asset(symbol="DOGE", price=0.2))
    world = WorldSpec(name="conformance", start=date(2026, 1, 1), days=8, assets=assets, seed=1)
    deposits = {Account.from_key(key).address.lower(): 100_000 for key in KEYS.values()}
    now = int(time.time() * 1000)
    engine = open_engine(WorldSource(world), Interval.parse("1h"), now_ms=now, seed=1, deposits=deposits)
    spec = ServerSpec(ip_weight_per_minute=None)
    return RunningVenue(VenueServer(engine, VenueClock(engine.now_ms, 1.0, time.monotonic), spec))


def page(results: Sequence[tuple[ForeignClient, list[Trial]]], now: datetime) -> str:
    """Return docs/conformance.md."""
    lines = [
        "# Conformance",
        "",
        "Written by `make conformance`, which lets other people's clients talk to the simulated exchange: each in an",
        "environment of its own with pinned versions (`quant_organism_tests/conformance`), against a venue of its own.",
        f"Last on {now:%Y-%m-%d}.",
        "",
        "`passed`: the client asked, got an answer, and understood it for what it is. `refused`: so it should be, with",
        "the simulator's text. `not offered`: by the simulator or by the client, with the reason.",
        "",
        "| client | version | passed | refused | failed | not offered |",
        "|---|---|---|---|---|---|",
    ]
    for client, trials in results:
        count = Counter(trial.result for trial in trials)
        numbers = " | ".join(str(count[result]) for result in ("passed", "refused", "failed", "not offered"))
        lines.append(f"| {client.name} | {version(client)} | {numbers} |")
    for client, trials in results:
        lines += ["", f"## {client.name}", "", "| part | passed |", "|---|---|"]
        for part in dict.fromkeys(trial.part for trial in trials):
            passed = [f"`{trial.method}`" for trial in trials if trial.part == part and trial.result == "passed"]
            lines.append(f"| {part} | {', '.join(passed) or 'nothing'} |")
        rest = [trial for trial in trials if trial.result != "passed"]
        if rest:
            lines += ["", "| part | method | result | why |", "|---|---|---|---|"]
            lines += [f"| {t.part} | `{t.method}` | {t.result} | {t.detail.replace('|', '/')} |" for t in rest]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive the clients that are named, or all, and write the page where all were; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m quant_organism_tests.conformance", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help=f"of {', '.join(c.module for c in CLIENTS)}")
    said = parser.parse_args(arguments)
    if unknown := set(said.clients) - {client.module for client in CLIENTS}:
        parser.error(f"no client is called {', '.join(sorted(unknown))}")
    console, results = Console(), []
    for client in CLIENTS:
        if said.clients and client.module not in said.clients:
            continue
        with serve() as running:
            trials = drive(client, running.url)
        results.append((client, trials))
        for trial in trials:
            if trial.result == "failed":
                console.print(f"[red]{client.name}: {trial.part} {trial.method}: {trial.detail}", highlight=False)
        count = Counter(trial.result for trial in trials)
        told = ", ".join(f"{number} {result}" for result, number in count.items())
        console.print(f"{client.name} {version(client)}: {told}")
    if not said.clients:
        PAGE.write_text(page(results, datetime.now(UTC)))
        console.print(f"written: {PAGE.relative_to(REPOSITORY)}")
    return int(any(trial.result == "failed" for _, trials in results for trial in trials))


if __name__ == "__main__":
    sys.exit(main())
