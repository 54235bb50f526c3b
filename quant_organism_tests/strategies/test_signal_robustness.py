"""Signals at the corners of the genes' bounds, on degenerate bars, in company, in threads and in other processes."""

import hashlib
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quant_organism.strategies import (
    AssetBars,
    GeneSpec,
    GeneValue,
    Genome,
    default_genome,
    family_names,
    get_family,
    random_genome,
    signal,
)
from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.genome import gene_arrays
from quant_organism.strategies.targets import Targets
from quant_organism_tests.strategies.scenarios import bars, noisy
from quant_organism_tests.strategies.test_signal_laws import lively

SEEDS = st.integers(0, 2**32 - 1)
every_family = pytest.mark.parametrize("family", family_names())


def corner(family: str, seed: int) -> Genome:
    """Draw each gene from the ends of its bounds; a structure has none, and may bind the other genes."""
    rng = np.random.default_rng(seed)
    specs = get_family(family).genes
    if any(spec.kind == "structure" for spec in specs):
        return random_genome(rng, family)

    def end(spec: GeneSpec) -> GeneValue:
        if spec.kind == "choice":
            return spec.draw(rng)
        value = spec.low if rng.random() < 0.5 else spec.high
        return int(value) if spec.kind == "int" else value

    return Genome(family, {spec.name: end(spec) for spec in specs})


@every_family
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, cut=st.integers(1, 399))
def test_corners_of_the_bounds_are_like_any_place(family: str, seed: int, cut: int) -> None:
    genome, columns = corner(family, seed), noisy(seed)
    y = signal(genome, columns)
    assert np.isfinite(y).all()
    assert np.abs(y).max() <= 1
    assert not y[: get_family(family).warmup(genome.genes)].any()
    np.testing.assert_array_equal(signal(genome, {k: v[:cut] for k, v in columns.items()}), y[:cut])
    assert not signal(genome, bars(np.full(400, 0.1))).any()


@every_family
def test_degenerate_bars_warn_of_nothing(family: str) -> None:
    frozen = noisy(1)
    for column in ("open", "high", "low", "close"):
        frozen[column][100:300] = 100.0
    markets = [
        bars(np.full(400, 1 / 3)),
        bars(np.full(400, 1 / 3), np.zeros(400)),
        noisy(1) | {"volume": np.zeros(400)},
        noisy(1) | {"funding_rate": np.zeros(400)},
        frozen,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for columns in markets:
            for seed in range(5):
                y = signal(lively(family, seed), columns)
                assert np.isfinite(y).all()
                assert np.abs(y).max() <= 1


@every_family
def test_bars_one_by_one_say_what_all_bars_said(family: str) -> None:
    for seed in range(3):
        genome, columns = lively(family, seed), noisy(seed)
        y = signal(genome, columns)
        shown = range(200, 400, 5)
        last = [signal(genome, {k: v[: t + 1] for k, v in columns.items()})[-1] for t in shown]
        assert last == [y[t] for t in shown]


@every_family
@pytest.mark.parametrize("factor", [0.013, 3.7])
def test_any_unit_of_price_and_volume_will_do(family: str, factor: float) -> None:
    for seed in range(10):
        genome, columns = lively(family, seed), noisy(seed)
        scaled = {k: v * {"volume": 1.7, "funding_rate": 1.0}.get(k, factor) for k, v in columns.items()}
        np.testing.assert_allclose(signal(genome, scaled), signal(genome, columns), rtol=1e-9)


@every_family
def test_company_changes_no_genome(family: str) -> None:
    columns = noisy(2)
    genomes = [lively(family, seed) for seed in range(12)]
    n = columns["close"].size
    bank_bars = AssetBars(**columns, numbers=np.arange(n), bar_hours=1.0)
    genes = gene_arrays(genomes)
    bank = IndicatorBank(bank_bars, get_family(family).indicators(genes))
    together = Targets.empty(len(genomes), n, conviction=get_family(family).conviction)
    get_family(family).targets(bank, genes, together)
    for g, genome in enumerate(genomes):
        np.testing.assert_array_equal(together.expanded(g, n), signal(genome, columns))


@every_family
def test_threads_change_no_bit(family: str) -> None:
    columns = noisy(4)
    genomes = [lively(family, seed) for seed in range(8)]
    alone = [signal(genome, columns).tobytes() for genome in genomes]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda genome: signal(genome, columns).tobytes(), genomes)) == alone


def fingerprint() -> str:
    """Return a hash of the signals of two genomes of every family."""
    digest = hashlib.sha256()
    for family in family_names():
        for genome in (default_genome(family), lively(family, 7)):
            digest.update(signal(genome, noisy(6)).tobytes())
    return digest.hexdigest()


def test_another_process_gives_the_same_bits() -> None:
    script = f"from {__name__} import fingerprint; print(fingerprint())"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found.strip() == fingerprint()


@every_family
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_a_stored_genome_of_any_family_speaks_as_before(family: str, seed: int) -> None:
    genome, columns = random_genome(np.random.default_rng(seed), family), noisy(seed)
    restored = Genome.from_dict(genome.to_dict())
    assert restored.id == genome.id
    np.testing.assert_array_equal(signal(restored, columns), signal(genome, columns))
