"""What a command can refuse before it loads anything: names and paths that are not there.

The rooms below check their input again, whole; here stands only what a person would otherwise wait many seconds for.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from quant_organism.errors import InputError

if TYPE_CHECKING:
    from quant_organism.settings import Settings


def refuse_early(settings: "Settings") -> None:
    """Look for what is named and not there.

    Raises
    ------
    InputError
        A path of candles or of an index, a family, a world or a profile of gates that there is not; near names are
        told.
    """
    market = settings.market
    for path in (market.path, market.sentiment):
        if path is not None and not path.exists():
            raise InputError("there is no such file or folder", where=str(path.absolute()), remedy=_beside(path))
    if market.source == "world":
        from quant_organism.market.world import load_world

        load_world(market.world)
    if settings.families:
        _refuse_families(settings.families)
    from quant_organism.validation import Profile

    Profile.load(settings.validation.gates)


def _refuse_families(names: tuple[str, ...]) -> None:
    import difflib

    from quant_organism.strategies import family_names, ranking_family_names

    known = [*family_names(), *ranking_family_names()]
    unknown = [name for name in names if name not in known]
    if unknown:
        near = [match for name in unknown for match in difflib.get_close_matches(name, known, 1, cutoff=0.4)]
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise InputError(
            f"unknown families {', '.join(unknown)}",
            where="option --families",
            remedy=f"{hint}see all with: quant-organism families list",
        )


def _beside(path: Path) -> str:
    import difflib

    folder = path.absolute().parent
    if not folder.is_dir():
        return f"check the path; there is no folder {folder} either"
    near = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], 3)
    return f"did you mean {', '.join(near)}?" if near else "check the path"
