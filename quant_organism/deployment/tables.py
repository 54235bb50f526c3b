"""The datasets of the deployment room: documents that a cycle wrote, and what was decided about them."""

from __future__ import annotations

from typing import Final

import polars as pl

from quant_organism.market import BY_CYCLE, BY_INTERVAL, Column, Columns, Table

_OF_FIRST, _USD, _SHARPE = "fraction of the first equity", "USD", "annual Sharpe ratio"


class DocumentTable(Table, dataset="strategy_configs", partitions=BY_CYCLE, written_by="strategy_configs"):
    """One strategy document at its birth."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    kind = Column(pl.String(), "one genome, a committee, or code that was made elsewhere")
    families = Column(pl.String(), "families of its genomes, with commas between")
    members = Column(pl.Int64(), "its genomes", unit="genomes")
    fitness = Column(
        pl.Float64(), "Sharpe ratio on all unseen days, in sample on the short line", unit="annual Sharpe ratio"
    )
    document = Column(pl.String(), "its stored form, checksum included", unit="JSON")


def _figures() -> dict[str, Column]:
    # As `AccountFigures` names them, but for the equity.
    described = (
        ("total_return", "over the span", _OF_FIRST),
        ("annual_return", "the same, compounded to a year of 365 days", _OF_FIRST),
        ("annual_return_usd", "the same", _USD),
        ("max_drawdown", "largest fall from a highest equity, at closes", "fraction of equity"),
        ("fees_usd", "paid", _USD),
        ("fees_usd_year", "paid", "USD a year"),
        ("slippage_usd", "paid, against the open or the level of a stop", _USD),
        ("funding_usd", "paid; received where negative", _USD),
        ("fees", "paid", _OF_FIRST),
        ("slippage", "paid", _OF_FIRST),
        ("funding", "paid; received where negative", _OF_FIRST),
        ("volatility", "of daily returns", "fraction of equity, annual"),
        ("sharpe", "of daily returns", _SHARPE),
        ("sharpe_sleeves", "of the ideal sleeves at the same risk scale", _SHARPE),
        ("tracking_error", "volatility of the difference of the two", "fraction of equity, annual"),
        ("orders_per_day", "orders that filled; one that several bars fill is one", "orders a day"),
        ("median_order_usd", "notional that an order filled in all; NaN without any", _USD),
        ("smallest_order_usd", "least order sent that does not close a position; NaN without any", _USD),
        ("turnover", "traded notional", "multiples of equity, annual"),
        ("gross_mean", "mean of all positions at closes", "multiples of equity"),
        ("gross_max", "most of all positions at closes", "multiples of equity"),
        ("hours_at_cap", "in which a cap made a plan smaller", "hours"),
        ("execution_usd", "profit that no member answers for", _USD),
    )
    return {name: Column(pl.Float64(), meaning, unit=unit) for name, meaning, unit in described}


class AccountTable(Table, dataset="strategy_accounts", partitions=BY_CYCLE, written_by="strategy_configs", version=2):
    """An account of one size that trades one survivor alone, over the days that its search saw or over the others."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    span = Column(pl.String(), "`in_sample` or `unseen`", key=True)
    equity_usd = Column(pl.Float64(), "at the start", unit=_USD, key=True)
    stated = Column(pl.Boolean(), "whether it is the equity that the strategy was judged at")
    figures = Columns(_figures())
    min_equity_usd = Column(
        pl.Float64(),
        "least equity that follows one of 1,000,000 USD on the unseen days; missing where none that was tried does",
        unit=_USD,
        nullable=True,
    )
    capacity_usd = Column(
        pl.Float64(),
        "equity at which impact halves the return of the unseen days; missing where they earned nothing, or where the "
        "largest that was tried still earns more than half",
        unit=_USD,
        nullable=True,
    )
    capacity_above_usd = Column(
        pl.Float64(), "that largest equity, where it earns more than half", unit=_USD, nullable=True
    )
    virtual_hash = Column(pl.String(), "digest H1 of the unseen days at the stated equity")
    order_hash = Column(pl.String(), "digest H2 of the same")
    slippage_said = Column(
        pl.String(),
        "of each asset whether the slippage of its fills was measured or is assumed; empty in older files",
        since=2,
        default="",
    )


class DecisionTable(Table, dataset="deployed_configs", partitions=BY_CYCLE, written_by="deployed_configs"):
    """One decision of a cycle's deployment step, on a survivor or a strategy in the pool."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    action = Column(pl.String(), "`deploy`: it enters the pool; `wait`: it does not; `keep`: it stays as it is")
    stage = Column(pl.String(), "its stage of life afterwards")
    reason = Column(pl.String(), "why, in a sentence with numbers")


class BirthTable(Table, dataset="births", partitions=BY_INTERVAL, written_by="deployed_configs", version=2):
    """One strategy that began to be watched: what its evidence starts from. Rows are never taken back."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    cycle = Column(pl.String(), "cycle that bore it")
    first_day = Column(pl.Date(), "first day that judges it: the one after the cycle's")
    panel_hash = Column(pl.String(), "content hash of the cycle's panel")
    spec_hash = Column(pl.String(), "hash of the search")
    pretest_p = Column(pl.Float64(), "of the test before the search", unit="probability", nullable=True)
    search_p = Column(
        pl.Float64(), "of the whole search; 1 where it was not repeated", unit="probability", nullable=True
    )
    search_copies = Column(pl.Int64(), "copies of the market that it rests on")
    unseen_p = Column(pl.Float64(), "of the unseen days, not adjusted", unit="probability", nullable=True)
    starting_wealth = Column(pl.Float64(), "W0: what the look back bought", unit="e-value")
    credit = Column(pl.String(), "`full`; `no old days` beside a strategy that died lately; `reduced`, a further look")
    deviation = Column(pl.Float64(), "d0: of its account's daily returns on the days that judged it", unit="fraction")
    sharpe = Column(
        pl.Float64(), "what it promises: on unseen days, or in sample less luck", unit="annual Sharpe ratio"
    )
    trade_parity = Column(pl.Float64(), "share of its replays that made the backtest's trades", nullable=True)
    perturbations = Column(pl.Float64(), "share of the gates that shake it that it passed", nullable=True)
    near_living = Column(pl.Float64(), "largest correlation with a strategy that lived then; -1 with none")
    judged_from = Column(
        pl.Date(),
        "first of the cycle's days that judged it: its returns from there on in `candidate_returns` are its promise; "
        "missing in older files",
        nullable=True,
        since=2,
    )


class EvidenceDayTable(Table, dataset="evidence_days", partitions=BY_INTERVAL, written_by="evidence_days"):
    """One day of one living strategy: what it earned, and the evidence after it. Rows are never changed."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    stage = Column(pl.String(), "where it stood on that day")
    source = Column(pl.String(), "`account`: simulated on the day's bars; `ledger`: booked by the trader")
    recorded = Column(pl.Boolean(), "whether the day has a return; one without leaves the evidence as it was")
    net_return = Column(pl.Float64(), "after fees, slippage and funding", unit="fraction", nullable=True)
    deviation = Column(pl.Float64(), "s: known before the day", unit="fraction", nullable=True)
    standardised = Column(pl.Float64(), "x: the return over it", unit="standard deviations", nullable=True)
    wealth = Column(pl.Float64(), "W: starting wealth times what the days since have earned", unit="e-value")
    fresh_wealth = Column(pl.Float64(), "E: W over the starting wealth", unit="e-value")
    recent_sum = Column(pl.Float64(), "M: standardised returns of late", unit="standard deviations")
    shortfall = Column(pl.Float64(), "S: CUSUM below half the promise; an alarm above 25", unit="standard deviations")
    factor = Column(pl.Float64(), "what is left of its size", unit="fraction")
    fresh_days = Column(pl.Int64(), "days with a return since the starting wealth", unit="days")
    rows = Column(pl.String(), "hash over this and all earlier days of the strategy")


class MoveTable(Table, dataset="moves", partitions=BY_INTERVAL, written_by="deployed_configs, evidence_days"):
    """One number of one move of a strategy to another stage. Rows are never changed."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    at = Column(pl.String(), "when, UTC", key=True)
    start = Column(pl.String(), "stage that it left")
    end = Column(pl.String(), "stage that it entered", key=True)
    rule = Column(pl.String(), "way of the table of moves")
    by = Column(pl.String(), "`machine` or `person`")
    reason = Column(pl.String(), "why, in a sentence")
    kind = Column(pl.String(), "what the number is; empty for a move of an earlier version, which had none", key=True)
    value = Column(pl.Float64(), "the number", nullable=True)
    bound = Column(pl.Float64(), "the bound that it kept", nullable=True)
    n = Column(pl.Int64(), "observations that it rests on")
    source = Column(pl.String(), "hash of the rows that it was computed from")


class PostmortemTable(Table, dataset="strategy_postmortems", partitions=BY_INTERVAL, written_by="evidence_days"):
    """One strategy that held a seat and was retired on the day: what it had promised, what it did, and what broke."""

    id = Column(pl.String(), "identity of the strategy", key=True)
    cycle = Column(pl.String(), "cycle that bore it")
    families = Column(pl.String(), "families of its genomes, with commas between")
    first_day = Column(pl.Date(), "first day that judged it")
    rule = Column(pl.String(), "way of the table of moves by which it was retired")
    cause = Column(
        pl.String(), "assumption that broke: `hard limit`, `execution`, `edge gone`, `luck`, `person` or `not known`"
    )
    reason = Column(pl.String(), "of its last move, in a sentence")
    promised_sharpe = Column(pl.Float64(), "what it was validated to earn", unit=_SHARPE)
    earned_sharpe = Column(pl.Float64(), "what it earned since", unit=_SHARPE, nullable=True)
    promised_deviation = Column(pl.Float64(), "d0: of its daily returns when it was judged", unit="fraction")
    earned_deviation = Column(pl.Float64(), "of its daily returns since", unit="fraction", nullable=True)
    total_return = Column(pl.Float64(), "since its birth, net", unit="fraction")
    max_drawdown = Column(pl.Float64(), "since its birth", unit="fraction of equity")
    drawdown_bound = Column(
        pl.Float64(),
        "99 % quantile of the largest drawdown of a kept promise in as many days",
        unit="fraction of equity",
        nullable=True,
    )
    luck = Column(
        pl.Float64(),
        "share of paths of a kept promise that did no better; missing where they cannot be made",
        unit="fraction",
        nullable=True,
    )
    first_below = Column(pl.Date(), "first day on which fewer than 5 % of them did no better", nullable=True)
    starting_wealth = Column(pl.Float64(), "W0", unit="e-value")
    wealth = Column(pl.Float64(), "W at its end", unit="e-value")
    days = Column(pl.Int64(), "days with a record", unit="days")
    missing_days = Column(pl.Int64(), "days without", unit="days")
    seated_days = Column(pl.Int64(), "days on paper or beyond", unit="days")
    decaying_days = Column(pl.Int64(), "days in decaying", unit="days")
    trader_days = Column(pl.Int64(), "days that a trader booked", unit="days")
    closed_trades = Column(pl.Int64(), "trades closed on them", unit="trades", nullable=True)
    slippage_ratio = Column(pl.Float64(), "slippage over that of the model on them", nullable=True)
    breakers = Column(pl.Int64(), "breakers that fired while it held anything", nullable=True)
    no_credit_until = Column(pl.Date(), "until when near copies of it get no credit for days before their birth")
    rows = Column(pl.String(), "hash over all of its days")


class DeploymentDecisionTable(
    Table, dataset="deployment_decisions", partitions=BY_INTERVAL, written_by="deployment_decisions"
):
    """One decision after a day's marks, by `decision_rules.yaml`. Rows are never changed; answers stand elsewhere."""

    id = Column(pl.String(), "of kind, subject, day, rule and value", key=True)
    type = Column(
        pl.String(),
        "`pool_size`, `approval`, `retirement`, `emergency_stop`, `risk_adjustment` or `session`",
    )
    subject = Column(pl.String(), "the strategy, or `account`")
    value = Column(pl.String(), "what was decided, or is asked: a stage, a number, a mode")
    alternatives = Column(pl.String(), "what else it could have been, with commas between")
    rule = Column(pl.String(), "rule, way of the table of moves, or figure that decided")
    rules_version = Column(pl.Int64(), "of the file of rules")
    inputs = Column(pl.String(), "every figure with error, bound and source", unit="JSON")
    confidence = Column(
        pl.Float64(),
        "least probability that a figure is on its side of its bound, by its own standard error; missing where one is "
        "not known",
        unit="probability",
        nullable=True,
    )
    urgency = Column(pl.String(), "`routine`, `today` or `now`")
    needs_person = Column(pl.Boolean(), "whether a person is asked")
    valid_until = Column(pl.Date(), "last day for an answer", nullable=True)
    otherwise = Column(pl.String(), "what holds where nobody answers; empty where nobody is asked")


class DecisionAnswerTable(
    Table, dataset="decision_answers", partitions=BY_INTERVAL, written_by="quant-organism decisions"
):
    """What a person answered to a decision, on the day of the answer. Rows are never changed."""

    id = Column(pl.String(), "the decision", key=True)
    answer = Column(pl.String(), "`approve` or `reject`")
    reason = Column(pl.String(), "why, in a sentence")
    at = Column(pl.String(), "when, UTC")
    outcome = Column(pl.String(), "what was done about it")


class DecisionActionTable(Table, dataset="decision_actions", partitions=BY_INTERVAL, written_by="deployment_decisions"):
    """What was done about a decision, on the day on which it was done. Rows are never changed."""

    id = Column(pl.String(), "the decision", key=True)
    by = Column(pl.String(), "who did it: the engine, a night's marks, a cycle's deployment, a person", key=True)
    type = Column(pl.String(), "as in `deployment_decisions`")
    decided = Column(pl.Date(), "day of the decision")
    what = Column(pl.String(), "done, in words")


TABLES: Final[tuple[type[Table], ...]] = (
    DocumentTable,
    AccountTable,
    DecisionTable,
    BirthTable,
    EvidenceDayTable,
    MoveTable,
    PostmortemTable,
    DeploymentDecisionTable,
    DecisionAnswerTable,
    DecisionActionTable,
)
