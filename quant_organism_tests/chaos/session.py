"""A long session: several strategies on accounts of their own, in stepped time, while everything fails that can.

It goes in parts. In each the strategies trade under faults; then the faults are cleared, every journal is reconciled,
and must be the venue's, order by order and fill by fill. What is drawn follows from the seed.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import requests
from hyperliquid.utils.signing import sign_agent
from pybreaker import CircuitBreaker, CircuitBreakerListener, CircuitBreakerState

from quant_organism.errors import InputError
from quant_organism.simulator import RunningVenue, total_money
from quant_organism.trading.orders import Journal, OrderManager, Reconciliation, flatten, reconcile
from quant_organism.venue import HyperliquidVenue, Limits, VenueError, VenueSpec, Wallet, connect
from quant_organism.venue.protocol import MICRO_USD, OrderRequest, PlaceOrders, PlaceTwap, round_units
from quant_organism_tests.chaos.books import check_journal_is_venue
from quant_organism_tests.chaos.disk import full_disk
from quant_organism_tests.chaos.market import COINS, DOOMED, chaos_venue, chaos_wallet
from quant_organism_tests.chaos.plans import SESSION_KINDS, passing_faults, standing_faults
from quant_organism_tests.chaos.strategy import Strategy

TRADERS: Final = 6
RICH_USD, POOR_USD = 100_000, 200
POOR_ORDER_USD: Final = 1_800
"""The last trader bets so much at once that a gap of the price liquidates it."""
STEPS_PER_ROUND: Final = 4
ROUND_SECONDS: Final = 300.0
ROUNDS, PARTS, DAYS = 15, 40, 8
LIMITS: Final = Limits(10**6, 10**5, breaker_failures=5, breaker_seconds=0.05)
"""The venue's weight per minute would be waited for on a clock that only waiting moves."""
TRIES: Final = 20
CROWD: Final = 450
FORGETFUL: Final = 2
"""The trader whose journal is lost after each part."""


class Watching(CircuitBreakerListener):
    """Counts the moves of circuit breakers, as (component, state that it came to)."""

    def __init__(self) -> None:
        self.moves: Counter[tuple[str, str]] = Counter()

    def state_change(
        self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
    ) -> None:
        """Count a move."""
        if old_state is not None:
            self.moves[str(cb.name), new_state.name] += 1


@dataclass(slots=True)
class SessionCount:
    """What a session saw.

    Attributes
    ----------
    faults
        Strikes by kind.
    parts
        Parts after which journals and venue were compared.
    orders, fills, liquidations
        On the venue, of all traders.
    settled
        Actions without an answer whose outcome was found out.
    new_agents
        Agents that were replaced while running.
    full_disks, lost_journals
        Accounts closed while the disk was full; journals replaced by older ones.
    breakers
        Moves of circuit breakers.
    """

    faults: Counter[str] = field(default_factory=Counter)
    parts: int = 0
    orders: int = 0
    fills: int = 0
    liquidations: int = 0
    settled: int = 0
    new_agents: int = 0
    full_disks: int = 0
    lost_journals: int = 0
    breakers: Counter[tuple[str, str]] = field(default_factory=Counter)


class Trader:
    """An account, its wallet of the moment, and its strategy."""

    def __init__(self, number: int, seed: int, folder: Path, *, is_bold: bool = False) -> None:
        self.name, self._seed, self.folder = f"trader{number}", seed, folder / f"trader{number}"
        self.owner = chaos_wallet(seed, self.name)
        self.uses_agent = number % 2 == 1
        self.agents = 0
        self.wallet = self.new_agent() if self.uses_agent else self.owner
        rng = np.random.default_rng([seed, number])
        self.is_bold = is_bold
        usd = POOR_ORDER_USD if is_bold else 200
        self.strategy = Strategy(self.name, COINS, rng, quoted_only=[DOOMED] if number == 0 else [], usd=usd)
        self.manager: OrderManager | None = None
        self.backup: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        """The account."""
        return self.owner.address

    def new_agent(self) -> Wallet:
        """Return the next agent's wallet."""
        self.agents += 1
        return chaos_wallet(self._seed, f"{self.name}/agent{self.agents}")

    def open(self, url: str, sleep: Callable[[float], None], watching: Watching) -> OrderManager:
        """Connect, as a process does that starts."""
        spec = VenueSpec(
            "simulator", self.address, url, connect_seconds=0.5, read_seconds=0.5, action_seconds=2.0, limits=LIMITS
        )
        found = connect(spec, self.wallet, self.folder / "signers", sleep=sleep)
        for breaker in found.transport.breakers.values():
            breaker.add_listener(watching)
        journal = Journal(self.folder / "ledger.sqlite", f"simulator {self.address}")
        self.manager = OrderManager(found, journal, visibility_seconds=2.0, sleep=sleep)
        return self.manager

    def close(self) -> None:
        """Let go of wallet and journal."""
        if self.manager is not None:
            assert isinstance(self.manager.venue, HyperliquidVenue)
            self.manager.venue.close()
            self.manager.journal.close()
            self.manager = None


class Session:
    """The venue, its traders, and what is done to them.

    Parameters
    ----------
    seed
        Of market, strategies and faults.
    folder
        Where journals and locks are kept.
    running
        The venue, served.
    """

    def __init__(self, seed: int, folder: Path, running: RunningVenue, traders: list[Trader]) -> None:
        self.seed, self.running, self.traders = seed, running, traders
        self.count, self.watching, self._counted = SessionCount(), Watching(), 0
        self._engine, self._injector = running.server.engine, running.server.injector

    @property
    def venue_time(self) -> str:
        """The venue's time, for whoever looks for a moment again."""
        return datetime.fromtimestamp(self._engine.now_ms / 1000, UTC).isoformat(timespec="milliseconds")

    def part(self, number: int, rounds: int) -> None:
        """Trade for some rounds under faults, then heal everything and compare.

        Raises
        ------
        AssertionError
            A journal is not the venue's.
        """
        rng = np.random.default_rng([self.seed, 1_000 + number])
        span = int(rounds * ROUND_SECONDS * 1000)
        users = [trader.address for trader in self.traders]
        agents_of = [trader.address for trader in self.traders if trader.uses_agent]
        passing = passing_faults(rng, span, users=users, agents_of=agents_of, part=number)
        for fault in (*standing_faults(), *passing):
            self.admin("faults", fault.model_dump(exclude_none=False))
        for _ in range(rounds):
            for trader in self.traders:
                self._trade(trader)
            self.sleep(ROUND_SECONDS)
        self.clear_faults()
        for trader in self.traders:
            self.heal(trader)
            manager = self.opened(trader)
            self.reconciled(manager)
            self.check(trader, manager)
        self.fill_disk(self.traders[number % len(self.traders)], number)
        self.lose_journal(self.traders[FORGETFUL])
        self.count.parts += 1

    def end(self) -> None:
        """Flatten every account; nothing may be open or held.

        Raises
        ------
        AssertionError
            Something is.
        """
        for trader in self.traders:
            manager = self.opened(trader)
            self._crowd(trader)
            flatten(manager, "end of session", sleep=self.sleep)
            self.reconciled(manager)
            self.check(trader, manager)
            account = self._engine.venue.state.accounts[trader.address]
            assert account.open_oids == {}, f"orphans of {trader.name}: {account.open_oids}"
            assert account.positions() == [], f"{trader.name} still holds {account.positions()}"
            self.count.orders += len(account.history)
            self.count.fills += len(account.fills)
            trader.close()
        assert total_money(self._engine.venue.core) == 0, "money was made or lost"
        self.count.liquidations = self._engine.venue.state.liquidations
        self.count.breakers = self.watching.moves

    def sleep(self, seconds: float) -> None:
        """Let the venue's time pass; whatever breaks the connection meanwhile, it has passed once."""
        to = self._engine.now_ms + int(seconds * 1000)
        self.admin("step", {"to": to})

    def clear_faults(self) -> None:
        """Disarm all faults, and count what has struck."""
        self.admin("clear_faults", {})
        struck = self._injector.log[self._counted :]
        self._counted += len(struck)
        self.count.faults.update(entry["kind"] for entry in struck if "error" not in entry)

    def _trade(self, trader: Trader) -> None:
        self.heal(trader)
        with contextlib.suppress(VenueError):
            manager = self.opened(trader)
            for _ in range(STEPS_PER_ROUND):
                before = len(manager.journal.unsettled())
                trader.strategy.step(manager)
                self.count.settled += max(0, before - len(manager.journal.unsettled()))

    def fill_disk(self, trader: Trader, number: int) -> None:
        """Have a trader close everything while its disk is full; what it did is in its journal when it is not."""
        manager = self.opened(trader)
        with full_disk():
            flatten(manager, f"full disk {number}", sleep=self.sleep)
            assert self._engine.venue.state.accounts[trader.address].positions() == []
        self.reconciled(manager)
        self.check(trader, manager)
        self.count.full_disks += 1

    def lose_journal(self, trader: Trader) -> None:
        """Put the journal of a part ago in the place of a trader's own, and find that nothing is missing."""
        trader.close()
        now = {path.name: path.read_bytes() for path in trader.folder.glob("ledger.sqlite*")}
        if trader.backup:
            for path in trader.folder.glob("ledger.sqlite*"):
                path.unlink()
            for name, content in trader.backup.items():
                (trader.folder / name).write_bytes(content)
            self.count.lost_journals += 1
        trader.backup = now
        manager = self.opened(trader)
        self.reconciled(manager)
        self.check(trader, manager)

    def _crowd(self, trader: Trader) -> None:
        """Put more orders on an account than one action can cancel, and a TWAP order, none of them in its journal."""
        venue = self._engine.venue
        coin, listing = next(pair for pair in venue.state.listings.items() if pair[1].instrument.name == "ETH")
        account = venue.state.accounts[trader.address]
        px = Decimal(listing.px(round_units(listing.oracle // 2, listing.instrument.px_decimals, up=False)))
        sz = Decimal(listing.sz(-(-12 * MICRO_USD // int(px.scaleb(listing.instrument.px_decimals)))))
        order = OrderRequest(coin, True, px, sz, False, "Gtc", None, None)
        self._engine.act(account, PlaceOrders((order,) * CROWD, "na"))
        self._engine.act(account, PlaceTwap(coin, True, sz * 20, False, 5, False))
        crowded = len(account.open_oids) >= CROWD and venue.state.twaps
        assert crowded or trader is self.traders[-1], f"{trader.name} has {len(account.open_oids)} open orders only"

    def heal(self, trader: Trader) -> None:
        """Do what a person does whose agent is gone: approve another, and start the process again."""
        if not trader.uses_agent or self.running.server.desk.owner_of(trader.wallet.address) is not None:
            return
        trader.close()
        agent = trader.new_agent()
        self._approve(trader.owner, agent.address)
        trader.wallet = agent
        self.count.new_agents += 1

    def _approve(self, owner: Wallet, agent: str) -> None:
        from eth_account import Account

        for attempt in range(TRIES):
            nonce = time.time_ns() // 1_000_000 + attempt
            action: dict[str, Any] = {"type": "approveAgent", "agentAddress": agent, "agentName": "bot", "nonce": nonce}
            signature = sign_agent(Account.from_key(owner.secret()), action, False)
            body = {"action": action, "nonce": nonce, "signature": signature}
            with contextlib.suppress(requests.RequestException, ValueError):
                requests.post(f"{self.running.url}/exchange", json=body, timeout=2)
            if self.running.server.desk.owner_of(agent) is not None:
                return
            self.sleep(5.0)
        raise AssertionError(f"no agent could be approved in {TRIES} tries")

    def opened(self, trader: Trader) -> OrderManager:
        """Return the trader's manager, connected and reconciled.

        Raises
        ------
        VenueError
            It does not answer now.
        """
        if trader.manager is None:
            for _ in range(TRIES):
                try:
                    manager = trader.open(self.running.url, self.sleep, self.watching)
                    break
                except (VenueError, InputError):  # an account that is unified for a while is refused
                    self.sleep(10.0)
                    self.heal(trader)  # its agent may have gone meanwhile
            else:
                manager = trader.open(self.running.url, self.sleep, self.watching)
            assert trader.manager is manager
        if not trader.manager.is_reconciled:  # nothing is opened before
            reconcile(trader.manager)
        return trader.manager

    def reconciled(self, manager: OrderManager) -> Reconciliation:
        """Reconcile until nothing is in doubt: an answer may still be an old one."""
        result = None
        for _ in range(TRIES):
            with contextlib.suppress(VenueError):
                result = reconcile(manager)
                if result.is_clean:
                    return result
            time.sleep(0.3)  # what a replaced agent sent is waited for until it has expired
        raise AssertionError(f"not settled after {TRIES} reconciliations: {result}")

    def check(self, trader: Trader, manager: OrderManager) -> None:
        venue = self._engine.venue
        check_journal_is_venue(manager, venue, venue.state.accounts[trader.address])

    def admin(self, name: str, body: dict[str, Any]) -> None:
        """Tell the venue something from outside the wire."""
        for _ in range(TRIES):
            with contextlib.suppress(requests.ConnectionError):  # also the harness's own connections are struck
                answer = requests.post(f"{self.running.url}/admin/{name}", json=body, timeout=60)
                assert answer.status_code == 200, answer.text
                return
        raise AssertionError(f"/admin/{name} cannot be reached")


def run_session(
    seed: int, folder: Path, faults: int, told: Callable[[str], None], *, rounds: int = ROUNDS, parts: int = PARTS
) -> SessionCount:
    """Trade under faults, part by part, until enough have struck and all kinds of requests, market and accounts have.

    Parameters
    ----------
    seed
        Of everything that is drawn.
    folder
        Where journals and locks are kept.
    faults
        At least so many.
    told
        Is told how far it is.
    rounds
        Of every strategy in a part.
    parts
        At most so many.

    Raises
    ------
    AssertionError
        A journal was not the venue's after a part, or something was left at the end, or a kind of fault never struck.
    """
    with open_session(seed, folder) as session:
        for number in range(parts):
            session.part(number, rounds)
            count = session.count
            told(f"part {number} ends at {session.venue_time}: {count.faults.total()} faults, {count.settled} settled")
            missing = SESSION_KINDS - set(count.faults)
            if count.faults.total() >= faults and not missing:
                break
        else:
            raise AssertionError(f"{count.faults.total()} faults in {parts} parts; never struck: {sorted(missing)}")
        session.end()
        return session.count


@contextlib.contextmanager
def open_session(seed: int, folder: Path, count: int = TRADERS) -> Iterator[Session]:
    """Serve a venue with so many traders for as long as the block lasts; the last of them has little and is bold."""
    traders = [Trader(number, seed, folder, is_bold=number == count - 1) for number in range(count)]
    usd = {trader.address: POOR_USD if trader.is_bold else RICH_USD for trader in traders}
    with chaos_venue(seed, usd, speed=0.0, days=DAYS, ticks_per_bar=60) as running:
        session = Session(seed, folder, running, traders)
        try:
            yield session
        finally:
            for trader in traders:
                trader.close()
