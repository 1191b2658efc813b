"""Caches are values that share what they have in common."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.world_model.cache import ROOM, Cache

WINDOW, LAYERS = 4, 2


def appended(cache, *numbers):
    """The cache with one more slot, a number for each sequence, and what its window then shows."""
    after = cache.extended(1)
    seen = min(after.held, WINDOW)
    slot = torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)  # keys that tell of which
    for layer in range(LAYERS):
        own = after.put(layer, slot, -slot, seen)
        keys, values = (
            torch.cat([part.tile(1, len(slot) // part.shape[1], 1, 1) for part in parts])
            for parts in zip(*after.put_before(layer, seen), own, strict=True)
        )
        assert torch.equal(keys, -values)
    return after, keys.flatten(1).T.tolist()


@given(st.data())
def test_however_caches_are_continued_rewound_and_forked_each_holds_its_own(data):
    """Beside each cache the sequences that it stands for, as plain lists."""
    known = [(Cache(keep=2 * WINDOW, batch=1), [[]])]
    for number in range(1, data.draw(st.integers(4, 30))):
        cache, rows = data.draw(st.sampled_from(known[-6:]))
        steps = len(rows[0])
        way = data.draw(st.sampled_from(["go on", "go on", "go back", "fork"]))
        if way == "go on":
            rows = [[*row, 100 * number + i] for i, row in enumerate(rows)]
            cache, shown = appended(cache, *(row[-1] for row in rows))
            assert shown == [row[-WINDOW:] for row in rows]
        elif way == "go back":
            back = data.draw(st.integers(0, min(steps, WINDOW)))
            if cache.held - back < min(steps - back, WINDOW - 1):
                continue  # forgotten
            cache, rows = cache.rewound(back, WINDOW), [row[: steps - back] for row in rows]
        else:
            index = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=4))
            cache, rows = cache.fork(torch.tensor(index)), [rows[i] for i in index]
        assert cache.batch == len(rows)
        assert cache.position == len(rows[0])
        known.append((cache, rows))
    for cache, rows in known:  # and nobody has overwritten what another one holds
        shown = appended(cache, *[-1] * len(rows))[1]
        assert shown == [[*row, -1][-WINDOW:] for row in rows]


def test_going_on_from_the_newest_copies_nothing_until_the_room_is_full():
    cache, _ = appended(Cache(keep=2 * WINDOW, batch=1), 0)
    buffer = cache.buffer
    for number in range(1, ROOM + 1):
        cache, _ = appended(cache, number)
        assert cache.buffer is buffer
    cache, _ = appended(cache, ROOM + 1)
    assert cache.buffer is not buffer


def test_what_no_window_can_need_again_is_forgotten():
    cache = Cache(keep=2 * WINDOW, batch=1)
    for number in range(1000):
        cache, _ = appended(cache, number)
    assert cache.buffer.capacity <= 2 * WINDOW + ROOM + 1
    assert cache.rewound(WINDOW, WINDOW).position == 1000 - WINDOW
    with pytest.raises(ValueError, match="cannot rewind 30 of 1000 steps"):
        cache.rewound(30, WINDOW)


def test_going_back_before_the_beginning_is_refused():
    cache, _ = appended(Cache(keep=2 * WINDOW, batch=1), 0)
    with pytest.raises(ValueError, match="cannot rewind 2 of 1"):
        cache.rewound(2, WINDOW)


def test_ways_that_part_share_their_past_and_copy_nothing():
    cache = Cache(keep=2 * WINDOW, batch=2)
    for number in range(3):
        cache, _ = appended(cache, number, number)
    other, shown = appended(cache.rewound(2, WINDOW), 7, 8)
    assert other.common.buffer is cache.buffer and other.length == 1
    assert shown == [[0, 7], [0, 8]]
