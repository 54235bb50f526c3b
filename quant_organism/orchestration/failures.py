"""What went wrong inside a run, in words of ours rather than Dagster's."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import dagster as dg

from quant_organism.errors import DataQualityError, IntegrityError, QuantOrganismError

P = ParamSpec("P")
R = TypeVar("R")

_REMEDIES: Final = {
    "data_quality": "see the days and reasons with: quant-organism data quality",
    "evidence_complete": "materialise validated_strategies and strategy_configs again",
    "config_intact": "materialise strategy_configs again",
}


@contextmanager
def said_first() -> Iterator[None]:
    """Have the web UI show what a person can mend, where and how, first and alone, rather than beneath a traceback."""
    try:
        yield
    except QuantOrganismError as error:
        said = {"where": error.where, "remedy": error.remedy}
        raise dg.Failure(
            description=str(error),
            metadata={"what": error.what, **{name: text for name, text in said.items() if text}},
            allow_retries=False,
        ) from None


def plainly(body: Callable[P, R]) -> Callable[P, R]:
    """Return an asset's body whose failures are `said_first`."""
    if inspect.isgeneratorfunction(body):

        @wraps(body)
        def generates(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            with said_first():
                yield from body(*args, **kwargs)

        return generates  # type: ignore[return-value]

    @wraps(body)
    def returns(*args: P.args, **kwargs: P.kwargs) -> R:
        with said_first():
            return body(*args, **kwargs)

    return returns


def explained(error: dg.DagsterError | dg.Failure, instance: dg.DagsterInstance, run_id: str) -> BaseException:
    """Return the error of ours that stopped a run, what its blocking check found, or Dagster's own error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, QuantOrganismError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return _failed_check(instance, run_id) or error


def _failed_check(instance: dg.DagsterInstance, run_id: str) -> QuantOrganismError | None:
    """Say which blocking check of a run failed, and why."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.get_dagster_event().asset_check_evaluation_data
        if check.blocking and not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
            where = f"check {check.check_name} of {check.asset_key.to_user_string()}, {check.partition}"
            kind = DataQualityError if check.check_name == "data_quality" else IntegrityError
            return kind(check.description or "failed", where=where, remedy=_REMEDIES.get(check.check_name))
    return None
