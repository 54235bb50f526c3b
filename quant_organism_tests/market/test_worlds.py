"""Worlds are pure functions of spec and seed, have the edge that they say, and none that they do not."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import numpy as np
import pytest
import yaml

from quant_organism.errors import InputError
from quant_organism.market.schema import Interval, day_start_ms
from quant_organism.market.tables import CandleTable, FundingTable
from quant_organism.market.world import WorldSource, WorldSpec, load_world, shipped_worlds
from quant_organism.market.world.generator import WorldBars, generate

HOUR = Interval.parse("1h")
ASSETS = [{"symbol": "AA", "volatility": 1.0}, {"symbol": "BB", "volatility": 1.4, "price": 3.0}]


def spec_of(days: int = 60, **more: object) -> WorldSpec:
    return WorldSpec.model_validate({"name": "test", "days": days, "assets": ASSETS, **more})


def same(first: WorldBars, second: WorldBars) -> bool:
    names = ("times", "open", "high", "low", "close", "volume", "funding_rate", "present")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def test_equal_spec_and_seed_give_equal_bits_and_another_seed_another_world():
    assert same(generate(spec_of(), 3)[0], generate(spec_of(), 3)[0])
    assert not same(generate(spec_of(), 3)[0], generate(spec_of(), 4)[0])


def test_another_process_draws_the_same_world():
    program = (
        "import hashlib;from quant_organism.market.world import load_world;"
        "from quant_organism.market.world.generator import generate;w=load_world('null');"
        "print(hashlib.sha256(generate(w, 1)[0].close.tobytes()).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in "ab"]
    assert runs[0].stdout == runs[1].stdout


def test_worlds_drawn_at_once_in_threads_are_the_same_worlds():
    with ThreadPoolExecutor(4) as threads:
        at_once = list(threads.map(lambda seed: generate(spec_of(), seed)[0], [1, 2, 1, 2]))
    alone = [generate(spec_of(), seed)[0] for seed in (1, 2)]
    assert all(same(bars, alone[number % 2]) for number, bars in enumerate(at_once))


def test_a_plant_moves_the_mean_and_leaves_every_shock_as_it_was():
    null, null_truth = generate(spec_of(), 1)
    planted, truth = generate(spec_of(plants=[{"family": "momentum", "strength": 0.08, "symbols": ["AA"]}]), 1)
    assert np.array_equal(null.close[:, 1], planted.close[:, 1])
    assert not np.array_equal(null.close[:, 0], planted.close[:, 0])
    assert np.all(truth.edge[:, 1] == 0)
    assert np.any(truth.edge[:, 0] != 0)
    assert np.all(null_truth.edge == 0)


def test_an_asset_that_is_added_leaves_the_others_as_they_were():
    more = WorldSpec.model_validate({"name": "more", "days": 60, "assets": [*ASSETS, {"symbol": "CC"}]})
    assert np.array_equal(generate(spec_of(), 1)[0].close, generate(more, 1)[0].close[:, :2])


def test_a_longer_world_begins_with_the_shorter_one():
    short, _ = generate(spec_of(days=40, plants=[{"family": "momentum", "strength": 0.1}]), 1)
    long, _ = generate(spec_of(days=60, plants=[{"family": "momentum", "strength": 0.1}]), 1)
    for name in ("times", "open", "high", "low", "close", "volume", "funding_rate"):
        assert np.array_equal(getattr(short, name), getattr(long, name)[: 40 * 24])


def test_bars_enclose_their_prices_and_open_where_the_last_one_closed():
    bars, _ = generate(load_world("demo"), 5)
    assert np.all(bars.low > 0)
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.array_equal(bars.open[1:], bars.close[:-1])
    assert bars.open[0].tolist() == [asset.price for asset in load_world("demo").assets]


def sharpe(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std() * np.sqrt(8760))


@pytest.fixture(scope="module")
def funded_nulls() -> list[tuple[WorldBars, np.ndarray]]:
    """Return null worlds and what a long position earns in each bar after funding."""
    worlds = [generate(spec_of(days=730), seed)[0] for seed in range(20)]
    return [(bars, bars.close / bars.open - 1 - bars.funding_rate) for bars in worlds]


@pytest.mark.parametrize("rule", ["stand against the sign of funding", "hold everything", "follow the last day"])
def test_no_rule_earns_on_markets_without_an_edge(funded_nulls, rule):
    ratios = []
    for bars, funded in funded_nulls:
        match rule:
            case "stand against the sign of funding":
                position = -np.sign(bars.funding_rate)
            case "hold everything":
                position = np.ones_like(funded)
            case _:
                position = np.sign(bars.close / np.roll(bars.open, 23, axis=0) - 1)
        ratios.append(sharpe((position[24:-1] * funded[25:]).mean(axis=1)))
    error = np.std(ratios, ddof=1) / np.sqrt(len(ratios))
    assert abs(np.mean(ratios)) < 3 * error


def test_in_a_null_the_mean_of_a_return_is_the_funding_that_is_paid_for_it():
    bars, truth = generate(spec_of(), 2)
    assert np.array_equal(truth.mean, bars.funding_rate)


@pytest.mark.parametrize(
    ("family", "strength"), [("momentum", 0.08), ("reversion", 0.57), ("breakout", 0.035), ("carry", 0.02)]
)
def test_who_knows_the_planted_mean_earns(family, strength):
    spec = spec_of(days=730, plants=[{"family": family, "strength": strength}])
    ratios = []
    for seed in range(4):
        bars, truth = generate(spec, seed)
        known = np.sign(truth.edge) * (bars.close / bars.open - 1 - bars.funding_rate)
        ratios.append(sharpe(known.mean(axis=1)))
    assert np.mean(ratios) > 1.5


def test_an_edge_ends_on_its_last_day():
    plant = {"family": "momentum", "strength": 0.1, "end": date(2023, 1, 31)}
    bars, truth = generate(spec_of(plants=[plant]), 1)
    after = bars.times >= day_start_ms(date(2023, 1, 31))
    assert np.all(truth.edge[after] == 0)
    assert np.all(truth.edge[~after] != 0)


def test_listings_gaps_and_silent_stretches():
    spec = WorldSpec.model_validate(
        {
            "name": "holes",
            "days": 20,
            "assets": [
                {"symbol": "LATE", "listed": date(2023, 1, 11)},
                {"symbol": "GONE", "delisted": date(2023, 1, 6)},
                {"symbol": "HOLE"},
            ],
            "gaps": [{"symbol": "HOLE", "start": datetime(2023, 1, 2, 5, tzinfo=UTC), "bars": 3}],
            "zero_volume": [{"symbol": "HOLE", "start": datetime(2023, 1, 3, tzinfo=UTC), "bars": 2}],
        }
    )
    source = WorldSource(spec)
    frame = source.candles(source.symbols(), HOUR, *source.span(HOUR))
    bars = {name: frame.filter(symbol=name) for name in source.symbols()}
    assert [len(bars[name]) for name in ("LATE", "GONE", "HOLE")] == [10 * 24, 5 * 24, 20 * 24 - 3]
    assert bars["LATE"]["timestamp"].min().date() == date(2023, 1, 11)
    assert bars["HOLE"].filter(volume=0)["timestamp"].dt.hour().to_list() == [0, 1]


def test_a_world_delivers_what_a_source_must():
    source = WorldSource(spec_of(), seed=9)
    first, last = source.span(HOUR)
    candles = source.candles(["BB"], HOUR, date(2023, 1, 2), date(2023, 1, 3))
    funding = source.funding(["AA", "BB"], first, last)
    assert candles.schema == CandleTable.schema
    assert (len(candles), candles["symbol"].unique().to_list()) == (48, ["BB"])
    assert funding.schema == FundingTable.schema
    assert len(funding) == 2 * (60 * 24 - 1)  # the last settlement falls on the day after
    assert candles.equals(candles.sort("timestamp", "symbol"))
    assert len(source.set_aside()) == 0


def test_spec_and_seed_are_in_the_markets_name():
    names = {
        WorldSource(spec_of(), 1).market,
        WorldSource(spec_of(), 2).market,
        WorldSource(spec_of(days=61), 1).market,
    }
    assert len(names) == 3


def test_other_intervals_and_symbols_are_refused():
    source = WorldSource(spec_of())
    with pytest.raises(InputError, match="bars of 1h, not 5m"):
        source.span(Interval.parse("5m"))
    with pytest.raises(InputError, match="nearest: AA"):
        source.candles(["AAA"], HOUR, *source.span(HOUR))


def test_shipped_worlds_load():
    assert shipped_worlds() == ("demo", "null")
    assert load_world("null").plants == ()
    assert load_world("demo").plants[0].family == "momentum"


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"asets": []}, "asets", "no such key"),
        ({"days": "many"}, "days", "integer"),
        ({"days": "60"}, "days", "integer"),
        ({"days": True}, "days", "integer"),
        ({"days": 8_000}, "days", "less than or equal to 7500"),
        ({"seed": 1.0}, "seed", "integer"),
        ({"start": 20230101}, "start", "date"),
        ({"start": date(9999, 12, 30)}, "start", "2200-01-01"),
        ({"assets": [{"symbol": "A", "price": "3"}]}, r"assets\.0\.price", "number"),
        ({"assets": [{"symbol": "../A"}]}, r"assets\.0\.symbol", "pattern"),
        ({"assets": [{"symbol": "A", "listed": date(2030, 1, 1)}]}, "", "asset A has no time in the world"),
        ({"plants": [{"family": "carry", "strength": 0.1, "end": date(2023, 1, 1)}]}, "", "plant carry has no time"),
        ({"gaps": [{"symbol": "AA", "start": datetime(2043, 1, 2, tzinfo=UTC), "bars": 3}]}, "", "AA at 2043-01-02"),
        ({"assets": ASSETS + ASSETS[:1]}, "", "AA is listed more than once"),
        ({"plants": [{"family": "magic", "strength": 1}]}, r"plants\.0\.family", "momentum"),
        ({"plants": [{"family": "carry", "strength": 0.1, "symbols": ["ZZ"]}]}, "", "no asset is called ZZ"),
    ],
)
def test_a_world_that_cannot_be_read_names_file_and_key(tmp_path, change, where, what):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "assets": ASSETS, **change}))
    with pytest.raises(InputError, match=rf"mine\.yaml(: {where})?.*{what}"):
        load_world(path)


@pytest.mark.parametrize(
    "text", ["- a list", "name: [unclosed", "!!python/object/apply:os.system ['true']", "a: " * 9, "[" * 9_999]
)
def test_hostile_and_broken_yaml_is_refused(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        load_world(path)


def test_a_file_that_is_too_long_is_refused_unread(tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text("#" * 100_000)
    with pytest.raises(InputError, match=r"long\.yaml: 100000 bytes are too many"):
        load_world(path)


def test_the_names_of_the_shipped_markets_stay():
    assert WorldSource(load_world("demo")).market == "world-demo-3e50ad"
    assert hash(load_world("demo")) == hash(load_world("demo"))


def test_an_unknown_world_lists_the_known_ones():
    with pytest.raises(InputError, match="demo, null"):
        load_world("atlantis")
