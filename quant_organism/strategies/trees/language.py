"""The language that trees are written in: the table of primitives, and the families whose signs may be votes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from quant_organism.strategies.bank import IndicatorBank
from quant_organism.strategies.family import GeneArrays, LastTargets, StrategyFamily
from quant_organism.strategies.genes import GeneSpec
from quant_organism.strategies.indicators.indicator import (
    AbreastWorkshop,
    Indicator,
    Needs,
    Onward,
    Workshop,
    last_bar,
)
from quant_organism.strategies.store import Keys, Rows
from quant_organism.strategies.targets import Targets
from quant_organism.strategies.trees.primitives import CONSTANTS, FAMILY, PRIMITIVES, Read, Tree, constants


class Language:
    """The primitives, with the families that are handed in as voters.

    Parameters
    ----------
    families
        Of them, those that neither hold a structure nor fit a model are voters.

    Attributes
    ----------
    voters
        The voters by their names, sorted.
    sign
        The indicator that holds the sign of each voter's reference genome, keyed by the voter's place.
    """

    def __init__(self, families: Sequence[StrategyFamily]) -> None:
        simple = [
            family
            for family in families
            if family.seed_type != "ml_classifier" and not any(spec.kind == "structure" for spec in family.own_genes)
        ]
        self.voters = {family.name: family for family in sorted(simple, key=lambda family: family.name)}
        self.sign = _sign_of(list(self.voters.values()))
        self._places = {name: place for place, name in enumerate(self.voters)}
        names = tuple(self.voters)
        self._family = GeneSpec(
            name=FAMILY, kind="choice", default=names[0], choices=names, unit="family", description="a rule"
        )

    def constant(self, type_name: str) -> GeneSpec:
        """Return the kind and bounds of a type of constants."""
        return self._family if type_name == FAMILY else CONSTANTS[type_name]

    def reads(self, node: Tree) -> tuple[Read, ...]:
        """Return which rows of the bank a node reads itself."""
        if node[0] == "family":
            return ((self.sign, self._places[node[1]]),)
        return PRIMITIVES[node[0]].reads(*constants(node))


def _sign_of(voters: Sequence[StrategyFamily]) -> Indicator:
    @cache
    def reference(place: int) -> tuple[StrategyFamily, GeneArrays, Needs]:
        genes = voters[place].arrays([voters[place].default_genes])
        return voters[place], genes, voters[place].indicators(genes)

    def rows(shop: Workshop, places: Keys) -> Rows:
        # What the signs are made of is not kept.
        n = shop.bars.numbers.size
        references = [reference(place) for place in places.tolist()]
        needs: dict[Indicator, list[Keys]] = {}
        for _, _, own in references:
            for indicator, keys in own.items():
                needs.setdefault(indicator, []).append(keys)
        bars = shop.bars._replace(market="")
        joined = {indicator: np.concatenate(keys) for indicator, keys in needs.items()}
        bank = IndicatorBank(bars, joined, shop.store)
        signs = np.empty((places.size, n), dtype=np.int8)
        for row, (family, genes, _) in zip(signs, references, strict=True):
            targets = Targets.empty(1, n, conviction=family.conviction)
            family.targets(bank, genes, targets)
            row[:] = np.sign(targets.expanded(0, n))
        return signs

    def abreast(shop: AbreastWorkshop, places: Keys, _: list[None]) -> Rows:
        def readers() -> list[LastTargets]:
            count = shop.histories.counts.size
            return [LastTargets(voters[k], voters[k].default_genes, shop.store, count) for k in places.tolist()]

        signs = np.empty((shop.assets.size, places.size), dtype=np.int8)
        for column, reader in zip(signs.T, shop.readers(places, readers), strict=True):
            reader.follow(shop.histories, shop.assets)
            column[:] = np.sign(reader.targets[shop.assets])
        return signs

    return Indicator(
        "family_sign",
        rows=rows,
        reach=last_bar,
        onward=Onward(
            start=lambda shop, places: None, rows=lambda shop, places, _: rows(shop, places), abreast=abreast
        ),
    )
