"""A trader's ledger written by hand: an account that bought once, and whose records agree with what it holds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from quant_organism.backtest.account import BY_HAND, AccountBook, AccountFill, AccountRules, TradedAsset
from quant_organism.backtest.account import book as booked
from quant_organism.trading import (
    LedgerBreaker,
    LedgerEquity,
    LedgerFill,
    LedgerFlow,
    LedgerPlan,
    LedgerReading,
    LedgerRecord,
    LedgerSession,
    LedgerSessionEnd,
    TraderLedger,
    ledger_path,
)

HOUR: Final = 3_600_000
START: Final = 1_767_225_600_000
"""2026-01-01."""
CLOSE: Final = START + 30 * HOUR
CAPITAL: Final = 10_000_000_000

SESSION: Final = LedgerSession(
    session=1,
    mode="paper",
    account="paper-1",
    profile="intraday",
    interval="1h",
    market="demo",
    policy_version="3",
    documents={},
    history_days=60,
    history_end="2025-12-31",
    history_hash="",
    identity="x",
    started_ms=START,
    first_close_ms=START,
)
FILL: Final = LedgerFill(
    session=1,
    close_ms=CLOSE,
    time_ms=CLOSE,
    account="paper-1",
    symbol="BTC",
    kind="ioc",
    lots=50,
    size=0.05,
    price=100.0,
    notional=5_000_000,
    fee=2_500,
    aimed=5_000_000,
    slippage=0,
)
READING: Final = LedgerReading(
    session=1,
    close_ms=CLOSE,
    account="paper-1",
    data_age_bars=0.01,
    clock_skew_s=0.02,
    rejected=None,
    silent_lines=0,
    fear_greed=None,
    liquidation_used=None,
    volatility=None,
    correlation=None,
    usual_correlation=None,
)
PLAN: Final = LedgerPlan(
    session=1,
    close_ms=CLOSE,
    account="paper-1",
    number=1,
    h1="",
    h2="",
    base=CAPITAL,
    scale=1.0,
    factor=1.0,
    drawdown=0.01,
    is_stopped=False,
    at_cap=False,
)


@dataclass(frozen=True)
class TradedFolder:
    """A data folder with a trader's ledger at its last close."""

    data_dir: Path

    @property
    def path(self) -> Path:
        """Its ledger."""
        return ledger_path(self.data_dir, "paper")

    def write(self, *records: LedgerRecord) -> None:
        """Add records to the ledger."""
        ledger = TraderLedger(self.path, survives_power_cut=False)
        ledger.write(records)
        ledger.close()

    def trip(self, name: str) -> None:
        """Open a breaker."""
        self.write(
            LedgerBreaker(session=1, close_ms=CLOSE, name=name, state="open", value=0.3, bound=0.2, reason="a test's")
        )

    def end(self) -> None:
        """End the session in order."""
        self.write(LedgerSessionEnd(session=1, ended_ms=CLOSE, last_close_ms=CLOSE, reason="asked to"))


def traded(data_dir: Path, *, mode: Any = "paper", **reading: Any) -> TradedFolder:
    """Return a data folder whose trader bought at its last close, as the market and its guard's reading say."""
    account = AccountBook.opened("paper-1", AccountRules.alone(), {"BTC": TradedAsset(3)}, CAPITAL)
    booked(account, AccountFill(CLOSE, "BTC", FILL.lots, FILL.notional, FILL.fee, BY_HAND, 100_000))
    capital = LedgerFlow(session=1, close_ms=START, account="paper-1", kind="capital", symbol="", amount=CAPITAL)
    equity = LedgerEquity(
        session=1,
        close_ms=CLOSE,
        account="paper-1",
        equity=CAPITAL,
        cash=account.cash,
        capital=CAPITAL,
        gross=FILL.notional,
        drawdown=0.01,
        execution=0,
    )
    folder = TradedFolder(data_dir)
    ledger = TraderLedger(folder.path, survives_power_cut=False)
    records = [replace(SESSION, mode=mode), capital, FILL, replace(READING, **reading), PLAN, equity]
    ledger.write(records, {"paper-1": account.to_dict()})
    ledger.close()
    return folder
