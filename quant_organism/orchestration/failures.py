"""What went wrong inside a run, in words of ours rather than Dagster's."""

from typing import Final

import dagster as dg

from quant_organism.errors import DataQualityError, IntegrityError, QuantOrganismError

_REMEDIES: Final = {
    "data_quality": "see the days and reasons with: quant-organism data quality",
    "evidence_complete": "materialise validated_strategies and strategy_configs again",
    "config_intact": "materialise strategy_configs again",
}


def failed_check(instance: dg.DagsterInstance, run_id: str) -> QuantOrganismError:
    """Say which blocking check of a run failed, and why."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        found = entry.get_dagster_event().asset_check_evaluation_data
        if not found.passed:
            where = f"check {found.check_name} of {found.asset_key.to_user_string()}, {found.partition}"
            kind = DataQualityError if found.check_name == "data_quality" else IntegrityError
            return kind(found.description or "failed", where=where, remedy=_REMEDIES.get(found.check_name))
    return IntegrityError("a blocking check failed", where=f"run {run_id}")


def unwrapped(error: BaseException) -> BaseException:
    """Return the error of ours that Dagster wrapped, or the error itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, QuantOrganismError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return error
