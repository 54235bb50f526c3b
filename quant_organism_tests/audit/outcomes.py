"""Outcomes made by hand."""

from dataclasses import replace

from quant_organism.audit.outcome import GateOutcome, Outcome

PASSES = (
    GateOutcome("in_sample", "sharpe", "passed", 2.0, 1.0, ("shadow", "paper"), 0.5),
    GateOutcome("holdout", "mean_return", "passed", 0.01, 0.05, ("paper",), 0.25),
)

NULL = Outcome(
    world="null-1",
    origin="null",
    strength="none",
    family=None,
    seed=1,
    oracle_sharpe=None,
    candidates=1,
    standing="fallen",
    gates=PASSES,
    pretest_p=0.5,
    unseen_p=0.5,
    claimed_sharpe=2.0,
    in_sample_sharpe=2.0,
    later_sharpe=-0.5,
    later_trades=100.0,
    families={"ema_crossover": 1.0},
    right_share=None,
    drift=0.0,
    cpu_seconds={"search": 1.0},
)

STRONG = replace(
    NULL,
    world="momentum-strong-1",
    origin="planted",
    strength="strong",
    family="momentum",
    oracle_sharpe=2.5,
    standing="paper",
    later_sharpe=2.0,
    right_share=1.0,
    drift=None,
)


def stopped(outcome: Outcome, gate: str, world: str) -> Outcome:
    """Return an outcome that one gate alone has stopped."""
    gates = tuple(replace(g, status="failed") if g.gate == gate else g for g in outcome.gates)
    return replace(outcome, world=world, gates=gates, standing="fallen")
