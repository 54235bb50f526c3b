"""A program that trades with a key in a process of its own, logging all that any library says, until everything failed.

``python -m quant_organism_tests.cli.trading_session FOLDER``: settings from the environment, as for the command line.
"""

import asyncio
import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import requests

from quant_organism.cli.venue import access_plan
from quant_organism.errors import QuantOrganismError
from quant_organism.market.schema import Interval
from quant_organism.settings import load_settings
from quant_organism.trading.orders import Journal, OrderManager, Watchdog, cloid_of, flatten, reconcile
from quant_organism.venue import (
    Feed,
    FeedPlan,
    NewOrder,
    Recorder,
    connect,
    info_of,
    open_account,
    signing_wallet,
    venue_spec,
)

COIN = "SIM-TWO"
FAULTS = (
    {"kind": "reset_after"},
    {"kind": "truncate_answer"},
    {"kind": "http_status", "options": {"status": 422, "body": "no"}},
    {"kind": "http_status", "options": {"status": 403, "body": '{"msg":"no"}'}},
    {"kind": "refuse_action", "options": {"text": "User or API Wallet 0x0 does not exist."}},
)


def main(folder: Path) -> int:
    """Trade, be refused, fail, and clean up."""
    logging.basicConfig(filename=folder / "session.log", level=logging.DEBUG, force=True)
    settings = load_settings()
    plan = access_plan(settings)
    spec, key = venue_spec(plan), signing_wallet(plan)
    venue = open_account(plan)
    journal = Journal(settings.data_dir / "trader" / f"{venue.address}.sqlite", f"simulator {venue.address}")
    manager = OrderManager(venue, journal)
    watchdog = Watchdog(spec, settings.data_dir / "trader" / "watchdog", 60.0, key)
    reconcile(manager)
    px = manager.venue.mids()[COIN]
    for number, fault in enumerate(({}, *FAULTS)):
        if fault:
            requests.post(f"{spec.base_url}/admin/faults", json={**fault, "endpoint": "exchange"}, timeout=10)
        order = NewOrder(cloid_of(str(number)), COIN, True, Decimal(f"{px * 101 / 100:.3g}"), Decimal(5), tif="Ioc")
        manager.place(str(number), [order])
        watchdog.beat()
    logging.info("orders %r of %r by %r under %r", manager.journal.orders(), venue, key, settings)
    asyncio.run(_listen(spec.base_url, spec.account_address, folder / "recording"))
    flatten(manager, "end", sleep=lambda seconds: None)
    for failing in (
        lambda: connect(replace(spec, account_address="0x" + "9" * 40), key, folder / "other"),
        lambda: connect(spec, key, settings.data_dir / "trader" / "signers"),
        lambda: connect(replace(spec, base_url="http://127.0.0.1:9"), key, folder / "nowhere"),
        lambda: key.__reduce__(),
        lambda: f"{key:x}",
    ):
        _write_down(failing)
    watchdog.release()
    venue.close()
    return 0


def _write_down(failing: Callable[[], object]) -> None:
    """Log an error as badly as one can: with its traceback, and the values of all its variables."""
    try:
        failing()
    except (QuantOrganismError, TypeError) as error:
        captured = traceback.TracebackException.from_exception(error, capture_locals=True)
        logging.exception("%s", "".join(captured.format()))
    else:
        raise AssertionError("it should have failed")


async def _listen(url: str, user: str, folder: Path) -> None:
    ask = info_of(url)
    plan = FeedPlan({COIN: 2}, [Interval.parse("1m")], ask({"type": "exchangeStatus"})["time"], users=(user,))
    feed = Feed(url, plan, ask, rng=np.random.default_rng(0), recorder=Recorder(folder))
    running = asyncio.create_task(feed.run())
    await asyncio.sleep(1.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
