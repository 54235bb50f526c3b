"""What went wrong inside a run, in words of ours rather than Dagster's."""

from typing import Final

import dagster as dg

from quant_organism.errors import DataQualityError, IntegrityError, QuantOrganismError

_REMEDIES: Final = {
    "data_quality": "see the days and reasons with: quant-organism data quality",
    "evidence_complete": "materialise validated_strategies and strategy_configs again",
    "config_intact": "materialise strategy_configs again",
}


def explained(error: dg.DagsterError, instance: dg.DagsterInstance, run_id: str) -> BaseException:
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
