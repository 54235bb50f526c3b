"""Documents pass through the evaluator and into the lifecycle like any genome, and the page about them is true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quant_organism.backtest import Costs, Evaluator
from quant_organism.deployment.config import StrategyConfig
from quant_organism.market.ingest import ingest
from quant_organism.market.lake import Lake
from quant_organism.market.schema import Interval
from quant_organism.market.world.source import WorldSource
from quant_organism.market.world.spec import load_world
from quant_organism.strategies import Committee, Genome, default_genome, random_genome
from quant_organism.strategies.conditions.series import KINDS
from quant_organism.strategies.handwritten import configured, load_conditions
from quant_organism.strategies.handwritten.load import conditions_genome
from quant_organism_tests.backtest.markets import random_panel
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.deployment.documents import document as config_document
from quant_organism_tests.strategies.conditions.documents import DOCUMENT, compare, simple
from quant_organism_tests.tiny import write_world

PAGE = (REPOSITORY / "docs" / "conditions.md").read_text()
LONG = simple("LONG", [compare("RSI", "<=", 35), compare("SMA_42", ">", 0)], [compare("RSI", ">=", 50)])
SHORT = simple("SHORT", [compare("RSI", ">=", 65), compare("SMA_42", ">", 0)], [compare("RSI", "<=", 50)])


def test_the_trades_of_both_sides_are_those_of_the_family_that_they_make_up() -> None:
    panel, costs, evaluator = random_panel(3, bars=1500), Costs(), Evaluator(threads=1)
    stops = {name: dict(conditions_genome(LONG).genes)[name] for name in ("stop_loss", "take_profit")}
    genes = {"divergence_weight": 0.0, "oversold_threshold": 35.0, "overbought_threshold": 65.0, "exit_level": 50.0}
    family = Genome("rsi_filter", dict(default_genome("rsi_filter").genes) | genes | stops)
    both = [conditions_genome(LONG), conditions_genome(SHORT)]
    untouched = ["symbol", "side", "entry_time", "exit_time", "entry_price", "exit_price", "reason"]
    found = pl.concat([evaluator.trades(genome, panel, costs).frame for genome in both]).select(untouched)
    expected = evaluator.trades(family, panel, costs).frame.select(untouched)
    assert expected.height > 20
    assert found.sort(untouched).equals(expected.sort(untouched))


def test_documents_and_families_are_evaluated_side_by_side() -> None:
    panel, evaluator = random_panel(5), Evaluator(threads=2)
    rng = np.random.default_rng(0)
    crowd = [random_genome(rng, name) for name in ("conditions", "rsi_filter", "conditions", "ema_crossover")]
    crowd += [conditions_genome(LONG), conditions_genome(DOCUMENT), configured("momentum")]
    together = evaluator.evaluate(crowd, panel, Costs())
    for place, genome in enumerate(crowd):
        alone = evaluator.evaluate([genome], panel, Costs())
        np.testing.assert_array_equal(together.daily_returns[place], alone.daily_returns[0])
    assert together.metrics["trades"][[4, 6]].all()


@pytest.mark.parametrize("genome", [conditions_genome(DOCUMENT), configured("mean_reversion")], ids=["text", "type"])
def test_a_strategy_document_keeps_it_exactly(genome: Genome) -> None:
    born = replace_committee(config_document(), Committee.of([genome], [1.0]))
    again = StrategyConfig.from_json(born.to_json(), where="here")
    assert again.committee.members[0].genome == genome
    assert again.id == genome.id


def replace_committee(config: StrategyConfig, committee: Committee) -> StrategyConfig:
    """Return the same birth with another committee."""
    return StrategyConfig.born(
        committee,
        universe=config.universe,
        interval=config.interval,
        fitness=config.fitness,
        provenance=config.provenance,
        evidence=config.evidence,
        at="2025-05-31",
        reason="passed every gate",
    )


def test_the_page_names_every_series() -> None:
    table = PAGE[PAGE.index("| name | series |") :].split("\n\n")[0]
    named = {name.removesuffix("_n") for name in re.findall(r"`([A-Z_]+(?:_n)?)`", table)}
    assert named == set(KINDS)


def test_the_example_of_the_page_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = re.search(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert example
    Path("dip.yaml").write_text(example[1])
    source = WorldSource(load_world(write_world(tmp_path)))
    hour = Interval.parse("1h")
    ingest(source, Lake(Path("data/lake")), hour, *source.span(hour))
    space: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(snippet, space)
    out = capsys.readouterr().out
    assert load_conditions("dip.yaml").id in out
    assert "entry.conditions[2].conditions[0]: MACD crosses above MACD_SIGNAL" in out
