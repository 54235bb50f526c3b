"""What a run will take is told from runs of its size, and from nothing else."""

import dagster as dg
import pytest

from quant_organism.orchestration.driver import Driver
from quant_organism.orchestration.estimates import SIZE_TAG, RunEstimate, estimated, size_of
from quant_organism_tests.finished import finished_run
from quant_organism_tests.tiny import settings


@dg.op(config_schema={"fails": bool})
def work(context: dg.OpExecutionContext) -> None:
    if context.op_config["fails"]:
        raise ValueError("no luck")


@dg.job
def cycle() -> None:
    work()


def test_it_rests_on_finished_runs_of_the_job_and_the_size_and_on_nothing_else() -> None:
    mine, other = size_of("smoke", 8), size_of("smoke", 9)

    def run(size: str, *, fails: bool = False) -> None:
        config = {"ops": {"work": {"config": {"fails": fails}}}}
        cycle.execute_in_process(config, instance=instance, tags={SIZE_TAG: size}, raise_on_error=False)

    with dg.DagsterInstance.ephemeral() as instance:
        assert estimated(instance, "cycle", mine, price_usd=None, workers=1) is None
        run(other)
        run(mine, fails=True)
        assert estimated(instance, "cycle", mine, price_usd=None, workers=1) is None
        for _ in range(6):
            run(mine)
        found = estimated(instance, "cycle", mine, price_usd=0.5, workers=4)
        took = sorted(
            (one.end_time or 0) - (one.start_time or 0)
            for one in instance.get_run_records(dg.RunsFilter(tags={SIZE_TAG: mine}), limit=5)
        )
        assert found == RunEstimate(5, took[2], took[0], took[-1], pytest.approx(0.5 * 4 * took[2] / 3_600))
        assert estimated(instance, "another", mine, price_usd=None, workers=1) is None


@pytest.mark.parametrize(
    ("estimate", "sentence"),
    [
        (RunEstimate(1, 41.6, 41.6, 41.6, None), "some 42 seconds, by the last run of this size"),
        (
            RunEstimate(4, 180.0, 150.0, 7_200.0, 0.015),
            "some 3 minutes, by the last 4 runs of this size (2 minutes to 2.0 hours); about 0.01 USD",
        ),
    ],
)
def test_a_person_reads_it(estimate: RunEstimate, sentence: str) -> None:
    assert estimate.sentence == sentence


def test_a_command_knows_what_the_run_before_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run()
    monkeypatch.setenv("DAGSTER_HOME", "")
    plain = settings(run.folder, world=run.world)
    driver = Driver(plain, lambda *_: None)
    days = driver.days(None)
    found = driver.estimate(days)
    assert found is not None
    assert (found.runs, found.cost_usd) == (1, None)
    assert 0 < found.fewest_seconds == found.most_seconds < 600
    assert driver.estimate(days, search_only=True) is None
    assert Driver(plain.model_copy(update={"threads": 7}), lambda *_: None).estimate(days) is None
