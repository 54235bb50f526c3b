"""Whole sessions against the simulator with its own faults: books and venue agree at the end, and it is flat."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from quant_organism.exchange.orders.flatten import flatten
from quant_organism.exchange.orders.reconciliation import reconcile
from quant_organism.exchange.protocol.decimals import MICRO_USD
from quant_organism.exchange.simulator.clock import VenueClock
from quant_organism.exchange.simulator.core.account import Account
from quant_organism.exchange.simulator.engine import Engine
from quant_organism.exchange.simulator.faults.plan import FaultPlan, parse_plan
from quant_organism.exchange.simulator.market.driver import MarketSpec
from quant_organism.exchange.simulator.market.tape import Tape
from quant_organism.exchange.simulator.server.serving import RunningVenue
from quant_organism.exchange.simulator.server.venue_server import VenueServer
from quant_organism.exchange.simulator.spec import ServerSpec
from quant_organism_tests.exchange.trading_child import (
    ADDRESS,
    check_journal_is_venue,
    close,
    open_manager,
    trade,
    trade_until_killed,
)

KILLS = 5
EXCHANGE: list[dict[str, Any]] = [
    {"kind": "reset_after", "probability": 0.08},
    {"kind": "reset_before", "probability": 0.05},
    {"kind": "truncate_answer", "probability": 0.04},
    {"kind": "replace_answer", "probability": 0.03, "options": {"body": "null"}},
    {"kind": "replace_answer", "probability": 0.03, "options": {"body": "<html>", "status": 502}},
    {"kind": "http_status", "probability": 0.03, "options": {"status": 429}},
    {"kind": "http_status", "probability": 0.03, "options": {"status": 503, "body": "<html>"}},
    {"kind": "fewer_statuses", "probability": 0.1},
    {"kind": "refuse_action", "probability": 0.03, "options": {"text": "A text that nobody knows."}},
]
INFO: list[dict[str, Any]] = [
    {"kind": "visibility_lag", "probability": 0.3, "options": {"ms": 700}},
    {"kind": "stale_answer", "probability": 0.05},
    {"kind": "reset_before", "probability": 0.03},
    {"kind": "http_status", "probability": 0.03, "options": {"status": 500}},
    {"kind": "truncate_answer", "probability": 0.02},
]
PLAN = parse_plan(
    {
        "seed": 2,
        "faults": [
            *({**fault, "endpoint": "exchange", "count": None} for fault in EXCHANGE),
            *({**fault, "endpoint": "info", "count": None} for fault in INFO),
        ],
    },
    "plan",
)


def serve(tape: Tape, plan: FaultPlan, speed: float) -> tuple[RunningVenue, Account]:
    engine = Engine(tape, int(tape.times[48]), MarketSpec(ticks_per_bar=12), seed=9)
    account = engine.deposit(ADDRESS, 100_000 * MICRO_USD)
    clock = VenueClock(engine.now_ms, speed, time.monotonic)
    server = VenueServer(engine, clock, ServerSpec(ip_weight_per_minute=None), plan)
    return RunningVenue(server), account


def stepping(url: str) -> Callable[[float], None]:
    def step(seconds: float) -> None:
        requests.post(f"{url}/admin/step", json={"ms": int(seconds * 1000)}, timeout=10).raise_for_status()

    return step


@pytest.mark.slow
def test_a_session_full_of_faults_ends_flat_and_agreed(small_tape: Tape, tmp_path: Path) -> None:
    running, account = serve(small_tape, PLAN, speed=0.0)
    with running:
        step = stepping(running.url)
        manager = open_manager(running.url, tmp_path, visibility_seconds=2.0, sleep=step)
        reconcile(manager)
        rng = np.random.default_rng(8)
        for part in range(12):
            trade(manager, f"part {part}", rng, range(10))
            step(600.0)  # prices move: orders fill, triggers fire
        struck = len(running.server.injector.log)
        requests.post(f"{running.url}/admin/clear_faults", json={}, timeout=10).raise_for_status()
        assert reconcile(manager).is_clean
        venue = running.server.engine.venue
        check_journal_is_venue(manager, venue, account)
        assert flatten(manager, "end of session", sleep=step) >= 1
        assert reconcile(manager).is_clean
        check_journal_is_venue(manager, venue, account)
        assert account.open_oids == {}
        assert account.positions() == []
        assert struck > 100
        assert len(account.fills) > 20
        close(manager)


@pytest.mark.slow
def test_a_trader_killed_at_any_moment_is_taken_up_again(small_tape: Tape, tmp_path: Path) -> None:
    context, rng = multiprocessing.get_context("spawn"), np.random.default_rng(3)
    lost = {"kind": "reset_after", "endpoint": "exchange", "count": None, "probability": 0.2}
    running, account = serve(small_tape, parse_plan({"faults": [lost]}, "plan"), speed=1.0)
    with running:
        orders = running.server.engine.venue.state.orders
        for run in range(KILLS):
            ready, before = context.Event(), len(orders)
            child = context.Process(target=trade_until_killed, args=(running.url, tmp_path, run, ready), daemon=True)
            child.start()
            assert ready.wait(30)
            end = time.monotonic() + 20
            while len(orders) == before and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(float(rng.random()) * 0.5)
            child.kill()
            child.join()
            manager = open_manager(running.url, tmp_path)
            result = reconcile(manager)
            assert result.is_clean, result
            check_journal_is_venue(manager, running.server.engine.venue, account)
            close(manager)
        assert len(account.history) + len(account.open_oids) > 2 * KILLS
