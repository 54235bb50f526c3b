"""The population evaluator: many genomes on all assets of a panel, in one call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from queue import SimpleQueue
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from quant_organism.backtest import kernel, layout, step_walk
from quant_organism.backtest.costs import Costs
from quant_organism.backtest.cross_section.book import ASSET
from quant_organism.backtest.cross_section.walk import ranking_family, walk_genome
from quant_organism.backtest.evaluation import CommitteeEvaluation, EquityPaths, Evaluation, committee_evaluation
from quant_organism.backtest.exposure import Exposures, exposures_of
from quant_organism.backtest.metrics import PATH_METRICS, market_metrics, reduce_paths, return_metrics, trade_metrics
from quant_organism.backtest.population import (
    Banks,
    BatchGroup,
    Desk,
    GenomeBatch,
    bank_maker,
    batches_of,
    check_columns,
    groups_of,
    participation,
    ranking_places,
    trade_group,
    write_targets,
)
from quant_organism.backtest.sleeves import EvaluationWindow, Sleeve, check_panel
from quant_organism.backtest.target_stream import carried
from quant_organism.backtest.trades import TradeList, trade_list
from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.strategies import Committee, Genome, IndicatorStore
from quant_organism.strategies.targets import Targets

Floats = NDArray[np.float64]
Work = TypeVar("Work")

_WINDOWS: Final = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluator:
    """Evaluate populations by the rules of docs/execution.md.

    Results do not depend on the number of threads, nor on the order of genomes and assets, to the last bit.

    Parameters
    ----------
    threads
        Threads over groups of genomes; the kernels release the interpreter's lock.
    stops_from_next_bar
        Look at stops from the bar after entry on only (rule 17): for comparison with engines that do so.
    memory_bytes
        Ceiling of the indicators and fitted models that are kept from call to call.
    ranked_on
        Panel on which genomes that rank assets are evaluated in place of the one given: on markets without an edge
        each kind has its own copy. Of the same bars, times and symbols.

    Raises
    ------
    InputError
        If there is not at least one thread.
    """

    threads: int = 2
    stops_from_next_bar: bool = False
    memory_bytes: int = 768 * 2**20
    ranked_on: Panel | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise InputError(f"threads is {self.threads}, expected at least 1")
        if self.memory_bytes < 0:
            raise InputError(f"memory_bytes is {self.memory_bytes}, expected at least 0")

    @cached_property
    def store(self) -> IndicatorStore:
        """Return what keeps indicators and models from call to call."""
        return IndicatorStore(self.memory_bytes)

    @cached_property
    def _windows(self) -> dict[tuple[str, str, int, int, int], EvaluationWindow]:
        return {}

    @cached_property
    def _ranked_windows(self) -> dict[tuple[str, str, int, int, int], EvaluationWindow]:
        return {}

    def evaluate(
        self,
        population: Sequence[Genome],
        panel: Panel,
        costs: Costs,
        *,
        start: int = 0,
        stop: int | None = None,
        bar_returns: bool = False,
        asset_daily_returns: bool = False,
        assets: Sequence[Sequence[str]] | None = None,
        delay_bars: int = 0,
    ) -> Evaluation:
        """Backtest every genome on every asset and on the portfolio of all of them.

        Parameters
        ----------
        population
            G genomes of any families.
        panel
            The market, T bars x N assets.
        costs
            Fees, slippage, funding.
        start, stop
            Rows between which to trade and score; signals see all rows before `stop`, so that rows before `start`
            are warm-up. Default: the whole panel.
        bar_returns
            Return the portfolio's returns per bar too: G x T' float64.
        asset_daily_returns
            Return the daily returns of each sleeve alone too: G x N x D float64.
        assets
            Of each genome the symbols that its portfolio is restricted to (rule 19), G in all; none of them means all.
        delay_bars
            Act on every target so many of the asset's bars late (rule 20).

        Raises
        ------
        InputError
            An empty population, a panel with broken bars or time stamps, a window outside the panel, a symbol that
            the panel does not have, or a negative delay.
        """
        genomes = tuple(population)
        if not genomes:
            raise InputError("the population is empty", remedy="give at least one genome")
        window = self._window(panel, costs, start, stop, delay_bars)
        check_columns(genomes, panel)
        takes_part = None if assets is None else participation(assets, panel, genomes)
        groups = groups_of(batches_of(genomes, window), window, self.threads)
        totals = np.empty((len(genomes), panel.n_assets, layout.N_TOTALS))
        daily = np.empty((len(genomes), window.day_starts.size))
        paths = np.empty((len(genomes), window.n_bars)) if bar_returns else None
        by_asset = np.empty((len(genomes), panel.n_assets, window.day_starts.size)) if asset_daily_returns else None
        metrics = {name: np.empty(len(genomes)) for name in (*PATH_METRICS, "time_in_market")}
        desks: SimpleQueue[Desk] = SimpleQueue()
        for _ in range(min(self.threads, len(groups))):
            desks.put(Desk.empty(groups, window))

        def trade(group: BatchGroup) -> None:
            desk, places = desks.get(), group.places
            try:
                part = None if takes_part is None else takes_part[places]
                returns, held, totals[places], sleeves = trade_group(
                    group, window, desk, takes_part=part, sleeves_apart=asset_daily_returns
                )
                if by_asset is not None:
                    by_asset[places] = sleeves
                reduced, daily[places] = reduce_paths(
                    returns, window.bars_per_year, window.market_returns, window.day_starts
                )
                for name, values in reduced.items():
                    metrics[name][places] = values
                metrics["time_in_market"][places] = held.mean(axis=1)
                if paths is not None:
                    paths[places] = returns
            finally:
                desks.put(desk)

        def rank(place: int) -> None:
            book = walk_genome(genomes[place], elsewhere, gains=asset_daily_returns)
            totals[place][elsewhere.ranked.order] = book.totals
            reduced, daily[[place]] = reduce_paths(
                book.returns[None], elsewhere.bars_per_year, elsewhere.market_returns, elsewhere.day_starts
            )
            for name, values in reduced.items():
                metrics[name][place] = values[0]
            metrics["time_in_market"][place] = book.held.mean()
            if paths is not None:
                paths[place] = book.returns
            if by_asset is not None:
                by_asset[place][elsewhere.ranked.order] = reduce_paths(
                    book.gains.T, elsewhere.bars_per_year, elsewhere.market_returns, elsewhere.day_starts
                )[1]

        ranking, elsewhere = ranking_places(genomes), window
        if ranking:
            if self.ranked_on is not None:
                elsewhere = self._window(self.ranked_on, costs, start, stop, delay_bars, self._ranked_windows)
            _ = elsewhere.ranked, elsewhere.market_returns
        _ = window.sleeves, window.market_returns  # before threads ask for them
        if len(groups) > 1 and takes_part is None:
            self._each(bank_maker(groups, window), window.traded_assets)
        self._each(trade, groups)
        self._each(rank, ranking)
        by_sleeve = _asset_metrics(totals, window)
        by_sleeve["sharpe"][ranking] = np.nan
        return Evaluation(
            genomes=genomes,
            symbols=panel.symbols,
            metrics=metrics | _pooled_metrics(totals, window),
            asset_metrics=by_sleeve,
            days=window.days,
            daily_returns=daily,
            bar_returns=paths,
            behaviour=_behaviour(totals, window),
            asset_daily_returns=by_asset,
        )

    def evaluate_committees(
        self,
        committees: Sequence[Committee],
        panel: Panel,
        costs: Costs,
        *,
        start: int = 0,
        stop: int | None = None,
        delay_bars: int = 0,
    ) -> CommitteeEvaluation:
        """Backtest committees: the weighted mean of their members' returns, each with its own stops (rule 13).

        Arguments and errors as in `evaluate`; members that several committees share are evaluated once.
        """
        members = {member.key: member for committee in committees for member in committee.members}
        position = {key: place for place, key in enumerate(members)}
        restricted = any(member.assets for member in members.values())
        measured = self.evaluate(
            [member.genome for member in members.values()],
            panel,
            costs,
            start=start,
            stop=stop,
            bar_returns=True,
            assets=[member.assets for member in members.values()] if restricted else None,
            delay_bars=delay_bars,
        )
        window = self._window(panel, costs, start, stop, delay_bars)
        shares = np.zeros((len(committees), len(members)))
        for row, committee in enumerate(committees):
            shares[row, [position[member.key] for member in committee.members]] = committee.weights
        return committee_evaluation(committees, shares, measured, window)

    def exposures(
        self,
        population: Sequence[Genome],
        panel: Panel,
        costs: Costs,
        *,
        start: int = 0,
        stop: int | None = None,
        assets: Sequence[Sequence[str]] | None = None,
    ) -> Exposures:
        """Return what the sleeves of genomes hold virtually at each close, and where they leave (rule A1).

        Arguments and errors as in `evaluate`; costs that limit volume are refused too.
        """
        genomes = tuple(population)
        window = self._window(panel, costs, start, stop)
        check_columns(genomes, panel)
        return exposures_of(genomes, window, None if assets is None else participation(assets, panel, genomes))

    def trades(
        self, genome: Genome, panel: Panel, costs: Costs, *, start: int = 0, stop: int | None = None
    ) -> TradeList:
        """List every trade of one genome; arguments and errors as in `evaluate`."""
        window = self._window(panel, costs, start, stop)
        check_columns([genome], panel)
        records, times = {}, {}
        if ranking_places([genome]):
            trades = walk_genome(genome, window).trades
            for place, asset in enumerate(window.ranked.order.tolist()):
                symbol = panel.symbols[asset]
                records[symbol], times[symbol] = trades[trades[:, ASSET] == place], panel.times
            return trade_list(records, times)
        for asset in window.traded_assets:
            sleeve, record, _ = self._walk(genome, window, asset)
            symbol = panel.symbols[asset]
            records[symbol], times[symbol] = record, panel.times[sleeve.bars.rows]
        return trade_list(records, times)

    def targets(self, genome: Genome, panel: Panel, costs: Costs, *, stop: int | None = None) -> Floats:
        """Return what one genome wants of each asset at each close, as everything here trades it, shape (T, N).

        The target in [-1, 1], or the weight that one which ranks decided last; where an asset has no bar, that of its
        last one. Arguments and errors as in `evaluate`.
        """
        window = self._window(panel, costs, 0, stop)
        check_columns([genome], panel)
        wanted = np.zeros((window.stop, panel.n_assets))
        if ranking_places([genome]):
            family, bars = ranking_family(genome), window.ranked.bars
            wanted[:, window.ranked.order] = family.wanted(bars, genome.genes, panel.interval.hours)
            return wanted
        batch = GenomeBatch.of([genome], panel.interval)
        for asset in window.traded_assets:
            rows = np.flatnonzero(panel.valid[: window.stop, asset])
            targets = _targets_of(batch, window.sleeves[asset], window)
            wanted[:, asset] = carried(targets.expanded(0, rows.size), rows, window.stop)
        return wanted

    def equity(
        self, genome: Genome, panel: Panel, costs: Costs, *, start: int = 0, stop: int | None = None
    ) -> EquityPaths:
        """Return the equity of one genome's portfolio and sleeves at each close; arguments as in `evaluate`."""
        window = self._window(panel, costs, start, stop)
        returns = np.zeros((window.n_bars, 1 + panel.n_assets))
        evaluation = self.evaluate([genome], panel, costs, start=start, stop=stop, bar_returns=True)
        if evaluation.bar_returns is not None:
            returns[:, 0] = evaluation.bar_returns[0]
        if ranking_places([genome]):
            returns[:, 1 + window.ranked.order] = walk_genome(genome, window, gains=True).gains
        for asset in [] if ranking_places([genome]) else window.traded_assets:
            sleeve, _, gains = self._walk(genome, window, asset)
            returns[sleeve.window_rows, 1 + asset] = gains
        equity = np.asarray(np.cumprod(np.maximum(1.0 + returns, 0.0), axis=0), dtype=np.float64)
        return EquityPaths(times=window.times, symbols=panel.symbols, portfolio=equity[:, 0], sleeves=equity[:, 1:])

    def _each(self, work: Callable[[Work], None], parts: Sequence[Work]) -> None:
        # Starting threads and handing work to them takes longer than a small generation: one thread is the caller's.
        if self.threads == 1 or len(parts) < 2:
            for part in parts:
                work(part)
            return
        with ThreadPoolExecutor(self.threads) as executor:
            list(executor.map(work, parts))

    def _window(
        self,
        panel: Panel,
        costs: Costs,
        start: int,
        stop: int | None,
        delay_bars: int = 0,
        windows: dict[tuple[str, str, int, int, int], EvaluationWindow] | None = None,
    ) -> EvaluationWindow:
        if delay_bars < 0:
            raise InputError(f"delay_bars is {delay_bars}, expected at least 0")
        last = panel.n_bars if stop is None else stop
        name = (panel.hash, costs.hash, start, last, delay_bars)
        windows = self._windows if windows is None else windows
        known = windows.get(name)
        if known is None:
            check_panel(panel, start, last)
            known = EvaluationWindow(panel, costs, start, last, self.store, self.stops_from_next_bar, delay_bars)
            # Only the two latest: a search asks for its panel and for a short sample of it, in turn.
            while len(windows) >= _WINDOWS:
                del windows[next(iter(windows))]
            windows[name] = known
        return known

    def _walk(self, genome: Genome, window: EvaluationWindow, asset: int) -> tuple[Sleeve, Floats, Floats]:
        # One sleeve with its recorded trades and its returns in each of its bars of the window.
        sleeve = window.sleeves[asset]
        batch = GenomeBatch.of([genome], window.panel.interval)
        targets = _targets_of(batch, sleeve, window)
        trades = np.empty((int(targets.counts[0]), layout.N_TRADE_COLUMNS))
        gains, held = np.zeros(sleeve.n_bars), np.zeros(sleeve.n_bars, dtype=np.bool_)
        # Counted from its own first bar, a sleeve adds its returns in the order of its bars.
        bars = sleeve.bars._replace(origin=sleeve.bars.first)
        totals = np.empty(layout.N_TOTALS)
        simulate = step_walk.simulate_sleeve if sleeve.volume_is_limited else kernel.simulate_sleeve
        count = simulate(targets, 0, bars, batch.risk, sleeve.friction, totals, gains, held, trades)
        return sleeve, trades[:count], gains


def _targets_of(batch: GenomeBatch, sleeve: Sleeve, window: EvaluationWindow) -> Targets:
    targets = Targets.empty(batch.size, sleeve.bars.close.size, conviction=batch.family.conviction)
    write_targets(batch, sleeve, Banks.of(sleeve, BatchGroup([batch]), window.store), targets)
    return targets


def _behaviour(totals: Floats, window: EvaluationWindow) -> NDArray[np.uint64]:
    # In the order of symbols, so that a permuted panel gives the same digests.
    ordered = np.ascontiguousarray(totals[:, window.assets_by_symbol])
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in ordered]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def _pooled_metrics(totals: Floats, window: EvaluationWindow) -> dict[str, Floats]:
    # Summed asset by asset in the order of symbols, so that a permuted panel gives the same bits.
    pooled = np.zeros((totals.shape[0], layout.N_TOTALS))
    for asset in window.assets_by_symbol:
        pooled += totals[:, asset]
    columns = pooled.T
    return {
        "turnover_per_year": columns[layout.TURNOVER] * window.bars_per_year / window.n_bars,
        "exposure": columns[layout.EXPOSURE] / window.n_bars,
        "net_exposure": columns[layout.NET_EXPOSURE] / window.n_bars,
        **_trade_metrics(columns, window),
    }


def _asset_metrics(totals: Floats, window: EvaluationWindow) -> dict[str, Floats]:
    columns = np.moveaxis(totals, -1, 0)
    bars = np.broadcast_to(window.panel.valid[window.start : window.stop].sum(axis=0), columns.shape[1:])
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = columns[layout.RETURN_SQUARES] - columns[layout.RETURN_SUM] ** 2 / bars
        per_bar = {
            "turnover_per_year": columns[layout.TURNOVER] * window.bars_per_year / bars,
            "exposure": columns[layout.EXPOSURE] / bars,
            "net_exposure": columns[layout.NET_EXPOSURE] / bars,
            "time_in_market": columns[layout.BARS_IN_POSITION] / bars,
        }
    return {
        **return_metrics(
            bars,
            columns[layout.RETURN_SUM],
            deviations,
            columns[layout.LOSS_SQUARES],
            columns[layout.EQUITY],
            columns[layout.DEEPEST],
            window.bars_per_year,
        ),
        **market_metrics(
            bars,
            columns[layout.RETURN_SUM],
            columns[layout.MARKET_PRODUCTS],
            np.nansum(window.asset_returns, axis=0),
            np.nansum(window.asset_returns**2, axis=0),
            window.bars_per_year,
        ),
        **per_bar,
        **_trade_metrics(columns, window),
    }


def _trade_metrics(columns: Floats, window: EvaluationWindow) -> dict[str, Floats]:
    hours = columns[layout.HELD_BARS] * window.panel.interval.hours
    return trade_metrics(
        columns[layout.TRADES], columns[layout.WINS], columns[layout.GAINS], columns[layout.LOSSES], hours
    )
