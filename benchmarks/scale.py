"""How the evaluator's cost grows with genomes, assets and bars, and whether its memory stays bounded.

Each size runs in a process of its own, one thread, indicators included. Cost per strategy-bar should be flat over
assets and bars, and fall with genomes, which share indicators. The plot is written beside the results.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.evaluator import REPEATS, in_new_process, row

BASE = {"genomes": 500, "assets": 10, "bars": 8_760}
SIZES = {
    "genomes": (125, 250, 500, 1_000, 2_000),
    "assets": (5, 10, 20, 40),
    "bars": (2_190, 4_380, 8_760, 17_520, 35_040),
}
MINUTES = {"genomes": 1_000, "assets": 1, "bars": 525_600}
WIDE = {"genomes": 500, "assets": 50, "bars": 8_760}
FIVE_MINUTES = WIDE | {"bars": 105_120}
"""A year of hours, and of bars of five minutes."""


def run() -> list[dict[str, Any]]:
    """Measure, draw, and return one row per size."""
    rows, curves = [], {}
    for axis, sizes in SIZES.items():
        curves[axis] = [measure(BASE | {axis: size}) for size in sizes]
        for size, found in zip(sizes, curves[axis], strict=True):
            note = f"{found['seconds']:.2f} s, {found['peak_mb']:.0f} MB at most"
            rows.append(row(f"ns_per_strategy_bar_{axis}_{size}", found["ns"], "ns", note))
    minutes = measure(MINUTES)
    size = "1,000 genomes x one asset x a year of minutes"
    rows.append(row("seconds_1000x1x525600", minutes["seconds"], "s", size))
    rows.append(row("peak_mb_1000x1x525600", minutes["peak_mb"], "MB", size))
    turns = [(measure(WIDE), measure(FIVE_MINUTES)) for _ in range(REPEATS)]
    ratio = statistics.median(fine["ns"] / hours["ns"] for hours, fine in turns)
    size = "500 genomes x 50 assets x a year of five minutes"
    rows.append(row("ns_500x50x105120", statistics.median(fine["ns"] for _, fine in turns), "ns", size))
    rows.append(row("ns_ratio_5m_to_1h", ratio, "x", f"{size}, beside a year of hours; bar 1.5"))
    rows.append(row("peak_mb_500x50x105120", max(fine["peak_mb"] for _, fine in turns), "MB", f"{size}; bar 4000"))
    draw(curves)
    return rows


def measure(size: dict[str, int]) -> dict[str, float]:
    """Return seconds, peak memory and nanoseconds per strategy-bar of one evaluation."""
    found: dict[str, float] = json.loads(in_new_process(f"from benchmarks.evaluator import large; large(**{size})"))
    return found | {"ns": found["seconds"] / (size["genomes"] * size["assets"] * size["bars"]) * 1e9}


def draw(curves: dict[str, list[dict[str, float]]]) -> None:
    """Plot cost per strategy-bar and memory over each axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(curves), figsize=(8, 4.5), sharey="row", layout="constrained")
    for column, (axis, found) in enumerate(curves.items()):
        for panel, name in zip(axes[:, column], ("ns", "peak_mb"), strict=True):
            panel.plot(SIZES[axis], [point[name] for point in found], "o-", color="#0072b2")
            panel.set(xscale="log", xticks=SIZES[axis], xticklabels=[f"{s:,}" for s in SIZES[axis]])
            panel.tick_params(axis="x", labelsize=7, which="both")
            panel.minorticks_off()
            panel.grid(alpha=0.3)
        axes[1, column].set_xlabel(axis)
    for panel in axes[:, 0]:
        panel.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("ns per strategy-bar")
    axes[1, 0].set_ylabel("peak memory, MB")
    folder = Path(__file__).resolve().parent / "results"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "scale.png", dpi=110)
