"""Slippage of accounts: measured where there are books enough, assumed elsewhere, and no business of sleeves."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from quant_organism.backtest import Costs
from quant_organism.backtest.account import FillModel, measured_costs, slippage_sentence, virtual_costs
from quant_organism.backtest.account.slippage import LEAST_BOOKS
from quant_organism.errors import InputError
from quant_organism.market import Lake, SlippageTable

BEFORE_MEASUREMENTS = "e94fd1ff42ca51389db2edd1cc0f1081eece744a471cec51e613bdd78eb3e0b5"
"""Identity of the usual costs since before slippage could be measured: trials and looks are kept under it."""

Row = tuple[str, float, float, float, int, int]


def lake_of(folder: Path, *days: tuple[int, Sequence[Row]]) -> Lake:
    lake = Lake(folder)
    for day, rows in days:
        at = datetime(2026, 7, day, tzinfo=UTC)
        frame = SlippageTable.frame([(*row, at, at, 0, None) for row in rows])
        lake.table(SlippageTable).write(frame, market="mine", day=date(2026, 7, day))
    return lake


def test_without_a_measurement_nothing_changes(tmp_path: Path) -> None:
    few = lake_of(tmp_path, (1, [("BTC", 1_500.0, 1.0, 2.0, LEAST_BOOKS - 1, 0)]))
    for lake, market in ((Lake(tmp_path / "empty"), "mine"), (few, "other"), (few, "mine")):
        costs = measured_costs(lake, market, 10_000.0)
        assert costs == Costs()
        assert costs.hash == BEFORE_MEASUREMENTS
    assert "assumed for every asset, 5 bps at the open and 10 bps of stops" in slippage_sentence(costs, ["BTC"])


def test_an_account_takes_the_newest_row_of_its_size(tmp_path: Path) -> None:
    lake = lake_of(
        tmp_path,
        (
            1,
            [("BTC", usd, 9.0, 9.0, 500, 0) for usd in (150.0, 1_500.0, 15_000.0)] + [("SOL", 150.0, 3.0, 4.0, 100, 0)],
        ),
        (2, [("BTC", usd, bps, 4.0, 100, 0) for usd, bps in ((150.0, 0.5), (1_500.0, 1.5), (15_000.0, 2.5))]),
    )
    own = {usd: measured_costs(lake, "mine", usd).own_slippage_bps for usd in (1_000.0, 10_000.0, 10_001.0, 1e7)}
    # Of stops the high quantile, and at least twice the median.
    assert [own[usd]["BTC"] for usd in own] == [(0.5, 4.0), (1.5, 4.0), (2.5, 5.0), (2.5, 5.0)]
    assert all(slippages["SOL"] == (3.0, 6.0) for slippages in own.values())


def test_books_too_shallow_for_the_order_never_make_it_cheaper_than_assumed(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, (1, [("BTC", 1_500.0, 1.0, 30.0, 100, 1), ("ETH", 1_500.0, 7e3, 8e3, 100, 1)]))
    assert measured_costs(lake, "mine", 10_000.0).own_slippage_bps == {"BTC": (5.0, 30.0), "ETH": (5e3, 5e3)}


def test_fills_of_an_account_slip_by_what_was_measured_and_sleeves_do_not() -> None:
    costs = Costs(own_slippage_bps={"BTC": (0.5, 4.0)})
    assert FillModel.of(costs).slippages("BTC") == (0.5e-4, 4e-4)
    assert FillModel.of(costs).slippages("ETH") == (5e-4, 10e-4)
    assert costs.of_sleeves == Costs()
    assert virtual_costs(costs) == virtual_costs(Costs())
    assert Costs.from_dict(json.loads(json.dumps(costs.to_dict()))) == costs
    assert costs.hash != Costs().hash


def test_the_sentence_names_every_asset() -> None:
    said = slippage_sentence(Costs(own_slippage_bps={"BTC": (0.5, 4.0), "DOGE": (1.0, 2.0)}), ["SOL", "BTC", "ETH"])
    assert "in bps: BTC 0.5 and 4." in said
    assert "For ETH, SOL it is assumed, 5 bps at the open and 10 bps of stops." in said
    assert "DOGE" not in said


@pytest.mark.parametrize("slippages", [(-1.0, 2.0), (1.0, 10_000.0), (float("nan"), 1.0), (1.0,)])
def test_slippage_out_of_range_is_refused(slippages: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"costs, BTC"):
        Costs(own_slippage_bps={"BTC": slippages})  # type: ignore[dict-item]
