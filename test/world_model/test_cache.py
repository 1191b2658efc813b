"""Caches are values that share what they have in common."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.world_model.cache import ROOM, Cache

WINDOW, LAYERS = 4, 2


def slot(number, rows=2):
    """Keys (rows, 1 head, 1 slot, 2) that tell which slot they are of."""
    return torch.full((rows, 1, 1, 2), float(number))


def appended(cache, number, rows=2):
    """The cache with one more slot, and what its window then shows."""
    after = cache.extended(1)
    seen = min(after.length, WINDOW)
    for layer in range(LAYERS):
        keys, values = after.put(layer, slot(number, rows), slot(-number, rows), seen)
        assert torch.equal(keys, -values)
    return after, keys[0, 0, :, 0].tolist()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 12)), min_size=1, max_size=8))
def test_however_often_one_goes_back_and_on_all_see_the_slots_they_appended(ways):
    """Each way goes back some slots from where any earlier one ended, then on."""
    known = [(Cache(keep=2 * WINDOW), [])]
    number = 0
    for back, ahead in ways:
        cache, past = known[number % len(known)]
        back = min(back, len(past), WINDOW)
        cache, past = cache.rewound(back, WINDOW), past[: len(past) - back]
        for _ in range(ahead):
            number += 1
            past = [*past, number]
            cache, seen = appended(cache, number)
            assert seen == past[-WINDOW:]
            assert cache.position == len(past)
        known.append((cache, past))
    for cache, past in known:  # and nobody has overwritten what another one holds
        assert appended(cache, 99)[1] == [*past, 99][-WINDOW:]


def test_going_on_from_the_newest_copies_nothing_until_the_room_is_full():
    cache, _ = appended(Cache(keep=2 * WINDOW), 0)
    buffer = cache.buffer
    for number in range(1, ROOM + 1):
        cache, _ = appended(cache, number)
        assert cache.buffer is buffer
    cache, _ = appended(cache, ROOM + 1)
    assert cache.buffer is not buffer


def test_what_no_window_can_need_again_is_forgotten():
    cache = Cache(keep=2 * WINDOW)
    for number in range(1000):
        cache, _ = appended(cache, number)
    assert cache.buffer.capacity <= 2 * WINDOW + ROOM + 1
    assert cache.rewound(WINDOW, WINDOW).position == 1000 - WINDOW
    with pytest.raises(ValueError, match="cannot rewind 30 of 1000 steps"):
        cache.rewound(30, WINDOW)


def test_going_back_before_the_beginning_is_refused():
    cache, _ = appended(Cache(keep=2 * WINDOW), 0)
    with pytest.raises(ValueError, match="cannot rewind 2 of 1"):
        cache.rewound(2, WINDOW)


def test_rows_and_joined_caches_hold_what_each_held():
    cache = Cache(keep=2 * WINDOW)
    for number in range(3):
        cache, _ = appended(cache, number)
    one = cache.fork(torch.tensor([1, 1, 0]), 2)
    other = cache.rewound(1, WINDOW)
    other, _ = appended(other, 7)
    both, seen = appended(one.joined(other), 9, rows=5)
    assert seen == [0, 1, 2, 9]
    keys, _ = both.buffer.layers[-1]
    assert keys[4, 0, :4, 0].tolist() == [0, 1, 7, 9]
