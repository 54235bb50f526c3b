"""The pictures show what the numbers say."""

import dataclasses

import numpy as np
import pytest
from matplotlib.image import imread

from quant_organism.monitoring.content import Curve, PopulationPoint, ReportedSpan
from quant_organism.monitoring.plots import equity_figure, pareto_figure, png
from quant_organism_tests.monitoring.reports import cycle_report

DAYS = [f"2025-01-{day:02d}" for day in range(1, 6)]
SPANS = [
    ReportedSpan(label="in-sample", start=DAYS[0], end=DAYS[2], unseen=False),
    ReportedSpan(label="out-of-sample", start=DAYS[3], end=DAYS[4], unseen=True),
]


def point(sharpe, drawdown, on_front=False, family="rsi_filter"):
    return PopulationPoint(
        family=family, sharpe=sharpe, max_drawdown=drawdown, turnover_per_year=1.0, consistency=0.5, on_front=on_front
    )


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_drawdown_is_the_distance_below_the_last_peak_the_start_included():
    figure = equity_figure(DAYS, [Curve(id="a", values=[0.9, 1.2, 0.6, 1.2, 1.5])], SPANS)
    _, drawdown = figure.axes
    np.testing.assert_allclose(drawdown.lines[0].get_ydata(), [-0.1, 0.0, -0.5, 0.0, 0.0], atol=1e-15)


def test_spans_are_named_and_those_too_narrow_for_a_name_are_not():
    narrow = [*SPANS, ReportedSpan(label="embargo", start=DAYS[2], end=DAYS[2], unseen=True)]
    days = [str(np.datetime64("2025-01-01") + i) for i in range(100)]
    figure = equity_figure(days, [Curve(id="a", values=np.ones(100))], narrow)
    assert texts(figure.axes[0]) == []
    assert texts(equity_figure(DAYS, [Curve(id="a", values=np.ones(5))], SPANS).axes[0]) == [
        "in-sample",
        "out-of-sample",
    ]


def test_the_highlighted_curve_leads_the_legend_and_every_curve_is_named_in_its_own_look():
    curves = [Curve(id=f"s{i:02d}", values=np.ones(5), highlighted=i == 7) for i in range(11)]
    figure = equity_figure(DAYS, curves, SPANS)
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["s07", *[f"s{i:02d}" for i in range(11) if i != 7]]
    looks = {(line.get_color(), line.get_linestyle()) for line in legend.get_lines()}
    assert len(looks) == 11


def test_the_front_line_climbs_with_the_drawdown_one_accepts():
    points = [point(1.0, 0.02), point(0.5, 0.03), point(2.0, 0.05, on_front=True), point(1.9, 0.08)]
    (axes,) = pareto_figure(points).axes
    line = next(line for line in axes.lines if line.get_label() == "best up to each drawdown")
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [(0.02, 1.0), (0.05, 2.0), (0.08, 2.0)]


def test_what_lies_outside_the_picture_is_counted_and_the_undefined_left_out():
    points = [point(1.0, 0.02 + i / 10_000) for i in range(100)] + [point(-50.0, 0.9), point(np.nan, 0.1)]
    (axes,) = pareto_figure(points).axes
    assert texts(axes) == ["1 of 101 lie outside this picture"]


def test_families_differ_in_colour_and_in_shape():
    points = [point(1.0, 0.05, family=f"family_{i:02d}") for i in range(15)]
    (legend,) = pareto_figure(points).legends
    handles = [handle for handle in legend.legend_handles if "family" in handle.get_label()]
    looks = {(handle.get_facecolor().tobytes(), handle.get_paths()[0].vertices.tobytes()) for handle in handles}
    assert len(looks) == 15


@pytest.mark.parametrize("points", [[point(1.0, 0.0)], [point(np.nan, np.nan)]])
def test_a_population_of_one_can_be_drawn(points):
    assert png(pareto_figure(points))


def test_pictures_are_wide_enough_for_a_page_of_800_pixels_and_not_cut(tmp_path):
    report = cycle_report()
    path = tmp_path / "equity.png"
    path.write_bytes(png(equity_figure(report.curve_days, report.curves, report.spans)))
    pixels = imread(path)
    assert pixels.shape[1] == 1280
    border = np.concatenate([pixels[:2].ravel(), pixels[-2:].ravel(), pixels[:, :2].ravel(), pixels[:, -2:].ravel()])
    assert border.min() == 1.0
    again = dataclasses.replace(report)
    assert png(equity_figure(again.curve_days, again.curves, again.spans)) == path.read_bytes()


def test_no_line_is_drawn_through_days_that_are_missing():
    days = ["2024-01-01", "2024-01-02", "2024-01-09", "2024-01-10"]
    figure = equity_figure(days, [Curve(id="a", values=[1.1, 1.0, 1.2, 1.3])], [])
    for axes, values in zip(figure.axes, ([1.1, 1.0, 1.2, 1.3], [0.0, 1 / 1.1 - 1.0, 0.0, 0.0, 0.0]), strict=True):
        drawn = axes.lines[0].get_ydata()
        assert np.isnan(drawn).tolist() == [False, False, True, False, False]
        assert drawn[0] == pytest.approx(values[0])
        assert drawn[-1] == pytest.approx(values[-1])
