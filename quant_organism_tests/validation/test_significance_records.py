"""What the tests of luck leave at rest says what was measured, and what was not."""

import math

from quant_organism.evolution.candidates import EdgeEvidence
from quant_organism.validation.permutation import SearchSignificance
from quant_organism.validation.pretest import PretestResult
from quant_organism.validation.significance_records import pretest_frame, read_evidence, sentences, significance_frame
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism.validation.statistics.p_values import SimulatedP


def test_the_test_before_the_search_and_its_evidence_come_back():
    result = PretestResult(0.2, 0.15, 0.4, 0.8, 39, 0, 500, "momentum", {"momentum": 0.3}, 1.1)
    frame = pretest_frame(result)
    assert frame.select("status", "p_value", "draws", "best_family").row(0) == ("failed", 0.2, 39, "momentum")
    assert frame["sentence"][0] == result.sentence
    assert read_evidence(frame) == EdgeEvidence(0.15, 0.4)


def test_what_did_not_run_is_no_evidence():
    frame = pretest_frame(NotRun("needs 90 days, has 72"))
    assert frame.select("status", "p_value", "sentence").row(0) == ("not_run", None, "needs 90 days, has 72")
    assert read_evidence(frame) is None
    missing = significance_frame(NotRun("no time"))
    assert missing.select("status", "p_value", "sentence").row(0) == ("not_run", None, "no time")


def test_each_statistic_of_a_search_has_a_row():
    result = SearchSignificance(
        kind="mean_preserving",
        draws=19,
        wanted=99,
        sharpe={"committee": 2.5, "champion 1": 3.0, "champion 2": math.nan},
        luck_sharpe={"committee": 1.0, "champion 1": 2.5, "champion 2": 2.0},
        p_values={
            "committee": SimulatedP(0.05, 19, 0, 0, stopped_early=False),
            "champion 1": SimulatedP(0.3, 19, 5, 0, stopped_early=False),
            "champion 2": NotRun("the statistic is undefined"),
        },
        undefined=0,
        left_out=("linear_svc_classifier",),
        seconds_per_draw=1.0,
    )
    frame = significance_frame(result)
    assert frame.schema == significance_frame(NotRun("no time")).schema
    assert frame["status"].to_list() == ["measured", "measured", "not_run"]
    assert frame["p_value"].to_list() == [0.05, 0.3, None]
    assert frame["sharpe"].to_list() == [2.5, 3.0, None]
    asked, measured = sentences(pretest_frame(NotRun("needs 90 days, has 72")), frame)
    assert asked == "Whether there is anything to find was not asked: needs 90 days, has 72."
    assert measured == result.sentence
    assert "families that fit models (1 left out)" in frame["sentence"][0]
