"""The report of a cycle says what its assets found, in words and numbers that agree with them."""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from quant_organism.evolution.budget import luck_sentence
from quant_organism.market import cycle_id
from quant_organism.monitoring.content import CycleReport
from quant_organism.monitoring.cycle import _curves, cycle_report
from quant_organism.monitoring.report import write_report
from quant_organism.validation.case import PValue
from quant_organism.validation.gauntlet import run_gauntlet
from quant_organism.validation.records import returns_frame
from quant_organism.validation.significance_records import pretest_frame, significance_frame
from quant_organism.validation.statistics.evidence import NotRun
from quant_organism_tests.chain import PROFILE, PROVENANCE, RULES, SPEC, Chain, edge, luck

DECISIONS = {"id": pl.Utf8, "action": pl.Utf8, "reason": pl.Utf8, "stage": pl.Utf8}


def manifest(found: Chain) -> pl.DataFrame:
    first, last = (datetime.fromtimestamp(found.panel.times[i] / 1000, UTC) for i in (0, -1))
    late = first.replace(day=min(28, first.day + 3))
    rows = [(symbol, late if symbol == "S2" else first, last, 4_800, 1.0, 0.999) for symbol in found.panel.symbols]
    return pl.DataFrame(rows, schema=["symbol", "first_bar", "last_bar", "bars", "coverage", "score"], orient="row")


def report_of(found: Chain, decisions: list[tuple[str, str, str, str]]) -> CycleReport:
    last = datetime.fromtimestamp(found.panel.times[-1] / 1000, UTC).date()
    return cycle_report(
        provenance=PROVENANCE.model_copy(update={"date": last.isoformat()}),
        interval=found.panel.interval,
        splits=found.splits,
        panel=manifest(found),
        generations=found.search.generations,
        families=found.search.families,
        population=found.search.population,
        members=found.search.candidate_members,
        verdicts=found.verdicts,
        validated=found.summary,
        returns=returns_frame(found.grounds),
        decisions=pl.DataFrame(decisions, schema=DECISIONS, orient="row"),
        pretest=pretest_frame(NotRun("needs 90 days, has 72")),
        significance=significance_frame(NotRun("needs 90 days, has 72")),
    )


@pytest.fixture(scope="module")
def good() -> CycleReport:
    best = edge().survivors[0].candidate.id
    return report_of(edge(), [(best, "deploy", "place 1 of 10", "shadow")])


@pytest.fixture(scope="module")
def bad() -> CycleReport:
    return report_of(luck(), [])


def test_the_headline_says_what_happened(good, bad):
    assert good.title == f"1 of {len(good.candidates)} candidates entered the shadow pool, unproven"
    assert bad.title.startswith("Nothing survived")
    assert "Nothing was deployed" in " ".join(bad.summary)


def test_the_report_names_the_cycle_under_which_records_are_kept(good):
    assert good.provenance["cycle"] == cycle_id("ab" * 32, SPEC.hash, 0)


def test_the_reader_learns_what_an_unproven_survivor_lacks_and_what_decided_for_a_proven_one(good):
    assert "It is unproven: fell short of paper at decision" in " ".join(good.summary)
    found = edge()
    known = {"committee": PValue(0.01, 99)}
    grounds = dataclasses.replace(found.grounds, find_significance=lambda: known)
    grounds.admit(found.grounds.admitted)
    proven = dataclasses.replace(found, reviews=run_gauntlet(grounds, PROFILE))
    best = proven.survivors[0].candidate.id
    report = report_of(proven, [(best, "deploy", "place 1 of 10", "paper")])
    assert report.title == "1 of 1 candidates entered the shadow pool, 1 of them went on to paper trading"
    assert "What decided: search (0.01) and unseen days" in " ".join(report.summary)


def test_the_summary_counts_what_the_frames_hold(good):
    assert f"{len(edge().search.population):,} different genomes" in " ".join(good.summary)
    assert f"of {len(good.candidates)} passed every gate before the shadow pool" in " ".join(good.summary)


def test_the_summary_says_what_is_known_of_luck(good):
    assert good.summary[-2:] == [
        "Whether there is anything to find was not asked: needs 90 days, has 72.",
        "How good such a search looks by luck alone was not measured: needs 90 days, has 72.",
    ]


def test_luck_is_told_for_what_differed_on_the_days_that_were_searched(good):
    tried = edge().search.population["behaviour"].n_unique()
    assert good.trial_budget == luck_sentence(tried, 120 / 365)
    assert tried < len(edge().search.population)


def test_founders_of_the_archive_are_counted(good):
    assert "All founders were drawn at random" in " ".join(good.summary)
    found = edge()
    first = found.search.population.with_columns(
        operator=pl.when(pl.col("trial") < 3).then(pl.lit("archive")).otherwise("operator")
    )
    warm = dataclasses.replace(found, search=dataclasses.replace(found.search, population=first))
    founders = found.search.population.filter(pl.col("generation") == 0).height
    assert f"3 of its {founders} founders came from the archive" in " ".join(report_of(warm, []).summary)


def test_each_candidate_carries_its_verdicts(good):
    for row, review in zip(good.candidates, edge().reviews, strict=True):
        assert (row.standing, row.why) == (review.standing, review.why)
        assert [gate.gate for gate in row.gates] == [judgement.verdict.gate for judgement in review.judgements]


def test_what_was_deployed_is_drawn_first_and_highlighted(good):
    assert good.curves[0].highlighted
    assert good.curves[0].id == good.decisions[0].id
    assert len(good.curves[0].values) == len(good.curve_days)


def test_a_curve_ends_where_its_returns_lead(good):
    row = [review.candidate.id for review in edge().reviews].index(good.curves[0].id)
    grounds = edge().grounds
    runs = grounds.account_before(edge().reviews[row].candidate), grounds.accounts[row]
    total = np.prod([run.path.equity[-1] / run.path.equity[0] for run in runs])
    assert good.curves[0].values[-1] == pytest.approx(total)


def test_spans_mark_the_days_of_the_splits(good):
    assert [span.label for span in good.spans] == ["in-sample", "out-of-sample", "walk-forward"]
    assert [span.unseen for span in good.spans] == [False, True, True]
    assert good.spans[0].start == good.curve_days[0]
    assert good.spans[-1].end == good.curve_days[-1]


def test_a_symbol_that_came_later_is_marked(good):
    assert [row.note for row in good.data] == ["", "", "listed later"]


def test_shares_of_families_add_up(good):
    shares = np.array(list(good.family_shares.values()))
    assert shares.shape == (len(RULES), SPEC.generations + 1)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)


def test_both_kinds_of_report_can_be_written(good, bad, tmp_path):
    for name, report in (("good", good), ("bad", bad)):
        files = write_report(tmp_path / name, report)
        page = files.html.read_text()
        assert report.title in page
        assert all(candidate.id in page for candidate in report.candidates)


def test_a_curve_stops_where_the_days_were_not_opened_for_its_candidate(tmp_path):
    found = luck()
    last = found.grounds.measured("in_sample").days[-1]
    returns = returns_frame(found.grounds)
    unopened = pl.concat(
        [
            returns.filter(pl.col("day") <= datetime.fromtimestamp(last / 1000, UTC).date()),
            returns.with_columns(candidate=pl.lit("another")),
        ]
    )
    report = dataclasses.replace(
        report_of(found, []),
        curves=_curves(unopened, report_of(found, []).candidates, ["another"]),
    )
    short = next(curve for curve in report.curves if curve.id != "another")
    assert np.isnan(short.values[-1])
    assert np.isfinite(short.values[0])
    assert write_report(tmp_path, report).equity is not None


def test_a_cycle_without_candidates_says_so(tmp_path):
    found = luck()
    empty = {
        "verdicts": found.verdicts.clear(),
        "validated": found.summary.clear(),
        "returns": returns_frame(found.grounds).clear(),
    }
    report = cycle_report(
        provenance=PROVENANCE,
        interval=found.panel.interval,
        splits=found.splits,
        panel=manifest(found),
        generations=found.search.generations,
        families=found.search.families,
        population=found.search.population,
        members=found.search.candidate_members,
        decisions=pl.DataFrame(schema=DECISIONS),
        pretest=pretest_frame(NotRun("needs 90 days, has 72")),
        significance=significance_frame(NotRun("needs 90 days, has 72")),
        **empty,
    )
    assert "put nothing forward" in " ".join(report.summary)
    assert write_report(tmp_path, report).html.exists()
