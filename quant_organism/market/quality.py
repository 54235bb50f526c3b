"""How sound candles are: what is wrong with each bar, a score per day and symbol, and what a low score forbids.

A bar is defective or it is not; several defects of one bar count once. The score of a day is the share of the
expected bars that are there without a defect. Nothing here alters a bar.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from quant_organism.errors import InputError
from quant_organism.market.funding import UNKNOWN_FUNDING, funding_coverage
from quant_organism.market.row_rules import BAR_RULES
from quant_organism.market.schema import MS_PER_DAY, TIMESTAMP, Interval
from quant_organism.market.tables import REASONS, CandleQualityTable, DefectTable, FundingTable

MIN_QUALITY: Final = 0.95

ZERO_VOLUME_RUN_BARS: Final = 6
STALE_RUN_BARS: Final = 12
OUTLIER_SIGMAS: Final = 12.0
OUTLIER_TRAILING_BARS: Final = 168

_SIGMA_PER_MEDIAN: Final = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
_LEAST_TRAILING_BARS: Final = 24
_MOSTLY: Final = 0.5  # of a jump that comes back

Listed = Mapping[str, tuple[datetime, datetime]]


def defects(
    candles: pl.DataFrame,
    interval: Interval,
    *,
    set_aside: pl.DataFrame | None = None,
    listed: Listed | None = None,
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """Name everything that is wrong, bar by bar.

    ==================  ================================================================================================
    gap                 no bar between a symbol's first and last
    duplicate           a further bar of the same time
    off_grid            not a whole number of bars after midnight UTC
    not_finite, not_positive, negative_volume, ohlc   impossible numbers, see `row_rules.BAR_RULES`
    zero_volume_run     one of `ZERO_VOLUME_RUN_BARS` or more bars in a row without volume; a thin coin goes without a
                        trade for a few bars, and those are sound
    stale               one of `STALE_RUN_BARS` or more bars in a row with the same open, high, low and close
    outlier             the close jumps by more than `OUTLIER_SIGMAS` robust deviations, and at least half of the jump
                        is gone within two bars; a crash stays down and is sound
    forming             the bar closes after `as_of`
    ==================  ================================================================================================

    The robust deviation of log returns is 1.4826 x the median of their absolute values, unchanged prices left out (a
    thin coin's median would be 0). It is the larger of two: over all of the symbol's bars, so that a quiet week
    does not make an ordinary move an outlier, and over the `OUTLIER_TRAILING_BARS` bars before, so that in a storm
    the storm is the measure.

    Parameters
    ----------
    candles
        Candle frame in any order; may hold what the rules exist to find.
    interval
        Length of the bars.
    set_aside
        Rows that a source could not use (`SetAsideTable`); those with a timestamp count under their own reason.
        Bars set aside as forming are no defect: they come in time.
    listed
        Symbol -> its first and last bar open, both known from elsewhere, aware UTC; makes missing bars at the edges
        of `candles` gaps too, within the days that `candles` covers.
    as_of
        Aware date-time; None: no bar is forming.

    Returns
    -------
    DataFrame
        `DefectTable`, sorted by (timestamp, symbol, reason).
    """
    if candles.is_empty():
        return DefectTable.empty()
    bars = candles.sort("symbol", "timestamp", maintain_order=True)
    repeated = pl.col("timestamp").diff().eq(0) & pl.col("symbol").eq(pl.col("symbol").shift())
    once = bars.filter(~repeated.fill_null(False))
    found = [
        _named(bars.filter(repeated), "duplicate", pl.lit("a further bar of the same time")),
        *_impossible(bars, interval),
        *_runs(once, interval),
        _outliers(once, interval),
        _gaps(once, interval, listed),
    ]
    if as_of is not None:
        closes = pl.col("timestamp") + pl.duration(milliseconds=interval.milliseconds)
        until = as_of.astimezone(UTC)
        found.append(_named(once.filter(closes > until), "forming", pl.lit(f"closes after {until:%Y-%m-%d %H:%M} UTC")))
    if set_aside is not None:
        days = bars.select(pl.col("timestamp").dt.date()).to_series()
        covered = pl.col("timestamp").dt.date().is_between(days.min(), days.max())
        found.append(set_aside.filter(covered, pl.col("reason") != "forming").select(DefectTable.schema.names()))
    once_each = pl.concat(found).unique(["symbol", "timestamp", "reason"], keep="first", maintain_order=True)
    return once_each.sort("timestamp", "symbol", "reason")


def assess(
    candles: pl.DataFrame,
    interval: Interval,
    *,
    set_aside: pl.DataFrame | None = None,
    listed: Listed | None = None,
    as_of: datetime | None = None,
    funding: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Score every day of every symbol; parameters as `defects`.

    Parameters
    ----------
    funding
        By `FundingTable`, also of the days before; None: what is known of funding is not looked at.

    Returns
    -------
    DataFrame
        One row per (day, symbol) with a bar expected, sorted: `day`, `symbol`, `bars` (there), `expected`,
        `defective` (expected bars with any defect), `score` = 1 - defective / expected, one count per reason of
        `REASONS`, `reasons`, the counts above 0 as text, and `funding`, the share of its bars on which the funding
        rate is known (null where it was not looked at or there is no bar); it does not touch the score.
    """
    if candles.is_empty():
        return CandleQualityTable.empty()
    found = defects(candles, interval, set_aside=set_aside, listed=listed, as_of=as_of)
    day = pl.col("timestamp").dt.date().alias("day")
    per_day = _grid(candles, interval, listed).group_by("symbol", day).agg(expected=pl.len().cast(pl.Int64))
    bars = candles.group_by("symbol", day).agg(bars=pl.col("timestamp").n_unique().cast(pl.Int64))
    on_grid = pl.col("timestamp").dt.epoch("ms") % interval.milliseconds == 0
    counts = found.group_by("symbol", day).agg(
        pl.col("timestamp").filter(on_grid).n_unique().cast(pl.Int64).alias("defective"),
        *[(pl.col("reason") == reason).sum().cast(pl.Int64).alias(reason) for reason in REASONS],
    )
    rates = candles.clear() if funding is None else candles
    known = funding_coverage(rates, FundingTable.empty() if funding is None else funding, interval)
    return (
        per_day.join(known, on=["symbol", "day"], how="left")
        .join(bars, on=["symbol", "day"], how="left")
        .join(counts, on=["symbol", "day"], how="left")
        .with_columns(pl.col("bars", "defective", *REASONS).fill_null(0))
        .rechunk()
        .with_columns(score=1.0 - pl.col("defective") / pl.col("expected"), reasons=_reasons_text())
        .select(CandleQualityTable.schema.names())
        .sort("day", "symbol")
    )


def _reasons_text() -> pl.Expr:
    texts = [pl.when(pl.col(reason) > 0).then(pl.format(f"{reason} {{}}", pl.col(reason))) for reason in REASONS]
    return pl.concat_str(texts, separator=", ", ignore_nulls=True)


def _named(rows: pl.DataFrame, reason: str, detail: pl.Expr) -> pl.DataFrame:
    # Rechunked, because polars 2.1 panics on pl.format over a column that has an empty chunk.
    return rows.rechunk().select("symbol", "timestamp", reason=pl.lit(reason), detail=detail)


def _impossible(bars: pl.DataFrame, interval: Interval) -> list[pl.DataFrame]:
    off_grid = bars.filter(pl.col("timestamp").dt.epoch("ms") % interval.milliseconds != 0)
    found = [_named(off_grid, "off_grid", pl.lit(f"not a whole number of {interval} bars after midnight UTC"))]
    remaining = bars
    for rule in BAR_RULES:
        broken = remaining.filter(rule.broken)
        if broken.height:
            found.append(_named(broken, rule.reason, rule.detail))
            remaining = remaining.filter(~rule.broken.fill_null(False))
    return found


def _follows(interval: Interval) -> pl.Expr:
    """Whether the row before, sorted by (symbol, timestamp), is the same symbol's bar before."""
    next_to = pl.col("timestamp").diff().dt.total_milliseconds() == interval.milliseconds
    return (next_to & (pl.col("symbol") == pl.col("symbol").shift())).fill_null(False)


def _runs(bars: pl.DataFrame, interval: Interval) -> list[pl.DataFrame]:
    empty = pl.col("volume") == 0
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("open", "high", "low", "close"))
    follows = _follows(interval)
    runs = bars.with_columns(
        empty=empty,
        empty_run=(~(follows & empty & empty.shift())).fill_null(True).cum_sum(),
        same_run=(~(follows & same)).fill_null(True).cum_sum(),
    ).with_columns(empty_bars=pl.len().over("empty_run"), same_bars=pl.len().over("same_run"))
    return [
        _named(
            runs.filter(pl.col("empty"), pl.col("empty_bars") >= ZERO_VOLUME_RUN_BARS),
            "zero_volume_run",
            pl.format("one of {} bars in a row without volume", pl.col("empty_bars")),
        ),
        _named(
            runs.filter(pl.col("same_bars") >= STALE_RUN_BARS),
            "stale",
            pl.format("one of {} bars in a row with the same four prices", pl.col("same_bars")),
        ),
    ]


def _outliers(bars: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    close = pl.col("close")
    log_close = pl.when((close > 0) & close.is_finite()).then(close.log())
    before, after, second = (pl.col("log_close").shift(by).over("symbol") for by in (1, -1, -2))
    moves = bars.select("symbol", "timestamp", log_close=log_close, follows=_follows(interval)).with_columns(
        jump=pl.when("follows").then(pl.col("log_close") - before),
        left=pl.min_horizontal((after - before).abs(), (second - before).abs()),
    )
    moves = moves.with_columns(size=pl.when(pl.col("jump") != 0).then(pl.col("jump").abs()))
    trailing = (
        pl.col("size").rolling_median(OUTLIER_TRAILING_BARS, min_samples=_LEAST_TRAILING_BARS).shift(1).over("symbol")
    )
    sigma = _SIGMA_PER_MEDIAN * pl.max_horizontal(pl.col("size").median().over("symbol"), trailing)
    moves = moves.with_columns(sigmas=pl.col("size") / sigma)
    return _named(
        moves.filter(pl.col("sigmas") > OUTLIER_SIGMAS, pl.col("left") <= (1 - _MOSTLY) * pl.col("size")),
        "outlier",
        pl.format(
            "the close jumps by {} % ({} robust deviations) and comes back within two bars",
            (100 * pl.col("jump").exp() - 100).round(2),
            pl.col("sigmas").round(1),
        ),
    )


def _gaps(bars: pl.DataFrame, interval: Interval, listed: Listed | None) -> pl.DataFrame:
    missing = _grid(bars, interval, listed).join(bars, on=["symbol", "timestamp"], how="anti")
    return _named(missing, "gap", pl.lit("no bar"))


def _grid(bars: pl.DataFrame, interval: Interval, listed: Listed | None) -> pl.DataFrame:
    """Return the (symbol, timestamp) of every expected bar: from a symbol's first to its last, on the grid."""
    length = interval.milliseconds
    stamp = pl.col("timestamp").dt.epoch("ms")
    first_day, last_day = bars.select(first=stamp.min() // MS_PER_DAY, last=stamp.max() // MS_PER_DAY).row(0)
    spans = bars.group_by("symbol").agg(first=stamp.min(), last=stamp.max())
    if listed:
        known = pl.DataFrame(
            [(symbol, first, last) for symbol, (first, last) in listed.items()],
            schema={"symbol": pl.String(), "first": TIMESTAMP, "last": TIMESTAMP},
            orient="row",
        ).with_columns(
            pl.col("first").dt.epoch("ms").clip(lower_bound=first_day * MS_PER_DAY),
            pl.col("last").dt.epoch("ms").clip(upper_bound=(last_day + 1) * MS_PER_DAY - length),
        )
        known = known.filter(pl.col("first") <= pl.col("last"))
        spans = pl.concat([spans, known]).group_by("symbol").agg(pl.col("first").min(), pl.col("last").max())
    opens = pl.int_ranges(-(-pl.col("first") // length) * length, pl.col("last") + 1, length)
    return spans.select("symbol", timestamp=opens).explode("timestamp").cast({"timestamp": TIMESTAMP})


# --- what a low score forbids -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """The quality of a part of the market, each bar weighing the same; `funding` is the share of bars with a rate."""

    of: str
    expected: int
    defective: int
    reasons: str
    funding: float | None

    @property
    def score(self) -> float:
        """Share of the expected bars that are there without a defect, in [0, 1]."""
        return 1.0 - self.defective / self.expected


@dataclass(frozen=True)
class QualitySummary:
    """An assessment in short.

    Parameters
    ----------
    overall
        All bars.
    newest_day
        The last day, all symbols.
    symbols
        Every symbol over its own listed life, worst first.
    days
        Every day, worst first.
    """

    overall: Score
    newest_day: Score
    symbols: tuple[Score, ...]
    days: tuple[Score, ...]

    def funding_gaps(self, least: float = MIN_QUALITY) -> list[str]:
        """Return a sentence on symbols whose funding is known on a smaller share of their bars than `least`."""
        poor = [(symbol.of, symbol.funding) for symbol in self.symbols if (symbol.funding or 0.0) < least]
        if any(symbol.funding is None for symbol in self.symbols):
            return []
        without = sorted(name for name, share in poor if not share)
        partly = [f"Funding of {name} is known on {share:.2%} of its bars" for name, share in sorted(poor) if share]
        named = [f"No funding of {', '.join(without)} is known", *partly] if without else partly
        return [
            f"{what}: a perpetual pays it, so accounts are charged {UNKNOWN_FUNDING:.5%} an hour, long or short, where "
            "it is unknown."
            for what in named
        ]

    def blocking_reasons(self, min_quality: float = MIN_QUALITY, *, require_funding: bool = False) -> list[str]:
        """Return why nothing should be evolved on these bars, one sentence each; empty where all is well.

        Parameters
        ----------
        min_quality
            Least score in [0, 1] of all bars, of the newest day, and of each symbol over its life.
        require_funding
            Whether funding, too, has to be known on that share of each symbol's bars.
        """
        parts = [
            (self.overall, "repair the data or choose other symbols"),
            (self.newest_day, "import the day again once it is complete"),
            *[(symbol, f"leave {symbol.of} out with --symbols, or repair the data") for symbol in self.symbols],
        ]
        return [
            f"{part.of} scores {part.score:.2%}, below {min_quality:.0%}: {part.defective} of {part.expected} bars are "
            f"defective ({part.reasons}); {remedy}."
            for part, remedy in parts
            if part.score < min_quality
        ] + (self.funding_gaps(min_quality) if require_funding else [])


def summarise(assessment: pl.DataFrame) -> QualitySummary:
    """Put an assessment in short.

    Raises
    ------
    InputError
        The assessment is empty: there are no bars to judge.
    """
    if assessment.is_empty():
        raise InputError("there are no bars to judge", remedy="import data first (quant-organism data import)")
    days = _scores(assessment, "day")
    newest = str(assessment["day"].max())
    return QualitySummary(
        overall=_scores(assessment.with_columns(all=pl.lit("the market")), "all")[0],
        newest_day=next(score for score in days if score.of == newest),
        symbols=_scores(assessment, "symbol"),
        days=days,
    )


def _scores(assessment: pl.DataFrame, key: str) -> tuple[Score, ...]:
    sums = (
        assessment.group_by(of=pl.col(key).cast(pl.String))
        .agg(
            pl.col("expected", "defective", *REASONS).sum(),
            funding=(pl.col("funding") * pl.col("bars")).sum()
            / pl.col("bars").filter(pl.col("funding").is_not_null()).sum(),
        )
        .sort(-pl.col("defective") / pl.col("expected"), "of")
        .rechunk()
        .select("of", "expected", "defective", reasons=_reasons_text(), funding=pl.col("funding").fill_nan(None))
    )
    return tuple(Score(**row) for row in sums.iter_rows(named=True))
