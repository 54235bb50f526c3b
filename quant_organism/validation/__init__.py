"""Is it more than luck? Splits, gates and their verdicts on what a search put forward.

A gate that could not be computed says `not_run` with the reason and never counts as passed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quant_organism.validation.case import Case, Grounds, PValue
    from quant_organism.validation.draws import DrawStore, Remembered, in_order
    from quant_organism.validation.gauntlet import (
        BACKTEST,
        DECISION,
        REPLAY,
        TESTNET,
        Judgement,
        Review,
        Standing,
        anybody_left,
        run_gauntlet,
    )
    from quant_organism.validation.genome_replay import Pace
    from quant_organism.validation.holdout import HoldoutRegister
    from quant_organism.validation.nulls import draw_null
    from quant_organism.validation.permutation import (
        SearchOnNulls,
        SearchSignificance,
        frozen_spec,
        search_significance,
    )
    from quant_organism.validation.pretest import PretestResult, RandomStrategies, rule_families
    from quant_organism.validation.profile import GOALS, Profile
    from quant_organism.validation.records import (
        ReviewedCandidate,
        looked_at,
        metrics_frame,
        read_judgements,
        read_reviewed,
        returns_frame,
        summary_frame,
        verdicts_frame,
    )
    from quant_organism.validation.rehearsal import Rehearses, VenueRehearsal
    from quant_organism.validation.replay import Replay, replay_committee
    from quant_organism.validation.replay_records import modes_of, replays_frame
    from quant_organism.validation.replay_store import ReplayStore
    from quant_organism.validation.robustness.breakdown import Part
    from quant_organism.validation.robustness.examination import Examination, examine
    from quant_organism.validation.robustness.subject import Shake, Subject
    from quant_organism.validation.significance_records import (
        pretest_frame,
        read_evidence,
        read_p_values,
        read_pretest,
        sentences,
        significance_frame,
    )
    from quant_organism.validation.statistics.bootstrap import MeanTest, mean_return_test
    from quant_organism.validation.statistics.evidence import NotRun
    from quant_organism.validation.statistics.monte_carlo import Bands, equity_cone
    from quant_organism.validation.statistics.p_values import wilson_interval
    from quant_organism.validation.tables import (
        TABLES,
        CandidateMetricTable,
        CandidateReturnTable,
        PretestTable,
        ReplayTable,
        SignificanceTable,
        StandingTable,
        VerdictAfterBacktestTable,
        VerdictAfterReplayTable,
        VerdictAfterTestnetTable,
        VerdictTable,
    )
    from quant_organism.validation.trial_record import TrialRecord
    from quant_organism.validation.triple import PERIODS, periods_of
    from quant_organism.validation.verdict import Stage, Verdict

__all__ = [
    "BACKTEST",
    "DECISION",
    "GOALS",
    "PERIODS",
    "REPLAY",
    "TABLES",
    "TESTNET",
    "Bands",
    "CandidateMetricTable",
    "CandidateReturnTable",
    "Case",
    "DrawStore",
    "Examination",
    "Grounds",
    "HoldoutRegister",
    "Judgement",
    "MeanTest",
    "NotRun",
    "PValue",
    "Pace",
    "Part",
    "PretestResult",
    "PretestTable",
    "Profile",
    "RandomStrategies",
    "Rehearses",
    "Remembered",
    "Replay",
    "ReplayStore",
    "ReplayTable",
    "Review",
    "ReviewedCandidate",
    "SearchOnNulls",
    "SearchSignificance",
    "Shake",
    "SignificanceTable",
    "Stage",
    "Standing",
    "StandingTable",
    "Subject",
    "TrialRecord",
    "VenueRehearsal",
    "Verdict",
    "VerdictAfterBacktestTable",
    "VerdictAfterReplayTable",
    "VerdictAfterTestnetTable",
    "VerdictTable",
    "anybody_left",
    "draw_null",
    "equity_cone",
    "examine",
    "frozen_spec",
    "in_order",
    "looked_at",
    "mean_return_test",
    "metrics_frame",
    "modes_of",
    "periods_of",
    "pretest_frame",
    "read_evidence",
    "read_judgements",
    "read_p_values",
    "read_pretest",
    "read_reviewed",
    "replay_committee",
    "replays_frame",
    "returns_frame",
    "rule_families",
    "run_gauntlet",
    "search_significance",
    "sentences",
    "significance_frame",
    "summary_frame",
    "verdicts_frame",
    "wilson_interval",
]

_HOMES = {
    "BACKTEST": "gauntlet",
    "DECISION": "gauntlet",
    "GOALS": "profile",
    "PERIODS": "triple",
    "REPLAY": "gauntlet",
    "TABLES": "tables",
    "TESTNET": "gauntlet",
    "Bands": "statistics.monte_carlo",
    "CandidateMetricTable": "tables",
    "CandidateReturnTable": "tables",
    "Case": "case",
    "DrawStore": "draws",
    "Examination": "robustness.examination",
    "Grounds": "case",
    "HoldoutRegister": "holdout",
    "Judgement": "gauntlet",
    "MeanTest": "statistics.bootstrap",
    "NotRun": "statistics.evidence",
    "Rehearses": "rehearsal",
    "VenueRehearsal": "rehearsal",
    "PValue": "case",
    "Pace": "genome_replay",
    "Part": "robustness.breakdown",
    "PretestResult": "pretest",
    "PretestTable": "tables",
    "Profile": "profile",
    "RandomStrategies": "pretest",
    "Remembered": "draws",
    "Replay": "replay",
    "ReplayStore": "replay_store",
    "ReplayTable": "tables",
    "Review": "gauntlet",
    "ReviewedCandidate": "records",
    "SearchOnNulls": "permutation",
    "SearchSignificance": "permutation",
    "Shake": "robustness.subject",
    "SignificanceTable": "tables",
    "Stage": "verdict",
    "Standing": "gauntlet",
    "StandingTable": "tables",
    "Subject": "robustness.subject",
    "TrialRecord": "trial_record",
    "Verdict": "verdict",
    "VerdictAfterBacktestTable": "tables",
    "VerdictAfterReplayTable": "tables",
    "VerdictAfterTestnetTable": "tables",
    "VerdictTable": "tables",
    "anybody_left": "gauntlet",
    "draw_null": "nulls",
    "equity_cone": "statistics.monte_carlo",
    "examine": "robustness.examination",
    "frozen_spec": "permutation",
    "in_order": "draws",
    "looked_at": "records",
    "mean_return_test": "statistics.bootstrap",
    "metrics_frame": "records",
    "modes_of": "replay_records",
    "periods_of": "triple",
    "pretest_frame": "significance_records",
    "read_evidence": "significance_records",
    "read_judgements": "records",
    "read_p_values": "significance_records",
    "read_pretest": "significance_records",
    "read_reviewed": "records",
    "replay_committee": "replay",
    "replays_frame": "replay_records",
    "returns_frame": "records",
    "rule_families": "pretest",
    "run_gauntlet": "gauntlet",
    "search_significance": "permutation",
    "sentences": "significance_records",
    "significance_frame": "significance_records",
    "summary_frame": "records",
    "verdicts_frame": "records",
    "wilson_interval": "statistics.p_values",
}

# Whoever needs a verdict or a table shall not load the statistics and the kernels beneath them.
if not TYPE_CHECKING:  # so that mypy knows the names above and no others

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            from importlib import import_module

            return getattr(import_module(f"quant_organism.validation.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__} has no attribute {name}")
