"""The gallery shows families as they are, on markets that make them trade."""

import numpy as np
import pytest
from matplotlib.image import imread

from quant_organism.monitoring.gallery import changing_market, family_record, showcase
from quant_organism.monitoring.plots import png, showcase_figure
from quant_organism.strategies import family_names, get_family, ranking_family_names


@pytest.mark.parametrize("family", [*family_names(), *ranking_family_names()])
def test_a_record_tells_every_gene_with_its_bounds(family):
    record, known = family_record(family), get_family(family)
    assert record["family"] == family
    assert record["logic"].endswith(".")
    assert [gene["gene"] for gene in record["genes"] + record["common_genes"]] == [spec.name for spec in known.genes]
    for gene, spec in zip(record["genes"], known.own_genes, strict=True):
        assert gene["allowed"] == spec.bounds
        assert gene["unit"]
        assert gene["what it does"]


@pytest.mark.parametrize("family", family_names())
def test_every_family_is_shown_on_a_market_that_it_trades(family):
    shown = showcase(family)
    assert shown.target.any()
    assert not shown.target[: shown.warmup].any()
    np.testing.assert_array_equal(showcase(family).target, shown.target)


@pytest.mark.parametrize("family", ranking_family_names())
def test_every_family_that_ranks_holds_both_sides_of_its_market(family):
    shown = showcase(family)
    assert not shown.weights[: shown.warmup].any()
    held = shown.weights[shown.warmup + 48 :]
    assert np.abs(held).sum(axis=1) == pytest.approx(1.0)
    assert (held > 0.0).any(axis=1).all()
    price, weight = showcase_figure(shown).axes
    assert [line.get_label() for line in price.lines[1:]] == list(shown.symbols)
    assert len(weight.collections) == 2 * len(shown.symbols)


def test_the_made_market_is_a_possible_one():
    market = changing_market(3, 500)
    assert all(column.shape == (500,) and np.isfinite(column).all() for column in market.values())
    assert (market["high"] >= np.maximum(market["open"], market["close"])).all()
    assert (market["low"] > 0).all()
    assert (market["low"] <= np.minimum(market["open"], market["close"])).all()
    assert (market["volume"] > 0).all()


def test_entries_are_marked_at_the_bar_that_decides_them():
    shown = showcase("donchian_breakout")
    price, _ = showcase_figure(shown).axes
    longs = next(marks for marks in price.collections if marks.get_label().startswith("long"))
    side = np.sign(shown.target)
    expected = [bar for bar in range(1, side.size) if side[bar] == 1 and side[bar - 1] != 1]
    assert longs.get_offsets()[:, 0].tolist() == expected
    assert longs.get_offsets()[:, 1].tolist() == shown.close[expected].tolist()
    assert longs.get_label() == f"long ({len(expected)} entries)"


def test_the_title_tells_every_gene():
    price, _ = showcase_figure(showcase("rsi_filter")).axes
    title = price.get_title(loc="left").replace("\N{NO-BREAK SPACE}", " ")
    assert title.startswith("rsi_filter, default genes")
    for spec in get_family("rsi_filter").own_genes:
        assert f"{spec.name} = {spec.default}" in title


def test_funding_is_drawn_in_basis_points_where_it_is_traded():
    shown = showcase("funding_rate_carry")
    _, funding, _ = showcase_figure(shown).axes
    assert funding.get_ylabel() == "funding\n(bps/h)"
    np.testing.assert_allclose(funding.lines[1].get_ydata(), 1e4 * shown.funding_rate)


def test_the_picture_fills_a_page_of_800_pixels_and_comes_out_the_same_again(tmp_path):
    path = tmp_path / "family.png"
    path.write_bytes(png(showcase_figure(showcase("bollinger_bands"))))
    assert imread(path).shape[1] == 1280
    assert png(showcase_figure(showcase("bollinger_bands"))) == path.read_bytes()
