"""What has been seen lately, in bounded memory."""

from collections.abc import Hashable


class Seen:
    """Remembers at least the last `capacity` keys, and at most twice as many.

    Parameters
    ----------
    capacity
        How many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._new: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def is_new(self, key: Hashable) -> bool:
        """Say whether a key comes for the first time, and remember it."""
        if key in self._new or key in self._old:
            return False
        self._new.add(key)
        if len(self._new) >= self._capacity:
            self._old, self._new = self._new, set()
        return True
