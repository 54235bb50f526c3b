"""A trader that is killed (SIGKILL) again and again, at any instruction, and taken up again by the next process."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import requests

from quant_organism.simulator import Fault, FaultPlan, RunningVenue
from quant_organism.trading.orders import Journal, OrderManager, Reconciliation, reconcile
from quant_organism.venue import HyperliquidVenue, Limits, VenueError, VenueSpec, connect
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.chaos.market import COINS, chaos_venue, chaos_wallet
from quant_organism_tests.chaos.strategy import Strategy

LONGEST_SECONDS: Final = 0.6
START_SECONDS, END_SECONDS = 120.0, 60.0
TRIES: Final = 20
SPEED, PACE_SECONDS = 60.0, 0.02
VISIBILITY_SECONDS: Final = 1.0
FAULTS: Final = [
    {"kind": "reset_after", "endpoint": "exchange", "count": None, "probability": 0.1},
    {"kind": "latency", "endpoint": "exchange", "count": None, "options": {"ms": 0, "jitter_ms": 40}},
    {"kind": "answer_latency", "endpoint": "exchange", "count": None, "probability": 0.3, "options": {"ms": 20}},
    {"kind": "visibility_lag", "endpoint": "info", "count": None, "probability": 0.2, "options": {"ms": 700}},
]
"""Some answers are lost, and all take a while: most of the time an action is on its way."""


@dataclass(slots=True)
class KillCount:
    """What the killed left behind.

    Attributes
    ----------
    kills
        Processes.
    in_action
        Those of whose last action nobody had written down what became of it.
    orders, fills
        On the venue.
    faults
        That struck besides.
    """

    kills: int = 0
    in_action: int = 0
    orders: int = 0
    fills: int = 0
    faults: Counter[str] = field(default_factory=Counter)


def run_kills(seed: int, folder: Path, kills: int, told: Callable[[str], None]) -> KillCount:
    """Kill a trader so many times.

    Parameters
    ----------
    seed
        Of market, trading and the moments of death.
    folder
        Where journal and locks are kept.
    kills
        Processes.
    told
        Is told how far it is.

    Raises
    ------
    AssertionError
        A journal is not the venue's after reconciliation.
    """
    context = multiprocessing.get_context("forkserver")  # the next one starts in no time
    context.set_forkserver_preload([__name__])
    wallet, rng, count = chaos_wallet(seed, "mortal"), np.random.default_rng([seed, 3]), KillCount()
    faults = [Fault.model_validate(fault) for fault in FAULTS]
    plan = FaultPlan(seed=seed)
    with chaos_venue(seed, {wallet.address: 100_000}, speed=0.0, days=8, ticks_per_bar=60, plan=plan) as running:
        server = running.server
        account = server.engine.venue.state.accounts[wallet.address]
        for number in range(kills):
            for fault in faults:
                server.add_fault(fault)
            ready = context.Event()
            child = context.Process(target=_trade, args=(running.url, folder, seed, number, ready), daemon=True)
            child.start()
            is_ready = _pass(running, START_SECONDS, ready.is_set)
            assert is_ready, f"trader {number} ended with {child.exitcode} before it could trade"
            _pass(running, float(rng.random()) * LONGEST_SECONDS)
            child.kill()
            child.join(END_SECONDS)
            assert child.exitcode is not None, f"trader {number} lives {END_SECONDS:.0f} s after it was killed"
            count.kills += 1
            manager = _open(running.url, folder, seed, sleep=lambda seconds: _step(running, seconds))
            count.in_action += bool(manager.journal.unsettled())
            _reconciled(manager)
            server.clear_faults()
            _look_again(manager)
            check_journal_is_venue(manager, server.engine.venue, account)
            _close(manager)
            told(f"{count.kills} kills, {count.in_action} in the middle of an action")
        count.orders, count.fills = len(account.history) + len(account.open_oids), len(account.fills)
        count.faults.update(entry["kind"] for entry in server.injector.log)
    return count


def _pass(running: RunningVenue, seconds: float, is_enough: Callable[[], bool] = lambda: False) -> bool:
    """Let the venue's time pass for so long, a minute a second; say whether it was enough before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_enough():
            return True
        time.sleep(PACE_SECONDS)
        _step(running, SPEED * PACE_SECONDS)
    return is_enough()


def _step(running: RunningVenue, seconds: float) -> None:
    requests.post(f"{running.url}/admin/step", json={"ms": int(seconds * 1000)}, timeout=60).raise_for_status()


def _trade(url: str, folder: Path, seed: int, number: int, ready: Any) -> None:
    """Trade until killed; in a process of its own."""
    manager = _open(url, folder, seed)
    _reconciled(manager)
    strategy = Strategy(f"life{number}", COINS, np.random.default_rng([seed, 4, number]))
    ready.set()
    while True:
        strategy.step(manager)


def _open(url: str, folder: Path, seed: int, *, sleep: Callable[[float], None] = time.sleep) -> OrderManager:
    wallet = chaos_wallet(seed, "mortal")
    # a loaded machine may take seconds to answer: that is not what is tried here
    spec = VenueSpec("simulator", wallet.address, url, read_seconds=10.0, limits=Limits(10**6, 10**5))
    journal = Journal(folder / "ledger.sqlite", f"simulator {wallet.address}")
    found = connect(spec, wallet, folder / "signers", sleep=sleep)
    return OrderManager(found, journal, visibility_seconds=VISIBILITY_SECONDS, sleep=sleep)


def _close(manager: OrderManager) -> None:
    assert isinstance(manager.venue, HyperliquidVenue)
    manager.venue.close()
    manager.journal.close()


def _look_again(manager: OrderManager) -> None:
    """Learn what a venue that shows its state late has hidden: an order that has ended meanwhile, and nothing else."""
    found = reconcile(manager)
    assert found.is_clean, found
    acted = [item for item in found.resolutions if item.action not in ("nothing", "adopt")]
    assert not acted, f"the first reconciliation left more to do than to listen: {acted}"


def _reconciled(manager: OrderManager) -> None:
    """Reconcile until nothing is in doubt; answers that are lost meanwhile are what it is for."""
    result: Reconciliation | VenueError | None = None
    for _ in range(TRIES):
        try:
            result = reconcile(manager)
            if result.is_clean:
                return
        except VenueError as error:
            result = error
    raise AssertionError(f"not settled after {TRIES} reconciliations: {result}")
