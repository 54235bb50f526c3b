"""`quant-organism strategies`: the documents of strategies."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from quant_organism.cli import completion, options
from quant_organism.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quant_organism.deployment import TraderDays
    from quant_organism.deployment.config import StrategyConfig
    from quant_organism.deployment.day_summary import DaySummary
    from quant_organism.deployment.moves import Move
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.market import Lake
    from quant_organism.strategies import Committee, Genome

_MEMBERS_SHOWN = 10

app = typer.Typer(
    help="Strategies: look at them, compare two, book their days, move one, retire one.", no_args_is_help=True
)

Id = Annotated[
    str, typer.Argument(help="Identity, as `strategies list` shows it.", autocompletion=completion.strategies)
]


@app.command("list", cls=options.with_settings("data_dir"))
def list_strategies(
    context: typer.Context,
    stage: Annotated[str | None, typer.Option(help="Only this stage: born, shadow, ..., retired.")] = None,
    min_fitness: Annotated[float | None, typer.Option(help="Only with at least this fitness.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the best so many.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Retired ones too.")] = False,
    as_json: options.Json = False,
) -> None:
    """List strategies, best first; exit code 1 if a document cannot be read."""
    from quant_organism.deployment.stages import STAGES
    from quant_organism.errors import InputError

    known = next((name for name in STAGES if name == stage), None)
    if stage is not None and known is None:
        raise InputError(f"no stage {stage!r}", where="option --stage", remedy=f"use one of {', '.join(STAGES)}")
    loaded = _repository(context).load_all(stage=known, min_fitness=min_fitness, limit=limit, archived=archived)
    problems = [
        {"path": str(problem.path), "what": problem.what, "remedy": problem.remedy} for problem in loaded.problems
    ]
    if as_json:
        print_json({"strategies": [_row(document) for document in loaded.documents], "problems": problems})
        raise typer.Exit(1 if problems else 0)
    if not loaded.documents and not problems:
        typer.echo("No strategies here yet. Breed some with: quant-organism run")
        return
    rows = [_row(document) for document in loaded.documents]
    print_table(list(rows[0]) if rows else ["id"], [list(row.values()) for row in rows])
    for problem in problems:
        typer.echo(f"unreadable: {problem['path']}: {problem['what']}\n  -> {problem['remedy']}", err=True)
    raise typer.Exit(1 if problems else 0)


@app.command(cls=options.with_settings("data_dir"))
def show(
    context: typer.Context,
    id: Id,
    full: Annotated[bool, typer.Option("--full", help="All members, with all of their genes.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show one strategy: its members, its evidence, its life so far."""

    document = _repository(context).load(id)
    if as_json:
        typer.echo(document.to_json().decode().rstrip())
        return
    days = " (in-sample days)" if document.judged_days == "in-sample days" else ""
    typer.echo(f"{document.id}   stage {document.stage}   fitness {document.fitness:.2f}{days}")
    born = document.provenance
    typer.echo(f"born {born.date} on {born.market}, {document.interval} bars, in cycle {born.cycle}")
    typer.echo(f"universe {', '.join(document.universe)}\n")
    if document.external is None:
        _show_members(document.committee, full=full)
    else:
        print_table(("what", "is"), document.external.in_words, title="Made elsewhere")
    print_table(
        ("stage", "status", "reason"),
        [(stage, record.status, record.reason.replace("; ", "\n")) for stage, record in document.evidence.items()],
        title="Evidence",
    )
    print_table(
        ("at", "from", "to", "rule", "reason", "evidence"),
        [(m.at, m.from_stage or "", m.to_stage, m.rule, m.reason, _evidence(m)) for m in document.history],
        title="Life",
    )
    if document.performance:
        print_table(
            ("observed", "days", "trades", "Sharpe", "return", "drawdown"),
            [(p.observed_at, p.days, p.trades, p.sharpe, p.total_return, p.max_drawdown) for p in document.performance],
            title="Performance",
        )


@app.command(cls=options.with_settings("data_dir"))
def archive(
    context: typer.Context,
    id: Id,
    reason: Annotated[str, typer.Option(help="Why, in one sentence; it stays in the document.")],
) -> None:
    """Retire a strategy: it leaves the pool, its document moves to the archive."""
    _signing_repository(context).archive(id, reason)
    typer.echo(f"{id} is retired: {reason}")


@app.command(cls=options.with_settings("data_dir", "account"))
def move(
    context: typer.Context,
    id: Id,
    stage: Annotated[str, typer.Argument(help="Where to: shadow, paper, testnet, canary, live, decaying, retired.")],
    reason: Annotated[str, typer.Option(help="Why, in one sentence; it stays in the document.")],
    as_json: options.Json = False,
) -> None:
    """Say yes to a move, as a person: what is booked has to open it, else it says what is lacking."""
    from datetime import UTC, datetime

    from quant_organism.deployment.marks import move_by_person
    from quant_organism.deployment.stages import STAGES, timestamp
    from quant_organism.errors import InputError
    from quant_organism.market.lake import Lake

    to = next((name for name in STAGES if name == stage), None)
    if to is None:
        raise InputError(f"no stage {stage!r}", where="STAGE", remedy=f"use one of {', '.join(STAGES)}")
    repository = _signing_repository(context)
    settings = options.said(context).settings()
    lake = Lake(settings.data_dir / "lake")
    document = repository.load(id)
    moved = move_by_person(
        lake,
        repository,
        id,
        to,
        reason=reason,
        now=timestamp(datetime.now(UTC)),
        equity_usd=settings.account.equity_usd,
        trader=_trader_days(lake, document.provenance.market, document.interval),
    )
    if as_json:
        print_json({"id": id, **moved.history[-1].model_dump(by_alias=True)})
        return
    typer.echo(f"{id} is in {moved.stage} now, by the rule {moved.history[-1].rule}: {reason}")


@app.command(cls=options.with_settings("data_dir", "signing"))
def sign(
    context: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(help="Which strategies. (default: all whose stage sends orders)")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Sign nothing; exit code 1 if one may not send orders.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Stand for strategies with a key, without which none sends orders where a public key is set."""
    from quant_organism.deployment import DocumentSignatures
    from quant_organism.deployment.lifecycle import MONEY
    from quant_organism.errors import InputError
    from quant_organism.orchestration.access import Signing

    repository, settings = _repository(context), options.said(context).settings()
    public_key = settings.signing.public_key
    signer = None if check and public_key else Signing(settings).signer()
    public_key = public_key or (None if signer is None else signer.public_key)
    if public_key is None or (signer is None and not check):
        raise InputError(
            f"there is no key to {'check' if check else 'sign'} with",
            where="settings signing",
            remedy="set QUANT_ORGANISM_SIGNING__PRIVATE_KEY to what `openssl rand -hex 32` prints, where you sign only",
        )
    signatures = DocumentSignatures(repository.root, public_key)
    if ids:
        documents = [repository.load(id) for id in ids]
    else:
        documents = [document for document in repository.load_all().documents if document.stage in MONEY]
    if signer is not None and not check:
        for document in documents:
            signer.sign(document)
    rows = [(document.id, document.stage, signatures.refusal(document) or "holds") for document in documents]
    if as_json:
        found = [dict(zip(("id", "stage", "signature"), row, strict=True)) for row in rows]
        print_json({"public_key": public_key, "strategies": found})
    elif rows:
        print_table(("id", "stage", "signature"), rows)
        typer.echo(f"Checked with the public key {public_key}")
    else:
        typer.echo("No strategy is in a stage that sends orders.")
    raise typer.Exit(0 if all(what == "holds" for _, _, what in rows) else 1)


@app.command(cls=options.with_settings("data_dir"))
def history(context: typer.Context, id: Id, as_json: options.Json = False) -> None:
    """Show every move of a strategy and the numbers that opened it."""
    document = _repository(context).load(id)
    moves = [move.model_dump(by_alias=True) for move in document.history]
    if as_json:
        print_json({"id": id, "stage": document.stage, "moves": moves, "earlier_moves": document.earlier_moves})
        return
    print_table(
        ("at", "from", "to", "rule", "by", "reason", "evidence"),
        [(m.at, m.from_stage or "", m.to_stage, m.rule, m.by, m.reason, _evidence(m)) for m in document.history],
        title=f"{id}, in {document.stage}",
    )
    if document.earlier_moves:
        typer.echo(f"{document.earlier_moves} earlier moves stand in the lake's table `moves`.")


@app.command(cls=options.with_settings("data_dir"))
def diff(
    context: typer.Context,
    id: Id,
    other: Annotated[str, typer.Argument(help="The other strategy.")],
    as_json: options.Json = False,
) -> None:
    """Show in what two strategies differ: what they are, where they stand, what was measured of them."""
    repository = _repository(context)
    left, right = _flat(repository.load(id)), _flat(repository.load(other))
    rows = [
        (name, left.get(name), right.get(name))
        for name in dict.fromkeys([*left, *right])
        if left.get(name) != right.get(name)
    ]
    if as_json:
        print_json({"left": id, "right": other, "differences": {name: [a, b] for name, a, b in rows}})
        return
    shown = [(name, "-" if a is None else str(a), "-" if b is None else str(b)) for name, a, b in rows]
    print_table(("field", id, other), shown)


@app.command(cls=options.with_settings("data_dir"))
def summary(
    context: typer.Context,
    day: Annotated[
        str | None, typer.Option("--date", help="Day that is summed up. (default: the newest)", metavar="YYYY-MM-DD")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Count strategies by stage and family, and sum up a day: returns, moves, whom its week has had archived."""
    from quant_organism.deployment.day_summary import day_summary
    from quant_organism.market.lake import Lake
    from quant_organism.market.schema import Interval

    repository, lake = _repository(context), Lake(options.said(context).settings().data_dir / "lake")
    documents, wanted = repository.load_all(archived=True).documents, options.parse_day(day)
    markets = sorted({(document.provenance.market, document.interval) for document in documents})
    days = [
        booked
        for market, interval in markets
        if (booked := day_summary(lake, market=market, interval=Interval.parse(interval), day=wanted)) is not None
    ]
    found = repository.summary()
    quartiles = None if found.fitness_quartiles is None else list(found.fitness_quartiles)
    problems = [{"path": str(problem.path), "what": problem.what} for problem in found.problems]
    if as_json:
        counted = {"stages": found.stages, "families": found.families, "fitness_quartiles": quartiles}
        print_json({**counted, "days": [booked.to_json() for booked in days], "problems": problems})
        return
    print_table(("stage", "strategies"), [row for row in found.stages.items() if row[1]])
    print_table(("family", "strategies not retired"), list(found.families.items()))
    if quartiles:
        least, low, median, high, most = quartiles
        typer.echo(f"Fitness: {least:.2f} to {most:.2f}, half of them {low:.2f} to {high:.2f}, median {median:.2f}")
    for booked in days:
        _show_day(booked)
    for problem in problems:
        typer.echo(f"unreadable: {problem['path']}: {problem['what']}", err=True)


@app.command(cls=options.with_settings("data_dir", "account"))
def performance(
    context: typer.Context,
    id: Id,
    days: Annotated[int, typer.Option(min=1, help="How many of the newest days are shown.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Show what a strategy earned since its birth, the evidence of it, and what every next stage still asks for."""
    from datetime import UTC, datetime

    from quant_organism.deployment.booking import read_rows
    from quant_organism.deployment.lifecycle import rulings
    from quant_organism.deployment.marks import known_of
    from quant_organism.deployment.stages import timestamp
    from quant_organism.deployment.tables import EvidenceDayTable
    from quant_organism.market.lake import Lake

    settings = options.said(context).settings()
    lake, repository = Lake(settings.data_dir / "lake"), _repository(context)
    document = repository.load(id)
    known = known_of(
        lake,
        repository,
        id,
        now=timestamp(datetime.now(UTC)),
        equity_usd=settings.account.equity_usd,
        trader=_trader_days(lake, document.provenance.market, document.interval),
    )
    rows = read_rows(lake, EvidenceDayTable, market=document.provenance.market, interval=document.interval)
    own = rows.filter(rows[EvidenceDayTable.id] == id).sort("date")
    ways = rulings(document.stage, known.numbers)
    if as_json:
        lacking = [{"rule": way.rule.name, "to": way.rule.end, "lacks": list(way.refusals)} for way in ways]
        print_json({"id": id, "numbers": known.numbers, "days": own.tail(days).to_dicts(), "ways": lacking})
        return
    columns = ("date", "stage", "net_return", "standardised", "wealth", "recent_sum", "shortfall", "factor")
    print_table(columns, own.tail(days).select(columns).rows(), title=f"{id}, {own.height} days booked")
    print_table(
        ("to", "rule", "by", "lacks"),
        [(way.rule.end, way.rule.name, way.rule.by, "\n".join(way.refusals) or "nothing") for way in ways],
        title="What the next stages ask for",
    )


@app.command(cls=options.with_settings("data_dir"))
def postmortem(context: typer.Context, id: Id, as_json: options.Json = False) -> None:
    """Show the death report of a strategy that held a seat: what it promised, what it did, which assumption broke."""
    from quant_organism.deployment.booking import read_rows
    from quant_organism.deployment.postmortem import postmortem_of
    from quant_organism.deployment.tables import PostmortemTable
    from quant_organism.market.lake import Lake

    lake, document = Lake(options.said(context).settings().data_dir / "lake"), _repository(context).load(id)
    rows = read_rows(lake, PostmortemTable, market=document.provenance.market, interval=document.interval)
    report = postmortem_of(rows, id)
    if as_json:
        print_json(report)
        return
    meanings = {column.name: column.meaning for column in PostmortemTable.columns}
    shown = [
        (name, "-" if value is None else value, meanings.get(name, "retired on")) for name, value in report.items()
    ]
    print_table(("what", "is", "that is"), shown)


@app.command(cls=options.with_settings("data_dir", "account"))
def mark(
    context: typer.Context,
    through: Annotated[
        str | None, typer.Option("--date", help="Last day to book. (default: the newest)", metavar="YYYY-MM-DD")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Book what every watched strategy earned on each new day, and take the moves that the evidence opens."""
    from functools import partial

    from quant_organism.deployment.marks import mark_all
    from quant_organism.judge import SandboxRunner
    from quant_organism.market.lake import Lake

    settings = options.said(context).settings()
    lake = Lake(settings.data_dir / "lake")
    with SandboxRunner(_repository(context)) as runner:
        found = mark_all(
            lake,
            _repository(context),
            equity_usd=settings.account.equity_usd,
            through=options.parse_day(through),
            trader=partial(_trader_days, lake),
            runner=runner,
        )
    rows = [
        (market, interval, len(one.days), one.rows, "\n".join(f"{day} {m.id}: {m.rule.name}" for day, m in one.moves))
        for (market, interval), one in found.items()
    ]
    columns = ("market", "interval", "days", "rows", "moves")
    unmarked = {id: why for one in found.values() for id, why in one.unmarked.items()}
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        print_table(columns, rows)
    else:
        typer.echo("No strategies here yet. Breed some with: quant-organism run")
    for id, why in unmarked.items():
        typer.echo(f"not marked: {id}: {why}", err=True)
    raise typer.Exit(1 if unmarked else 0)


@app.command(cls=options.with_settings("data_dir", "account"))
def account(
    context: typer.Context,
    id: Id,
    as_json: options.Json = False,
) -> None:
    """Show what an account executes of a strategy: whole lots, the venue's minimum order, caps and drawdown limits.

    On the days that its search did not see, and beside them on those that it saw; of the short line on these alone.
    """
    from quant_organism.deployment import birth_costs, birth_panel, birth_splits, execute_strategy
    from quant_organism.judge import SandboxRunner
    from quant_organism.market.lake import Lake
    from quant_organism.market.lines import has_unseen
    from quant_organism.validation.holdout import HoldoutRegister

    settings = options.said(context).settings()
    folder = settings.data_dir
    document = _repository(context).load(id)
    born = document.provenance
    lake = Lake(folder / "lake")
    panel, costs = birth_panel(document, lake), birth_costs(document, lake)
    splits = birth_splits(document, lake, panel)
    if has_unseen(splits):
        HoldoutRegister(folder / "lake").check_opened(born.market, born.panel_hash, id)
    with SandboxRunner(_repository(context)) as runner:
        code = document.external
        strategy = document.committee if code is None else runner.ask(code, panel, costs).window
        executed = execute_strategy(strategy, panel, splits, costs, settings.account.equity_usd)
    if as_json:
        print_json({"id": id, **executed.to_dict()})
        return
    shares = {"total_return", "annual_return", "max_drawdown", "fees", "slippage", "funding", "volatility"}
    shares |= {"tracking_error", "gross_mean", "gross_max"}
    own, days = executed.promised, "in sample" if executed.unseen is None else "unseen"
    columns = {days: own, "in sample": executed.in_sample}
    columns |= {
        f"{days}, {size.equity_usd:,.0f} USD": size for size in executed.sizes if size.equity_usd != own.equity_usd
    }
    rows = [
        [name, *(_figure(getattr(figures, name), share=name in shares) for figures in columns.values())]
        for name in vars(own)
    ]
    print_table(["", *columns], rows, title=f"{id} in an account of {own.equity_usd:,.0f} USD")
    for sentence in executed.sentences:
        typer.echo(sentence)
    typer.echo(f"Orders of the {executed.days}: {executed.order_hash}")


def _show_members(committee: "Committee", *, full: bool) -> None:
    heaviest = sorted(committee.members, key=lambda member: -member.weight)
    members = heaviest if full else heaviest[:_MEMBERS_SHOWN]
    print_table(
        ("weight", "genome", "assets", "genes" if full else "genes of its family"),
        [
            (
                f"{member.weight:6.1%}",
                member.genome.id,
                ", ".join(member.assets) or "all",
                _genes(member.genome, full=full),
            )
            for member in members
        ],
        title="Members",
    )
    if lighter := heaviest[len(members) :]:
        share = sum(member.weight for member in lighter)
        typer.echo(f"and {len(lighter)} lighter ones with {share:.1%} of the weight: --full shows all\n")


def _show_day(booked: "DaySummary") -> None:
    stages = ", ".join(f"{count} in {stage}" for stage, count in booked.stages.items())
    returns = list(booked.net_returns.items())
    typer.echo(f"\n{booked.day}, {booked.market}, {booked.interval}: watched {stages}")
    if returns:
        (best, most), (worst, least) = returns[0], returns[-1]
        mean = sum(booked.net_returns.values()) / len(returns)
        typer.echo(f"Returns: mean {mean:+.2%}, best {most:+.2%} ({best}), worst {least:+.2%} ({worst})")
    if booked.unrecorded:
        typer.echo(f"Without a record of the day: {booked.unrecorded}")
    for title, moves in (("Moves of the day", booked.moves), ("Archived since Monday", booked.archived)):
        columns = ("at", "id", "start", "end", "rule", "by", "reason")
        if moves:
            print_table(columns, [tuple(move[name] for name in columns) for move in moves], title=title)
        else:
            typer.echo(f"{title}: none")


def _flat(document: "StrategyConfig") -> dict[str, object]:
    """Return what two documents are compared by, one value each."""
    fields: dict[str, object] = {
        "stage": document.stage,
        "fitness": document.fitness,
        "interval": document.interval,
        "universe": ", ".join(document.universe),
        **{f"born: {name}": value for name, value in document.provenance.model_dump().items()},
    }
    if document.external is not None:
        fields |= {f"code: {name}": value for name, value in document.external.in_words}
    else:
        for member in document.committee.members:
            name = f"{member.genome.id} {', '.join(member.assets)}".strip()
            fields[f"weight of {name}"] = round(member.weight, 6)
    for stage, record in document.evidence.items():
        fields |= {f"{stage}: {name}": value for name, value in record.metrics.items()}
    return fields


def _evidence(move: "Move") -> str:
    return "\n".join(f"{r.kind} {r.value:.4g} (bound {r.bound:.4g}, n {r.n})" for r in move.records) or move.note


def _figure(value: float, *, share: bool) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2%}" if share else f"{value:,.2f}"


def _repository(context: typer.Context) -> "StrategyRepository":
    from quant_organism.deployment.repository import StrategyRepository

    return StrategyRepository(options.said(context).settings().data_dir / "strategies")


def _signing_repository(context: typer.Context) -> "StrategyRepository":
    from quant_organism.deployment.repository import StrategyRepository
    from quant_organism.orchestration.access import Signing

    settings = options.said(context).settings()
    return StrategyRepository(settings.data_dir / "strategies", signer=Signing(settings).signer())


def _trader_days(lake: "Lake", market: str, interval: str) -> "Mapping[str, TraderDays]":
    from quant_organism.trading import trader_days

    return trader_days(lake, market=market, interval=interval)


def _row(document: "StrategyConfig") -> dict[str, object]:
    return {
        "id": document.id,
        "stage": document.stage,
        "fitness": document.fitness,
        "genomes": document.n_genomes,
        "families": ", ".join(document.families),
        "market": document.provenance.market,
        "interval": document.interval,
        "born": document.provenance.date,
    }


def _genes(genome: "Genome", *, full: bool) -> str:
    from quant_organism.strategies import get_family

    own = {spec.name for spec in get_family(genome.family).own_genes}
    return ", ".join(f"{name} {_short(value)}" for name, value in genome.genes.items() if full or name in own)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
