"""`quant-organism decisions`: what was decided, what waits for a person, and a person's answer."""

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from quant_organism.cli import options
from quant_organism.cli.output import print_json, print_table
from quant_organism.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from quant_organism.settings import Settings

app = typer.Typer(help="Decisions: list them, approve or reject what waits for a person.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="Identity, as `decisions list` shows it, or how it begins.")]
Reason = Annotated[str, typer.Option(help="Why, in one sentence; it is kept.")]


@app.command("list", cls=options.with_settings("data_dir"))
def list_decisions(
    context: typer.Context,
    only_open: Annotated[bool, typer.Option("--open", help="Only what waits for a person.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was decided again as on the day before.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Only the newest so many.")] = 30,
    as_json: options.Json = False,
) -> None:
    """List what was decided anew, newest first, with how it stands; what a person is asked stands first."""
    rows = _stored(options.said(context).settings().data_dir)
    shown = rows if everything or only_open else _changes(rows)
    chosen = [row for row in shown if row["state"] == "open" or not only_open][:limit]
    if as_json:
        print_json(chosen)
        return
    if not chosen:
        typer.echo("Nothing waits for a person." if only_open else "No decisions here yet: marks of a night make them.")
        return
    print_table(
        ("id", "date", "kind", "of", "decided", "rule", "sure", "urgency", "state"),
        [
            (
                row["id"],
                row["date"],
                row["type"].replace("_", " "),
                row["subject"],
                row["value"],
                row["rule"],
                "-" if row["confidence"] is None else f"{row['confidence']:.0%}",
                row["urgency"],
                f"open until {row['valid_until']}, else {row['otherwise']}" if row["state"] == "open" else row["state"],
            )
            for row in chosen
        ],
    )
    if any(row["state"] == "open" for row in chosen):
        typer.echo("Answer with: quant-organism decisions approve ID --reason ..., or reject")


@app.command(cls=options.with_settings("data_dir", "account"))
def approve(context: typer.Context, id: Id, reason: Reason, as_json: options.Json = False) -> None:
    """Say yes: a strategy takes its move, if the booked evidence opens it still; a risk mode is put in force."""
    settings = options.said(context).settings()
    row = _open(settings.data_dir, id)
    outcome = _carried_out(settings, row, reason)
    _answer(settings.data_dir, row, "approve", reason, outcome, as_json=as_json)


@app.command(cls=options.with_settings("data_dir"))
def reject(context: typer.Context, id: Id, reason: Reason, as_json: options.Json = False) -> None:
    """Say no: everything stays as it is."""
    data_dir = options.said(context).settings().data_dir
    row = _open(data_dir, id)
    _answer(data_dir, row, "reject", reason, row["otherwise"], as_json=as_json)


def _changes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the decisions that are not those of the day before once more, in the order of the rows."""
    last: dict[tuple[str, ...], tuple[str, str]] = {}
    kept = set()
    for row in sorted(rows, key=lambda row: row["date"]):
        about, decided = (row["market"], row["interval"], row["type"], row["subject"]), (row["value"], row["rule"])
        if row["needs_person"] or last.get(about) != decided:
            kept.add(row["id"])
        last[about] = decided
    return [row for row in rows if row["id"] in kept]


def _carried_out(settings: "Settings", row: dict[str, Any], reason: str) -> str:
    now = datetime.now(UTC)
    if row["type"] == "risk_adjustment":
        from quant_organism.trading.policy import Policy
        from quant_organism.trading.policy_store import FilePolicyStore, policy_folder

        store = FilePolicyStore(policy_folder(settings.data_dir))
        last = store.current()
        fields = {} if last is None else last.policy.model_dump()
        policy = Policy.model_validate({**fields, "risk_mode": row["value"]})
        number = 0 if last is None else last.number
        version = store.put(
            policy, author=getpass.getuser(), reason=reason, at_ms=int(now.timestamp() * 1000), after=number
        )
        return f"policy {version.number} is in force"
    from quant_organism.deployment.marks import move_by_person
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.deployment.stages import STAGES, timestamp
    from quant_organism.market.lake import Lake
    from quant_organism.orchestration.access import Signing
    from quant_organism.trading import trader_days

    lake = Lake(settings.data_dir / "lake")
    moved = move_by_person(
        lake,
        StrategyRepository(settings.data_dir / "strategies", signer=Signing(settings).signer()),
        row["subject"],
        next(stage for stage in STAGES if stage == row["value"]),
        reason=reason,
        now=timestamp(now),
        equity_usd=settings.account.equity_usd,
        trader=trader_days(lake, market=row["market"], interval=row["interval"]),
    )
    return f"it is in {moved.stage}"


def _answer(
    data_dir: "Path",
    row: dict[str, Any],
    answer: Literal["approve", "reject"],
    reason: str,
    outcome: str,
    *,
    as_json: bool,
) -> None:
    from quant_organism.deployment.booking import append_rows
    from quant_organism.deployment.effects import book_action
    from quant_organism.deployment.stages import timestamp
    from quant_organism.deployment.tables import DecisionAnswerTable
    from quant_organism.market import Interval, Lake

    now = datetime.now(UTC)
    given = {"id": row["id"], "answer": answer, "reason": reason, "at": timestamp(now), "outcome": outcome}
    lake, where = Lake(data_dir / "lake"), {"market": row["market"], "interval": row["interval"]}
    append_rows(lake, DecisionAnswerTable, [given], now.date(), **where)
    if answer == "approve":
        interval = Interval.parse(row["interval"])
        by, day = getpass.getuser(), now.date()
        book_action(lake, row, day, by=by, what=outcome, market=row["market"], interval=interval)
    if as_json:
        print_json(given)
        return
    typer.echo(f"{row['id']}: {'approved' if answer == 'approve' else 'rejected'}; {outcome}")


def _open(data_dir: "Path", id: str) -> dict[str, Any]:
    found = [row for row in _stored(data_dir) if row["id"].startswith(id)] if id else []
    if len(found) != 1:
        raise InputError(
            f"{len(found) or 'no'} decisions begin with {id!r}", remedy="see them with: quant-organism decisions list"
        )
    if (state := found[0]["state"]) != "open":
        remedy = "what waits for a person: quant-organism decisions list --open"
        raise InputError(f"nobody is asked about it: {state}", where=found[0]["id"], remedy=remedy)
    return found[0]


def _stored(data_dir: "Path") -> list[dict[str, Any]]:
    """Return all decisions with market, interval, date, inputs and state, the open ones first, then the newest."""
    from quant_organism.deployment.decisions import stored_decisions
    from quant_organism.market.lake import Lake

    return stored_decisions(Lake(data_dir / "lake"), datetime.now(UTC).date())
