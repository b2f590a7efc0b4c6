"""The sorted list that index entries stand in."""

from bisect import bisect_left, bisect_right, insort

from sortedcontainers import SortedList  # type: ignore[import-untyped]

_LONG_RUN = 32
"""From so many new entries for one part of the list, sorting the part anew costs less than placing each."""


class EntryList(SortedList):  # type: ignore[misc]
    """A SortedList of byte strings that takes in many at once."""

    def add_run(self, values: list[bytes]) -> None:
        """Add values that are in order and not in the list.

        Those that go to the same part of the list go there together. The parts are those of sortedcontainers 2
        ("Implementation Details" in its documentation): lists of bounded length, the greatest value of each, and an
        index of positions, which is made anew when it is asked for.
        """
        lists, maxes = self._lists, self._maxes
        if len(values) * 4 > len(self):
            self.update(values)
            return
        start = 0
        while start < len(values):
            place = bisect_right(maxes, values[start])
            if place == len(maxes):
                place -= 1
                end = len(values)
            else:
                end = bisect_left(values, maxes[place], start)
            part = lists[place]
            if end - start < _LONG_RUN:
                for value in values[start:end]:
                    insort(part, value)
            else:
                part.extend(values[start:end])
                part.sort()
            maxes[place] = part[-1]
            self._len += end - start
            del self._index[:]
            most = self._load * 2
            while len(part) > most:
                # As SortedList does: the latter half becomes a part of its own.
                rest = part[-self._load :]
                del part[-self._load :]
                maxes[place] = part[-1]
                lists.insert(place + 1, rest)
                maxes.insert(place + 1, rest[-1])
            start = end
