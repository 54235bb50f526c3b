"""The report of an audit: the same tables for the terminal, as Markdown, as one HTML page, and the numbers as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quant_organism.audit.outcome import Outcome
from quant_organism.audit.rates import FoundRow, Rates, Share, rates
from quant_organism.resilience import write_files

Cell = str | int | float

_FOUND = ("edge", "strength", "beyond shadow", "of them right", "into shadow", "oracle", "later")


@dataclass(frozen=True)
class AuditProvenance:
    """Where an audit comes from.

    Attributes
    ----------
    profile, identity
        Name of the audit profile, and the hashes of it, of the code and of a real panel.
    seeds
        Which seeds, in words.
    wanted
        Worlds that were asked for; fewer may be done.
    command
        What makes it again.
    date
        Day on which it was written.
    """

    profile: str
    identity: dict[str, str]
    seeds: str
    wanted: int
    command: str
    date: str


@dataclass(frozen=True)
class Section:
    """A table under a title, with a sentence on how to read it."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class AuditReport:
    """An audit, to be shown."""

    provenance: AuditProvenance
    outcomes: Sequence[Outcome]
    rates: Rates

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], provenance: AuditProvenance) -> AuditReport:
        """Return the report of these worlds.

        Raises
        ------
        InputError
            There is no world.
        """
        return cls(provenance, outcomes, rates(outcomes))

    @property
    def sections(self) -> tuple[Section, ...]:
        """The tables, in the order of reading."""
        found = self.rates
        return (
            Section(
                "Goals",
                "What the audit asks for. The interval is Wilson's, 95 %.",
                ("goal", "verdict", "what was found"),
                tuple((goal.name, goal.verdict, goal.sentence) for goal in found.goals),
            ),
            Section(
                "Alarms",
                "Signs that the organism, its books or the worlds are not what they should be.",
                ("alarm", "raised", "what was found"),
                tuple((alarm.name, "yes" if alarm.raised else "no", alarm.sentence) for alarm in found.alarms),
            ),
            Section(
                "Where nothing can be found",
                "Worlds in which a strategy of the search got so far.",
                ("worlds", "beyond the shadow pool", "into the shadow pool at least"),
                tuple(
                    (name, _share(beyond), _share(entered))
                    for name, beyond, entered in (
                        ("simulated", found.false_discoveries, found.shadow),
                        ("real, turned over", found.flipped, found.flipped_shadow),
                    )
                    if beyond.worlds
                ),
            ),
            Section(
                "Where something can be found",
                "Right: at least half of the weight on families that are made for the edge. Later: median Sharpe ratio "
                "of the accepted on days that no gate touched.",
                _FOUND,
                tuple(map(_found_row, found.found)),
            ),
            *(
                [
                    Section(
                        "Where something was written into real candles",
                        "Real candles turned over, then moved by an edge of the same strength in units of their own "
                        "volatility. The oracle is that of simulated worlds.",
                        _FOUND,
                        tuple(map(_found_row, found.found_in_real)),
                    )
                ]
                if found.found_in_real
                else []
            ),
            Section(
                "Gate by gate",
                "Passed: worlds that passed it, of those in which it was asked. First: worlds in which it was the "
                "first to stop the candidate on its way beyond the shadow pool, without an edge / weak / strong. Only: "
                "where nothing else would have; without an edge that is what it adds, with one what it costs. A "
                "candidate that has fallen is not asked more, unless the profile says `every_gate`.",
                ("gate", "before", "passed: null", "weak", "strong", "first", "only, null", "only, planted", "CPU s"),
                tuple(
                    (
                        row.gate,
                        ", ".join(row.goals) or "information",
                        *(f"{share.count}/{share.worlds}" for share in row.passed),
                        " / ".join(map(str, row.first)),
                        row.only_nulls,
                        row.only_planted,
                        row.cpu_seconds,
                    )
                    for row in found.gates
                ),
            ),
            Section(
                "Cost",
                "Mean over all worlds.",
                ("part", "CPU s a world"),
                (*found.cpu_seconds.items(), ("all", sum(found.cpu_seconds.values()))),
            ),
            Section(
                "Where it comes from",
                "An audit is a function of these.",
                ("what", "value"),
                (
                    ("date", self.provenance.date),
                    ("worlds", f"{len(self.outcomes)} of {self.provenance.wanted}"),
                    ("seeds", self.provenance.seeds),
                    ("profile", self.provenance.profile),
                    *((f"{what} hash", digest) for what, digest in self.provenance.identity.items()),
                    ("command", self.provenance.command),
                ),
            ),
        )

    @property
    def document(self) -> dict[str, Any]:
        """Everything, for programs; undefined numbers are None."""
        found = {"provenance": self.provenance, "rates": self.rates, "outcomes": list(self.outcomes)}
        return {name: _plain(value) for name, value in found.items()}

    @property
    def markdown(self) -> str:
        """The tables as Markdown."""
        parts = [f"# Audit of {self.provenance.date}, profile {self.provenance.profile}"]
        for section in self.sections:
            parts += [f"## {section.title}", section.note]
            lines = [section.columns, tuple("---" for _ in section.columns), *(map(shown, row) for row in section.rows)]
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        return "\n\n".join(parts) + "\n"

    @property
    def html(self) -> str:
        """The tables as one page that works offline."""
        environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        title = f"Audit of {self.provenance.date}, profile {self.provenance.profile}"
        return environment.get_template("report.html").render(title=title, sections=self.sections, shown=shown)

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write `audit.json`, `audit.html` and `audit.md` into a folder, and return where they are.

        Raises
        ------
        StorageError
            The folder cannot be written.
        """
        contents = {
            folder / "audit.json": orjson.dumps(self.document, option=orjson.OPT_INDENT_2),
            folder / "audit.html": self.html.encode(),
            folder / "audit.md": self.markdown.encode(),
        }
        write_files(contents.items())
        return tuple(contents)


def shown(value: Cell) -> str:
    """Return a cell as text: three digits of a fraction, a dash for what is undefined."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3g}"
    return str(value)


def _found_row(row: FoundRow) -> tuple[Cell, ...]:
    return (
        row.family,
        row.strength,
        _share(row.accepted),
        _share(row.right),
        _share(row.shadow),
        row.oracle_sharpe,
        row.later_sharpe,
    )


def _share(share: Share) -> str:
    return f"{share.count}/{share.worlds} ({share.low:.1%}–{share.high:.1%})" if share.worlds else "–"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
