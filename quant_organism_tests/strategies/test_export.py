"""Exported files, run by a process that knows neither this package nor numba, say what the strategies say."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from quant_organism.errors import InputError
from quant_organism.market.panel import Panel
from quant_organism.market.schema import Interval
from quant_organism.strategies import COLUMNS, Committee, Genome, default_genome, family_names, random_genome, signal
from quant_organism.strategies.conditions.series import KINDS
from quant_organism.strategies.export import Portrait, class_name, freqtrade_file, python_file, signal_table
from quant_organism.strategies.handwritten import configured, load_conditions
from quant_organism.strategies.trees.primitives import BOOL, PRICE, PRIMITIVES, RANGE, RATIO, Tree
from quant_organism_tests.panels import trending_panel
from quant_organism_tests.strategies.scenarios import Columns, noisy

HOUR = Interval.parse("1h")
REFUSED = {"linear_svc_classifier", "pca_tree_quantile"} | {name for name in family_names() if name.startswith("xs_")}
EXPRESSED = [name for name in family_names() if name not in REFUSED]
FOR_FREQTRADE = [f"{name}_default" for name in EXPRESSED if name != "funding_rate_carry"] + [
    "rsi_filter_1",
    "committee",
]

DRIVER = """
import importlib.util, json, pathlib, sys
sys.modules.update(dict.fromkeys(("quant_organism", "numba", "polars", "scipy")))  # None: whoever imports them fails
import numpy as np
folder, symbols = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
sys.path.insert(0, str(folder))
columns = dict(np.load(folder / "columns.npz"))
found = {}
for path in sorted(folder.glob("*_strategy.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for symbol in symbols:
        found[f"{path.stem} {symbol}"] = module.target(columns, symbol)
    if hasattr(module, "IStrategy"):
        import pandas as pd
        strategy = getattr(module, (folder / f"{path.stem}.name").read_text())()
        frame = pd.DataFrame({name: columns[name] for name in columns if name != "funding_rate"})
        for step in ("populate_indicators", "populate_entry_trend", "populate_exit_trend"):
            frame = getattr(strategy, step)(frame, {"pair": "BTC/USDC:USDC"})
        for name in ("target", "enter_long", "enter_short", "exit_long", "exit_short"):
            found[f"{path.stem} {name}"] = frame[name].to_numpy(float)
np.savez(folder / "found.npz", **found)
"""


@dataclass(frozen=True)
class Exported:
    """What other processes made of strategies.

    Attributes
    ----------
    columns
        The bars that they were given.
    committees
        The strategies by the stems of their files.
    found
        What came of them, by stem and symbol or column.
    """

    columns: Columns
    committees: Mapping[str, Committee]
    found: Mapping[str, NDArray[np.float64]]


def portrait(committee: Committee, universe: tuple[str, ...] = ("BTC", "ETH")) -> Portrait:
    return Portrait(committee, universe, HOUR, "Born 2025-05-31 on the market tests.")


def conditions(**fields: Any) -> Genome:
    document = {"strategy_id": "tried", "side": "LONG", "base_size_usd": 1000, "stop_loss_pct": 3, "take_profit_pct": 6}
    return load_conditions(json.dumps(document | fields))


def with_votes(*momentum: Tree) -> Genome:
    genes = dict(default_genome("composite").genes)
    return Genome("composite", genes | {"votes": (momentum, *genes["votes"][1:]), "minimum_signals": 1})  # type: ignore[index]


def example(name: str) -> Tree:
    """Return a vote that a primitive of that name has a part in."""
    primitive = PRIMITIVES[name]
    rises: Tree = ("gt", ("close",), ("sma", 5))
    samples: dict[str, Any] = {"Period": 9, "Mult": 1.5, "Level": 55.0, "Frac": 0.001, "Family": "rsi_filter"}
    samples |= {PRICE: ("close",), RANGE: ("std", 12), RATIO: ("log_return", 7), "Score100": ("rsi", 8), BOOL: rises}
    # Different ones of a type, so that it matters which comes first.
    second = {PRICE: ("ema", 6), RANGE: ("atr", 5), BOOL: ("lt", ("stochastic_k", 6), 70.0)}
    kinds = primitive.signatures[0]
    node = (name, *(second.get(kind, samples[kind]) if place else samples[kind] for place, kind in enumerate(kinds)))
    match primitive.returns:
        case "Vote":
            return node
        case "Bool":
            condition: Tree = node
        case "Price":
            condition = ("gt", node, ("ema", 4))
        case "Range":
            condition = ("gt", node, ("std", 30))
        case "Ratio":
            condition = ("gt", node, 0.001)
        case _:
            condition = ("gt", node, 52.0)
    return ("vote", condition, ("not", condition))


def series_documents() -> dict[str, Genome]:
    """Return a strategy for each word that conditions know."""
    marks: dict[str, Any] = {"SMA_GAP": 0, "ROC": 0, "RSI": 50, "STOCH_K": 50, "ZSCORE": 0}
    marks |= {"MACD": 0, "MACD_SIGNAL": 0, "MACD_HISTOGRAM": 0}
    marks |= {"ATR": {"name": "ATR_40"}, "MEAN_VOLUME": {"name": "MEAN_VOLUME_40"}}
    made = {}
    for word, kind in KINDS.items():
        name = word if kind.default == 0 else f"{word}_11"
        level = marks.get(word, {"name": "close"})
        entry = {"logic": "ALL", "conditions": [{"name": name, "operator": "crosses_above", "value": level}]}
        leave = {"logic": "ANY", "conditions": [{"name": name, "operator": "<", "value": level}]}
        made[f"word_{word}"] = conditions(entry=entry, exit=leave)
    return made


def committees() -> dict[str, Committee]:
    rng = np.random.default_rng(5)
    genomes = {f"{name}_default": default_genome(name) for name in EXPRESSED}
    genomes |= {f"{name}_{number}": random_genome(rng, name) for name in EXPRESSED for number in range(2)}
    genomes |= {f"node_{name}": with_votes(example(name)) for name in PRIMITIVES}
    genomes |= series_documents()
    genomes |= {
        "operators": conditions(
            side="SHORT",
            entry={
                "logic": "ANY",
                "conditions": [
                    {"name": "close", "operator": "crosses_below", "value": {"name": "SMA_9"}},
                    {"logic": "ALL", "conditions": [{"name": "RSI", "operator": ">=", "value": 70}]},
                    {"name": "close", "operator": "==", "value": {"name": "open"}},
                ],
            },
            exit={
                "logic": "ALL",
                "conditions": [
                    {"name": "RSI_14", "operator": "<=", "value": 45},
                    {"name": "volume", "operator": "!=", "value": 0},
                ],
            },
        ),
        "type": configured("momentum_crossover", {"fast_period": 5, "slow_period": 20}),
    }
    made = {name: Committee.of([genome]) for name, genome in genomes.items()}
    several = [
        genomes[name] for name in ("rsi_filter_default", "bollinger_bands_default", "composite_default", "node_share")
    ]
    assets = [(), ("BTC",), ("ETH",), ()]
    return made | {"committee": Committee.of(several, weights=[4.0, 3.0, 2.0, 1.0], assets=assets)}


def ours(committee: Committee, columns: Columns, symbol: str) -> NDArray[np.float64]:
    members = [member for member in committee.members if not member.assets or symbol in member.assets]
    return sum((member.weight * signal(member.genome, columns) for member in members), np.zeros(columns["close"].size))


@pytest.fixture(scope="module", params=["simulated", "real"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return what a process of its own makes of all files, on bars with gaps."""
    if request.param == "simulated":
        columns = noisy(11, 700)
    else:
        frame = pl.read_parquet(request.getfixturevalue("shared_market") / "hl_perp_1h" / "AVAX.parquet").tail(700)
        rate = {"funding_rate": noisy(2, frame.height)["funding_rate"]}
        columns = {name: frame[name].to_numpy().astype(float) for name in COLUMNS if name != "funding_rate"} | rate
    for name in COLUMNS:
        columns[name] = columns[name].copy()
        columns[name][[100, 101, 350]] = np.nan
    folder, strategies = tmp_path_factory.mktemp("exported"), committees()
    np.savez(folder / "columns.npz", **columns)
    for name, committee in strategies.items():
        (folder / f"{name}_strategy.py").write_text(python_file(portrait(committee), f"{name}_strategy.py"))
    stub = folder / "freqtrade"
    stub.mkdir()
    (stub / "__init__.py").touch()
    (stub / "strategy.py").write_text("class IStrategy: ...")
    for name in FOR_FREQTRADE:
        (folder / f"freqtrade_{name}_strategy.py").write_text(freqtrade_file(portrait(strategies[name])))
        (folder / f"freqtrade_{name}_strategy.name").write_text(class_name(strategies[name]))
    command = [sys.executable, "-I", "-c", DRIVER, str(folder), '["BTC", "ETH"]']
    subprocess.run(command, check=True, capture_output=True)
    with np.load(folder / "found.npz") as found:
        return Exported(columns, strategies, dict(found))


def test_every_strategy_wants_the_same_of_every_bar(exported: Exported) -> None:
    silent = []
    for name, committee in exported.committees.items():
        for symbol in ("BTC", "ETH"):
            wanted = ours(committee, exported.columns, symbol)
            found = exported.found[f"{name}_strategy {symbol}"]
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12, err_msg=f"{name} on {symbol}")
            np.testing.assert_array_equal(np.sign(found), np.sign(wanted), err_msg=f"{name} on {symbol}")
        silent += [] if wanted.any() else [name]
    # Nothing is compared where nothing fires; a random genome may be silent.
    assert [name for name in silent if name.rpartition("_")[2] not in "01"] == []


def test_freqtrade_enters_and_leaves_where_the_target_does(exported: Exported) -> None:
    for name in FOR_FREQTRADE:
        side = np.sign(ours(exported.committees[name], exported.columns, "BTC"))
        before = np.concatenate([[0.0], side[:-1]])
        found = {
            column: exported.found[f"freqtrade_{name}_strategy {column}"]
            for column in ("target", "enter_long", "enter_short", "exit_long", "exit_short")
        }
        np.testing.assert_array_equal(np.sign(found["target"]), side, err_msg=name)
        for sign, word in ((1, "long"), (-1, "short")):
            enters, holds = found[f"enter_{word}"] == 1, side == sign
            np.testing.assert_array_equal(enters, holds & (before != sign), err_msg=name)
            np.testing.assert_array_equal(found[f"exit_{word}"] == 1, ~holds, err_msg=name)


def test_a_file_is_a_program_that_reads_candles(tmp_path: Path) -> None:
    genome, columns = default_genome("ema_crossover"), noisy(4, 120)
    frame = pl.DataFrame({"timestamp": [f"bar {t}" for t in range(120)], **columns})
    frame.write_csv(tmp_path / "candles.csv")
    (tmp_path / "rule.py").write_text(python_file(portrait(Committee.of([genome])), "rule.py"))
    command = [sys.executable, "-I", "rule.py", "BTC", "candles.csv"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    table = pl.read_csv(printed.encode())
    assert table["timestamp"].to_list() == frame["timestamp"].to_list()
    assert table["target"].to_list() == signal(genome, columns).tolist()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_written_is_refused_by_name(name: str) -> None:
    committee = Committee.of([default_genome("rsi_filter"), default_genome(name)])
    with pytest.raises(InputError, match=name):
        python_file(portrait(committee), "x.py")
    with pytest.raises(InputError, match=name):
        freqtrade_file(portrait(committee))


def test_freqtrade_files_do_without_funding() -> None:
    with pytest.raises(InputError, match="funding"):
        freqtrade_file(portrait(Committee.of([default_genome("funding_rate_carry")])))


def test_freqtrade_files_carry_stops_of_the_members() -> None:
    genes = dict(default_genome("rsi_filter").genes)
    tight = Genome("rsi_filter", genes | {"stop_loss": 0.02, "take_profit": 0.1, "trailing_stop": 0.03})
    wide = Genome("rsi_filter", genes | {"stop_loss": 0.08, "take_profit": 0.05, "max_holding_hours": 300})

    def settings(*genomes: Genome) -> dict[str, object]:
        classes = [
            node
            for node in ast.parse(freqtrade_file(portrait(Committee.of(genomes)))).body
            if isinstance(node, ast.ClassDef)
        ]
        assigned = [node for node in classes[0].body if isinstance(node, ast.Assign)]
        return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in assigned}

    alone, both = settings(tight), settings(tight, wide)
    assert (alone["stoploss"], alone["minimal_roi"], alone["trailing_stop_positive"]) == (-0.02, {"0": 0.1}, 0.03)
    assert (both["stoploss"], both["minimal_roi"]) == (-0.08, {"0": 0.1})
    assert "trailing_stop" not in both
    assert "hours=300" in freqtrade_file(portrait(Committee.of([tight, wide])))


def test_no_name_becomes_code() -> None:
    hostile = 'X"""\nimport os\n"""'
    committee = Committee.of([default_genome("rsi_filter")])
    for text in (
        python_file(Portrait(committee, (hostile,), HOUR, hostile), hostile),
        freqtrade_file(Portrait(committee, (hostile,), HOUR, hostile)),
    ):
        imported = {alias.name for node in ast.parse(text).body if isinstance(node, ast.Import) for alias in node.names}
        assert imported <= {"csv", "math", "sys", "numpy"}


def test_signals_are_the_members_targets_on_each_bar_that_there_is() -> None:
    panel = trending_panel(days=20)
    committee = Committee.of(
        [default_genome("ema_crossover"), default_genome("linear_svc_classifier")], [3.0, 1.0], [("S1",), ()]
    )
    table = signal_table(committee, panel)
    assert table.height == panel.n_bars * len(panel.symbols)
    for asset, symbol in enumerate(panel.symbols):
        columns = {name: getattr(panel, name)[:, asset] for name in COLUMNS}
        numbers = panel.times // HOUR.milliseconds
        wanted = 0.25 * signal(default_genome("linear_svc_classifier"), columns, numbers=numbers)
        wanted += 0.75 * signal(default_genome("ema_crossover"), columns) * (symbol == "S1")
        own = table.filter(pl.col("symbol") == symbol)
        np.testing.assert_allclose(own["target"].to_numpy(), wanted, rtol=0, atol=1e-15)
        assert own["timestamp"].dt.epoch("ms").to_list() == panel.times.tolist()


def test_signals_of_a_book_are_refused() -> None:
    panel: Panel = trending_panel(days=3)
    with pytest.raises(InputError, match="xs_momentum"):
        signal_table(Committee.of([default_genome("xs_momentum")]), panel)
