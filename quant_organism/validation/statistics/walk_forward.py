"""Walk-forward windows: train on the past, test on what follows, move on by one test length."""

from dataclasses import dataclass

from quant_organism.market.splits import Span
from quant_organism.validation.statistics.evidence import NotRun, require, too_few

MIN_WINDOWS = 3


@dataclass(frozen=True)
class Window:
    """One step: bars to fit on, and later bars to score; between them an embargo that belongs to neither."""

    train: Span
    test: Span


def walk_forward(periods: int, *, train: int, test: int, embargo: int = 0) -> tuple[Window, ...] | NotRun:
    """Cut periods into rolling windows whose tests adjoin and never overlap.

    Parameters
    ----------
    periods
        T, in time order.
    train, test
        Length of each, at least 1.
    embargo
        Periods left out between them: at least the longest holding, plus the look-back of fitted features.

    Returns
    -------
    tuple of Window, or NotRun
        Oldest first; the last test ends at T, and the oldest periods that fill no window are left out.

    Raises
    ------
    InputError
        A length is not positive, or the embargo is negative.
    """
    require(train >= 1 and test >= 1, f"train {train}, test {test}", "both need at least one period")
    require(embargo >= 0, f"an embargo of {embargo} is negative", "use 0 for none")
    count = max(0, (periods - train - embargo) // test)
    if (few := too_few(MIN_WINDOWS, count, "windows")) is not None:
        return few
    windows = []
    for i in range(count):
        begin = periods - (count - i) * test
        stop = begin - embargo
        windows.append(Window(Span(f"train {i}", stop - train, stop), Span(f"test {i}", begin, begin + test)))
    return tuple(windows)
