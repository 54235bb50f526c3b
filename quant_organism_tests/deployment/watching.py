"""A lake in which strategies are watched, and what a trader booked of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from quant_organism.deployment.booking import book_births, read_rows
from quant_organism.deployment.config import StrategyConfig
from quant_organism.deployment.marks import Known, Marked, known_of, mark_days
from quant_organism.deployment.repository import StrategyRepository
from quant_organism.deployment.tables import BirthTable, EvidenceDayTable
from quant_organism.deployment.trader_days import TraderDay
from quant_organism.market import Interval, Lake, Table
from quant_organism.strategies import Committee, default_genome, random_genome
from quant_organism.validation import CandidateReturnTable
from quant_organism_tests.deployment.documents import account_at_birth, document, provenance, records, rule_of

HOUR = Interval.parse("1h")
BORN = date(2024, 3, 20)
LAST = date(2024, 4, 5)
EQUITY = 10_000.0
SYMBOLS = ("SIM-ONE", "SIM-SIX", "SIM-TWO")


_CROSSOVERS: Final[Sequence[Mapping[str, float]]] = (
    {
        "fast_ema_period": 14, "slow_ema_period": 28, "momentum_threshold": 0.0135, "trend_filter": 0.000819,
        "stop_loss": 0.0123, "take_profit": 0.248, "trailing_stop": 0.137, "position_size": 0.0949,
        "max_holding_hours": 327, "max_drawdown": 0.132, "position_size_limit": 0.147, "liquidity_weight": 0.816,
        "volatility_weight": 0.00274, "momentum_weight": 0.857, "volatility_threshold": 1.07,
    },
    {
        "fast_ema_period": 13, "slow_ema_period": 32, "momentum_threshold": 0.0432, "trend_filter": 0.0108,
        "stop_loss": 0.052, "take_profit": 0.138, "trailing_stop": 0.00425, "position_size": 0.0274,
        "max_holding_hours": 62, "max_drawdown": 0.151, "position_size_limit": 0.132, "liquidity_weight": 0.615,
        "volatility_weight": 0.384, "momentum_weight": 0.997, "volatility_threshold": 2.96,
    },
    {
        "fast_ema_period": 15, "slow_ema_period": 29, "momentum_threshold": 0.0344, "trend_filter": 0.00778,
        "stop_loss": 0.0289, "take_profit": 0.222, "trailing_stop": 0.0788, "position_size": 0.0534,
        "max_holding_hours": 144, "max_drawdown": 0.183, "position_size_limit": 0.147, "liquidity_weight": 0.358,
        "volatility_weight": 0.572, "momentum_weight": 0.322, "volatility_threshold": 2.19,
    },
)  # fmt: skip
"""Stated, and not drawn, so that what they do on the tiny world does not hang on how genomes are drawn."""


def crossovers(count: int) -> Committee:
    """Return a committee of so many crossovers of averages, which earn on the tiny world."""
    usual = default_genome("ema_crossover")
    return Committee.of([replace(usual, genes={**usual.genes, **genes}) for genes in _CROSSOVERS[:count]])


def _drawn(family: str, seed: int) -> Committee:
    rng = np.random.default_rng(seed)
    return Committee.of([random_genome(rng, family) for _ in range(2)])


class Place:
    """A lake of its own with some strategies that began to be watched.

    Parameters
    ----------
    folder, market
        Where to put it; a lake with candles, and the name of its market.
    strategies
        Who is watched; two of them where nothing is said.
    born
        Day of the cycle that bore them.
    birth
        Of each of them, as in `bear`.
    """

    def __init__(
        self,
        folder: Path,
        market: tuple[Path, str],
        *,
        strategies: Sequence[Committee] | None = None,
        born: date = BORN,
        **birth: Any,
    ) -> None:
        shutil.copytree(market[0], folder / "lake")
        self.lake, self.market, self.born = Lake(folder / "lake"), market[1], born
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.repository = StrategyRepository(folder / "strategies", now=lambda: self.now)
        self.ids: list[str] = []
        self.trader: dict[str, dict[date, tuple[TraderDay, ...]]] = {}
        for strategy in strategies or (_drawn("ema_crossover", 0), _drawn("rsi_filter", 1)):
            self.bear(strategy, **birth)

    def bear(
        self, strategy: Committee, *, judged: Sequence[float] | None = None, min_equity: float = 500.0, **birth: Any
    ) -> str:
        """Have one more strategy watched from the day after its cycle on, and return its identity.

        `judged` are the daily returns that judged it, the last of them those of the cycle's day.
        """
        day, cycle = self.born, f"c{len(self.ids)}"
        made = document(
            strategy=strategy,
            universe=SYMBOLS,
            provenance=provenance(market=self.market, date=day.isoformat()),
            account=account_at_birth().model_copy(update={"min_equity_usd": min_equity}),
            at=day.isoformat(),
        )
        self.ids.append(made.id)
        if judged is not None:
            first, values = day - timedelta(days=len(judged) - 1), np.asarray(judged, dtype=np.float64)
            rows = [(made.id, first + timedelta(days=n), r, r) for n, r in enumerate(values.tolist())]
            stored = self.lake.table(CandidateReturnTable, cycle=cycle)
            stored.write(CandidateReturnTable.frame(rows), market=self.market, interval="1h", day=day)
            birth = {BirthTable.judged_from: first, BirthTable.deviation: float(values.std(ddof=1)), **birth}
        self.repository.save(made.moved("shadow", at=day.isoformat(), reason="chosen", records=records("one look")))
        row = {
            BirthTable.id: made.id,
            BirthTable.cycle: cycle,
            BirthTable.first_day: day + timedelta(days=1),
            BirthTable.panel_hash: "p",
            BirthTable.spec_hash: "s",
            BirthTable.pretest_p: 0.05,
            BirthTable.search_p: 0.05,
            BirthTable.search_copies: 19,
            BirthTable.unseen_p: 0.1,
            BirthTable.starting_wealth: 2.0,
            BirthTable.credit: "full",
            BirthTable.deviation: 0.01,
            BirthTable.sharpe: 1.5,
            BirthTable.trade_parity: 1.0,
            BirthTable.perturbations: 1.0,
            BirthTable.near_living: -1.0,
        }
        book_births(self.lake, [{**row, **birth}], day=day, market=self.market, interval=HOUR)
        return made.id

    def put(self, id: str, *ways: str, at: date | None = None) -> None:
        """Put a strategy where some ways lead, one after the other; where it has come from is of no matter."""
        for name in ways:
            moment = (at or self.born + timedelta(days=1)).isoformat()
            self.repository.move(id, rule_of(name).end, at=moment, reason="put there", records=records(name))

    def book(self, id: str, day: date, mode: str = "paper", **facts: Any) -> None:
        """Have the trader book a day of a strategy that had a quarter of the account."""
        fields: dict[str, Any] = {
            "account": f"{mode}-1",
            "mode": mode,
            "is_whole": True,
            "account_return": 0.0,
            "weight": 0.25,
            "closed_trades": 3,
            "paid_slippage_usd": 1.0,
            "model_slippage_usd": 1.0,
            "breakers": 0,
            "liquidations": 0,
            "is_reconciled": mode != "paper",
        }
        own = self.trader.setdefault(id, {})
        own[day] = (*own.get(day, ()), TraderDay(**fields | facts))

    def mark(self, through: date = LAST, **more: Any) -> Marked:
        """Mark the days up to one."""
        return mark_days(
            self.lake,
            self.repository,
            market=self.market,
            interval=HOUR,
            through=through,
            equity_usd=EQUITY,
            trader=self.trader,
            **more,
        )

    def known(self, id: str, now: datetime | None = None) -> Known:
        """Return what is known of a strategy."""
        moment = (now or self.now).strftime("%Y-%m-%dT%H:%M:%SZ")
        return known_of(self.lake, self.repository, id, now=moment, equity_usd=EQUITY, trader=self.trader)

    def load(self, id: str) -> StrategyConfig:
        """Return the document of a strategy."""
        return self.repository.load(id)

    def rows(self, table: type[Table] = EvidenceDayTable) -> pl.DataFrame:
        """Return the rows of a table."""
        return read_rows(self.lake, table, market=self.market, interval="1h")

    def bytes(self) -> dict[str, bytes]:
        """Return all that marking writes."""
        roots = [self.lake.root / name for name in ("evidence_days", "moves", "births")] + [self.repository.root]
        files = [path for root in roots for path in root.rglob("*") if path.suffix in (".parquet", ".json")]
        return {str(path.relative_to(self.lake.root.parent)): path.read_bytes() for path in files}
