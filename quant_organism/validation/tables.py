"""The datasets of the validation room: draws of luck, openings of unseen days, verdicts, and what they come to."""

from __future__ import annotations

import math
from typing import Final

import polars as pl

from quant_organism.market import BY_CYCLE, TIMESTAMP, Column, Table

_SHARPE: Final = "annual Sharpe ratio"


class PretestTable(Table, dataset="edge_pretest", partitions=BY_CYCLE, written_by="edge_pretest"):
    """One cycle: is there anything to find? What was measured is missing where the test did not run."""

    status = Column(pl.String(), "`passed` if there may be something to find, `failed` if not, or `not_run`")
    p_value = Column(pl.Float64(), "of the larger of the two statistics", unit="probability", nullable=True)
    pooled_p = Column(pl.Float64(), "of the best family's ensemble on all assets", unit="probability", nullable=True)
    per_asset_p = Column(
        pl.Float64(), "of the best units, most of them on one asset", unit="probability", nullable=True
    )
    level = Column(pl.Float64(), "largest p-value that passes", unit="probability")
    percentile = Column(
        pl.Float64(), "share of the copies on which the statistic was lower", unit="fraction", nullable=True
    )
    draws = Column(pl.Int64(), "copies of the market that were looked at", unit="copies", nullable=True)
    genomes = Column(pl.Int64(), "random strategies on the market and on every copy", unit="genomes", nullable=True)
    best_family = Column(pl.String(), "family whose ensemble stands out most", nullable=True)
    top_sharpe = Column(pl.Float64(), "mean of the best units on the market itself", unit=_SHARPE, nullable=True)
    sentence = Column(pl.String(), "the answer in a sentence, or why there is none")


class SignificanceTable(Table, dataset="search_significance", partitions=BY_CYCLE, written_by="search_significance"):
    """One statistic of a search: how good it is, and how good the same search looks by luck alone."""

    statistic = Column(pl.String(), "`committee`, or a single strategy by rank", key=True)
    status = Column(pl.String(), "`measured`, `not_run`, or `incomplete` where the repetitions were cut short")
    sharpe = Column(pl.Float64(), "in sample", unit=_SHARPE, nullable=True)
    luck_sharpe = Column(pl.Float64(), "median over the copies", unit=_SHARPE, nullable=True)
    p_value = Column(pl.Float64(), "share of the copies that did as well", unit="probability", nullable=True)
    exceedances = Column(pl.Int64(), "copies that did as well", unit="copies", nullable=True)
    draws = Column(pl.Int64(), "copies that were searched", unit="copies", nullable=True)
    null = Column(pl.String(), "how the copies were made", nullable=True)
    left_out = Column(pl.List(pl.String()), "families that were not searched on the copies", nullable=True)
    sentence = Column(pl.String(), "what it says, or why it did not run")


class NullDrawTable(
    Table, dataset="null_draws", partitions=("test", "search"), written_by="edge_pretest, search_significance"
):
    """One statistic on one copy of a market in which nothing can be found."""

    draw = Column(pl.Int64(), "number of the copy; 0 is the market itself", key=True)
    statistic = Column(pl.String(), "which statistic", key=True)
    value = Column(pl.Float64(), "its value; NaN where it is undefined")


class OpeningTable(
    Table, dataset="holdout_openings", partitions=("market",), written_by="backtest_validation", version=2
):
    """One event in the register of looks at unseen days; never changed, never removed."""

    opening = Column(pl.Int64(), "number of the opening in the market's register", key=True)
    event = Column(pl.String(), "`opened` before the days are read, `read` once known, `offered` without any", key=True)
    recorded_at = Column(TIMESTAMP, "when, by the machine's clock", unit="UTC")
    look = Column(pl.String(), "SHA-256 of what is looked at, by whom and how")
    panel_hash = Column(pl.String(), "SHA-256 of the panel")
    interval = Column(pl.String(), "length of its bars")
    first_bar = Column(TIMESTAMP, "when the first bar of the span opens", unit="UTC")
    end = Column(TIMESTAMP, "when the span ends", unit="UTC")
    candidates = Column(pl.List(pl.String()), "identities of the strategies that are judged")
    nth = Column(pl.Int64(), "how many openings share a bar with this one, itself included")
    week = Column(pl.Int64(), "ISO week of the panel's last day, counted from 1970-01-05", since=2, default=-1)
    rerun = Column(
        pl.Int64(), "r: looks of its market, interval and week before it; 0 is the official one", since=2, default=0
    )
    reason = Column(pl.String(), "what it was opened for")
    result_hash = Column(pl.String(), "SHA-256 of what it showed; none before it was read", nullable=True)


class WeekTable(Table, dataset="official_cycles", partitions=("market",), written_by="backtest_validation"):
    """One cycle that may put candidates forward in its week; never changed, never removed."""

    entry = Column(pl.Int64(), "number of the entry in the market's register", key=True)
    week = Column(pl.Int64(), "ISO week of the cycle's day, counted from 1970-01-05")
    interval = Column(pl.String(), "length of its bars")
    day = Column(pl.Date(), "day of the cycle")
    cycle = Column(pl.String(), "identity of the cycle among those of its day")
    question = Column(pl.String(), "SHA-256 of how it searches and judges, and with which seed")
    standing = Column(pl.String(), "`official`: the first of its week; `offered`: beside it, for the price of a look")


class VerdictTable(Table, dataset="validation_verdicts", partitions=BY_CYCLE, written_by="validated_strategies"):
    """The verdict of one gate on one candidate, all gates together."""

    candidate = Column(pl.String(), "identity of the strategy")
    origin = Column(pl.String(), "how the search chose it")
    profile = Column(pl.String(), "name of the profile of gates")
    profile_hash = Column(pl.String(), "SHA-256 of the profile")
    stage = Column(pl.String(), "what was looked at")
    gate = Column(pl.String(), "for what; a profile may have a gate twice, with other parameters")
    needed_for = Column(pl.List(pl.String()), "stages of life that the gate stands before; none where it only informs")
    status = Column(pl.String(), "`passed`, `failed`, `not_run`, or `not_applicable` where there is nothing to look at")
    value = Column(pl.Float64(), "what was measured; NaN where nothing could be")
    threshold = Column(pl.Float64(), "its bound")
    n_used = Column(pl.Int64(), "trades, days, windows or draws that the value rests on")
    reason = Column(pl.String(), "why, in a sentence")


class VerdictAfterBacktestTable(
    VerdictTable, dataset="backtest_validation", partitions=BY_CYCLE, written_by="backtest_validation"
):
    """The verdict of one gate that the backtest alone can judge, on one candidate."""


class VerdictAfterReplayTable(
    VerdictTable, dataset="replay_validation", partitions=BY_CYCLE, written_by="replay_validation"
):
    """The verdict of one gate up to the replay, on one candidate."""


class VerdictAfterTestnetTable(
    VerdictTable, dataset="testnet_validation", partitions=BY_CYCLE, written_by="testnet_validation"
):
    """The verdict of one gate up to the testnet, on one candidate."""


class CandidateMetricTable(Table, dataset="candidate_metrics", partitions=BY_CYCLE, written_by="backtest_validation"):
    """One candidate and what it did in each span."""

    candidate = Column(pl.String(), "identity of the strategy", key=True)
    looked_at = Column(pl.Boolean(), "whether it was looked at on the unseen days")
    score = Column(
        pl.Float64(),
        "of its account on unseen days, in sample on the short line; NaN if it was not measured",
        unit=_SHARPE,
    )
    metrics = Column(
        pl.String(),
        "metrics by span: of its ideal sleeves in sample, of its account on unseen days, where the Sharpe ratio of its "
        "sleeves at the same risk scale and the tracking error stand beside them",
        unit="JSON",
    )


class CandidateReturnTable(
    Table, dataset="candidate_returns", partitions=BY_CYCLE, written_by="backtest_validation", version=2
):
    """What the account of one candidate earned on one day on which it was looked at; the embargo is left out."""

    candidate = Column(pl.String(), "identity of the strategy", key=True)
    day = Column(pl.Date(), "the day", unit="UTC", key=True)
    net_return = Column(pl.Float64(), "after all costs", unit="fraction of equity")
    ideal_return = Column(
        pl.Float64(),
        "of its ideal sleeves at the same risk scale; NaN in older files, whose net returns are of sleeves",
        unit="fraction of equity",
        since=2,
        default=math.nan,
    )


class ReplayTable(Table, dataset="strategy_replays", partitions=BY_CYCLE, written_by="replay_validation", version=2):
    """One period in which one candidate was traded bar by bar."""

    candidate = Column(pl.String(), "identity of the strategy", key=True)
    mode = Column(pl.String(), "how closely it was replayed", key=True)
    period = Column(pl.Int64(), "number of the period, from 1", key=True)
    first_bar = Column(TIMESTAMP, "when its first bar opens", unit="UTC")
    bars = Column(pl.Int64(), "its length", unit="bars")
    trades = Column(pl.Int64(), "trades that were closed in it", unit="trades")
    sharpe = Column(pl.Float64(), "of the account in the period", unit=_SHARPE)
    total_return = Column(pl.Float64(), "of the account over the period", unit="fraction of equity")
    equal = Column(pl.Int64(), "replays of members that made the backtest's trades", unit="replays")
    compared = Column(pl.Int64(), "replays of members that were compared", unit="replays")
    trade_hash = Column(pl.String(), "SHA-256 of the trades of all periods")
    difference = Column(pl.String(), "the first trade that differs, in words; empty without one")
    ideal_return = Column(
        pl.Float64(),
        "of the ideal sleeves, not scaled; NaN in older files, whose other figures are of sleeves",
        unit="fraction of equity",
        since=2,
        default=math.nan,
    )
    orders = Column(pl.Int64(), "fills of the account in the period", unit="fills", since=2, default=0)
    order_hash = Column(pl.String(), "digest H2 of the account's orders, bar by bar", since=2, default="")
    backtest_order_hash = Column(pl.String(), "the same of the backtest's account", since=2, default="")
    overall = Column(pl.Float64(), "score of the triple validation", unit="fraction")
    attainable = Column(pl.Float64(), "most that the stages that ran could have come to", unit="fraction")
    score = Column(pl.String(), "the score in words")


class MemberReplayTable(
    Table, dataset="member_replays", written_by="replay_validation, quant-organism replay", version=2
):
    """One period of one member, bar by bar; a file per member, under the digest of all that its replay depends on."""

    trades = Column(pl.Int64(), "trades that were closed in it", unit="trades")
    trade_hash = Column(pl.String(), "SHA-256 of the trades, bar by bar")
    backtest_hash = Column(pl.String(), "SHA-256 of the trades that the population evaluator made")
    difference = Column(pl.String(), "the first trade that differs, in words; empty without one")
    returns = Column(pl.List(pl.Float64()), "net return of each bar", unit="fraction of equity")
    units = Column(
        pl.List(pl.Float64()),
        "virtual units before each bar and at the end, asset by asset within each",
        unit="units per USD",
        nullable=True,
        since=2,
    )
    stops = Column(
        pl.List(pl.Float64()), "stops within each bar, asset by asset; NaN without", unit="USD", nullable=True, since=2
    )
    targets = Column(
        pl.List(pl.Float64()),
        "targets within each bar, asset by asset; NaN without",
        unit="USD",
        nullable=True,
        since=2,
    )
    virtual_returns = Column(
        pl.List(pl.Float64()),
        "return of each bar, marked where the stream stood",
        unit="fraction of equity",
        nullable=True,
        since=2,
    )
    before = Column(
        pl.List(pl.Float64()),
        "return of each bar of the days before, of which the risk scale is made",
        unit="fraction of equity",
        nullable=True,
        since=2,
    )
    held_difference = Column(
        pl.String(), "where it held something else than in the backtest, in words", since=2, default=""
    )


class StandingTable(Table, dataset="validated_strategies", partitions=BY_CYCLE, written_by="validated_strategies"):
    """One candidate and what it has earned by all evidence together."""

    candidate = Column(pl.String(), "identity of the strategy", key=True)
    origin = Column(pl.String(), "how the search chose it")
    members = Column(pl.Int64(), "its genomes", unit="genomes")
    standing = Column(pl.String(), "`paper`, `shadow` (unproven) or `fallen`")
    passed = Column(pl.Boolean(), "whether it has earned anything")
    score = Column(
        pl.Float64(),
        "of its account on unseen days, in sample on the short line; NaN if it was not measured",
        unit=_SHARPE,
    )
    why = Column(pl.String(), "why it has earned no more, in a sentence")
    metrics = Column(pl.String(), "metrics by span", unit="JSON")


TABLES: Final[tuple[type[Table], ...]] = (
    PretestTable,
    SignificanceTable,
    NullDrawTable,
    OpeningTable,
    WeekTable,
    VerdictAfterBacktestTable,
    CandidateMetricTable,
    CandidateReturnTable,
    VerdictAfterReplayTable,
    ReplayTable,
    MemberReplayTable,
    VerdictAfterTestnetTable,
    VerdictTable,
    StandingTable,
)
