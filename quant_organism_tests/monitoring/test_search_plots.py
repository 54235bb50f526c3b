"""The pictures of a search show what its rows say."""

import dataclasses

import numpy as np
import pytest
from matplotlib.image import imread

from quant_organism.monitoring.plots import png
from quant_organism.monitoring.search_plots import families_figure, genealogy_figure, progress_figure
from quant_organism_tests.monitoring.reports import cycle_report
from quant_organism_tests.monitoring.test_lineage import line

REPORT = cycle_report()


def test_progress_shows_the_hypervolume_and_the_sharpe_ratios_of_each_generation():
    volume, sharpe = progress_figure(REPORT.search).axes
    np.testing.assert_array_equal(volume.lines[0].get_ydata(), [row.hypervolume for row in REPORT.search])
    by_label = {drawn.get_label(): drawn.get_ydata() for drawn in sharpe.lines}
    np.testing.assert_array_equal(by_label["best"], [row.best_sharpe for row in REPORT.search])
    np.testing.assert_array_equal(by_label["median"], [row.median_sharpe for row in REPORT.search])


def test_families_stand_by_their_share_at_the_end_with_first_and_last_share_written_out():
    (axes,) = families_figure([0, 1], {"a": [0.9, 0.25], "b": [0.1, 0.75], "c": [0.0, 0.0]}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a", "c"]
    assert [text.get_text() for text in axes.texts] == ["10", "75", "90", "25", "0", "0"]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.1, 0.75], [0.9, 0.25], [0.0, 0.0]])


def test_a_mother_stands_between_her_daughters_and_is_joined_to_each():
    (axes,) = genealogy_figure([line(0, None, chosen=False), line(1, 0), line(2, 0)]).axes
    ends = [(drawn.get_xydata()[0].tolist(), drawn.get_xydata()[-1].tolist()) for drawn in axes.lines]
    assert ends == [([0.0, 0.5], [1.0, 0.0]), ([0.0, 0.5], [2.0, 1.0])]
    assert [text.get_text().strip() for text in axes.texts] == ["rsi_filter (2)"]


def test_only_what_occurs_is_explained():
    figure = genealogy_figure([line(0, None), line(1, 0)])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["drawn at random, founding or restart", "mutation"]


@pytest.mark.parametrize(
    "figure",
    [
        lambda: progress_figure(REPORT.search[:1]),
        lambda: progress_figure([dataclasses.replace(REPORT.search[0], best_sharpe=np.nan, median_sharpe=np.nan)]),
        lambda: families_figure([0], {"a": [0.0]}),
        lambda: genealogy_figure([line(0, None)]),
    ],
)
def test_a_search_of_one_generation_can_be_drawn(figure):
    assert png(figure())


def test_pictures_are_as_wide_as_the_others_and_nothing_is_cut(tmp_path):
    shares = {f"family_with_a_long_name_{n}": np.linspace(0, n / 120, 21) for n in range(16)}
    figures = (
        progress_figure(REPORT.search),
        families_figure(range(21), shares),
        genealogy_figure(REPORT.genealogy),
    )
    for place, figure in enumerate(figures):
        path = tmp_path / f"{place}.png"
        path.write_bytes(png(figure))
        pixels = imread(path)
        assert pixels.shape[1] == 1280
        border = (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:])
        assert min(edge.min() for edge in border) == 1.0
