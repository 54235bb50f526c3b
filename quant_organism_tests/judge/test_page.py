"""What docs/judge.md shows: its documents are read, its strategy answers, its proposer is heard."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quant_organism.evolution import MeasuredGenomes, TrialLedger, listen
from quant_organism.judge import CallableSpec, Court, DocumentStrategy, StrategySource, load_spec
from quant_organism.judge.sandbox import StrategyProcess
from quant_organism.judge.spec import EXAMPLES
from quant_organism.market import Lake, Panel
from quant_organism.validation import draw_null
from quant_organism_tests.conftest import REPOSITORY
from quant_organism_tests.judge.conftest import market

PAGE = (REPOSITORY / "docs" / "judge.md").read_text()


class Seen:
    """A panel as a callable is handed it."""

    def __init__(self, panel: Panel) -> None:
        self.interval_hours = panel.interval.hours
        for name in ("times", "valid", "open", "high", "low", "close", "volume"):
            setattr(self, name, getattr(panel, name))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: text.splitlines()[0])
def test_a_shown_document_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "judge.yaml"
    path.write_text(text)
    spec, folder = load_spec(str(path))
    assert f"kind: {spec.kind}" in text
    assert folder == tmp_path


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.yaml")))
def test_a_shipped_example_is_judged_by_its_name(name: str) -> None:
    spec, folder = load_spec(name)
    assert (folder / spec.file).is_file()


def test_a_python_file_is_a_callable_with_everything_else_by_default(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def signal(panel):\n    return 0 * panel.close\n")
    spec, folder = load_spec(str(tmp_path / "mine.py"))
    assert spec == CallableSpec(kind="callable", file="mine.py")
    assert folder == tmp_path


def test_the_shown_strategy_answers(write: Callable[..., StrategySource]) -> None:
    panel = market(bars=240)
    with StrategyProcess(write(next(text for text in blocks("python") if "def signal" in text))) as process:
        process.show(panel)
        assert process.answer({"bars": 12}).any()


def test_the_shown_file_of_freqtrade_answers(write: Callable[..., StrategySource]) -> None:
    shown = write(next(text for text in blocks("python") if "IStrategy" in text))
    with StrategyProcess(replace(shown, form="freqtrade", function="Dip")) as process:
        process.show(market(bars=240))
        assert process.answer({"span": 10}).any()


def test_the_shipped_template_answers_within_its_walls() -> None:
    spec, folder = load_spec("moving_average_stop")
    assert isinstance(spec, CallableSpec)
    panel = market(bars=480, edge=0.3)
    strategy = spec.strategy(folder, trusted=True)
    assert strategy.n_trials == 8
    with StrategyProcess(strategy.source) as process:
        process.show(panel)
        held = process.answer(strategy.trials[0])
    assert {-1.0, 0.0, 1.0} == set(held.ravel().tolist())


def test_the_shipped_trees_learn_from_the_past_alone() -> None:
    from quant_organism.judge.examples.boosted_trees import signal

    panel = market(bars=24 * 112)
    whole = signal(Seen(panel))
    for cut in (24 * 91, 24 * 100 + 7):
        np.testing.assert_array_equal(signal(Seen(panel.window(0, cut))), whole[:cut])
    assert np.abs(whole).max() <= 1.0
    # Thirty days of windows and sixty of examples come first; then a position a day.
    changes = np.flatnonzero(np.diff(whole, axis=0).any(axis=1)) + 1
    assert changes[0] >= 24 * 90 - 1
    assert set(((changes + 1) % 24).tolist()) == {0}


def test_the_shown_proposer_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    court = Court(lake=Lake(tmp_path / "lake"), panel=market(edge=0.1))
    known = {"path": EXAMPLES / "proposals.jsonl", "court": court}
    exec(next(text for text in blocks("python") if "FileProposals" in text), known)
    assert len(known["refused"]) == 1
    assert capsys.readouterr().out.count("\n") >= 5


def test_the_shown_study_of_optuna_is_heard(tmp_path: Path) -> None:
    court = Court(lake=Lake(tmp_path / "lake"), panel=market(edge=0.1))
    known = {"court": court}
    exec(next(text for text in blocks("python") if "optuna" in text), known)
    searched = known["searched"]
    assert 8 <= searched.n_trials <= 12
    assert known["refused"] == []
    rows = TrialLedger(court.lake.root).frame(["genome_hash", "family"], market="made", until=int(court.seen.times[-1]))
    assert set(rows["genome_hash"]) == {genome.hash for genome in searched.genomes}


def test_the_engine_is_heard_as_anybody_else_and_bred_anew_on_a_copy(tmp_path: Path) -> None:
    court = Court(lake=Lake(tmp_path / "lake"), panel=market(bars=24 * 400, edge=0.1))
    known = {"court": court}
    exec(next(text for text in blocks("python") if "GeneticSearch" in text), known)
    bred, breeder = known["bred"], known["breeder"]
    assert known["refused"] == []
    by_itself = breeder(court.seen)
    told = listen(by_itself, MeasuredGenomes(panel=court.seen, costs=court.costs), budget=60)
    assert by_itself.is_over
    assert bred.genomes == tuple(result.genome for result in told)
    rows = TrialLedger(court.lake.root).frame(["genome_hash"], market="made", until=int(court.seen.times[-1]))
    turned_away = {flaw.hash for flaw in by_itself.rejected}
    assert turned_away
    assert set(rows["genome_hash"]) == {genome.hash for genome in bred.genomes} | turned_away
    copy = draw_null(court.seen, "mean_preserving", np.random.SeedSequence(0))
    on_copy = listen(breeder(copy), MeasuredGenomes(panel=copy, costs=court.costs), budget=60)
    tried = DocumentStrategy("copy", tuple(result.genome for result in on_copy if result.genome is not None))
    assert tried.identity != bred.identity
    assert bred.best_sharpe(copy, court.costs) == tried.best_sharpe(copy, court.costs)


def test_the_shown_study_over_a_callable_is_heard(write: Callable[..., StrategySource], tmp_path: Path) -> None:
    source = write(next(text for text in blocks("python") if "def signal" in text))
    court = Court(lake=Lake(tmp_path / "lake"), panel=market(bars=24 * 95, edge=0.1))
    parzen = next(text for text in blocks("python") if "optuna" in text).split("\nsearched")[0]
    shown = next(text for text in blocks("python") if "CallableSpace" in text)
    known = {"court": court, "file": source.path}
    if source.trusted:  # a machine without walls
        shown = shown.replace("(path=file)", "(path=file, trusted=True)")
    exec(parzen + shown, known)
    tried = {trial["bars"] for trial in known["points"].trials}
    assert tried <= set(range(12, 73))
    assert 6 <= len(tried) == court.in_ledger()
    assert known["refused"] == []
