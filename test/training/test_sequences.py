"""Rows of different lengths are indexed as a stack of them would be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.training.sequences import Sequences

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)


def numbered(counts) -> list[torch.Tensor]:
    """Row and time of every entry, (T_e, 2)."""
    return [torch.tensor([(row, time) for time in range(n)]) for row, n in enumerate(counts)]


@given(lengths, st.data())
def test_rows_and_their_times_are_found_as_in_a_list(counts, data):
    rows = numbered(counts)
    sequences = Sequences(rows)
    assert len(sequences) == len(rows) and sequences.lengths.tolist() == counts
    assert all(torch.equal(mine, row) for mine, row in zip(sequences, rows, strict=True))
    row = data.draw(st.integers(0, len(rows) - 1))
    assert torch.equal(sequences[row], rows[row])
    picked = torch.tensor(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1)))
    times = torch.arange(min(counts))
    found = sequences[picked[:, None], times]
    assert torch.equal(found[..., 0], picked[:, None].expand(-1, len(times)))
    assert torch.equal(found[..., 1], times.expand(len(picked), -1))


@pytest.mark.parametrize("time", [-1, 3])
def test_a_time_that_a_row_does_not_have_is_refused_and_not_read_from_its_neighbour(time):
    sequences = Sequences(numbered([4, 3, 4]))
    with pytest.raises(IndexError):
        sequences[torch.tensor([0, 1]), torch.tensor([0, time])]


@given(lengths, st.integers(1, 6), st.integers(0, 100))
def test_pieces_lie_within_their_rows_and_all_of_them_come(counts, length, seed):
    sequences = Sequences(numbered(counts))
    generator = torch.Generator().manual_seed(seed)
    every = {(row, start) for row, n in enumerate(counts) for start in range(n - length + 1)}
    if not every:
        with pytest.raises(ValueError, match=f"{length} long, the longest {max(counts)}"):
            sequences.pieces(length, 1, generator)
        return
    row, start = sequences.pieces(length, 40 * len(every), generator)
    assert set(zip(row.tolist(), start.tolist(), strict=True)) == every
