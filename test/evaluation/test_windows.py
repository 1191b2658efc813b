"""Windows are pieces of episodes, with what belongs to them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.evaluation.windows import STRIDE, another_episode, held_out_windows
from whale_ros.world_model.frames import to_float


@pytest.mark.parametrize(("history", "horizon"), [(6, 15), (2, 8), (1, 1)])
def test_windows_are_pieces_of_episodes_with_their_actions(held_out, history, horizon):
    length = history + horizon
    starts = range(0, len(held_out.frames[0]) - length + 1, STRIDE)
    expected = [(e, s) for e in range(len(held_out)) for s in starts]
    other = another_episode(len(held_out), 0)
    (window,) = held_out_windows(held_out, history, horizon)
    assert window.episodes.tolist() == [e for e, _ in expected]
    for row, (e, s) in enumerate(expected):
        frames = to_float(held_out.frames[e][s : s + length])
        assert torch.equal(window.past_frames[row], frames[:history])
        assert torch.equal(window.future_frames[row], frames[history:])
        now = s + history - 1  # the newest observed frame
        assert torch.equal(window.last[row, 0], to_float(held_out.frames[e, now]))
        assert torch.equal(window.past_actions[row], held_out.actions[e][s:now])
        assert torch.equal(window.actions[row], held_out.actions[e][now : now + horizon])
        lent = held_out.actions[other[e]][now : now + horizon]
        assert torch.equal(window.other_actions[row], lent)
        hand = held_out.hand_position[e][now + 1 : now + 1 + horizon]
        assert torch.equal(window.future_hand[row], hand)


@given(st.integers(2, 50), st.integers(0, 5))
def test_each_episode_is_paired_with_another_and_every_one_is_used(episodes, seed):
    other = another_episode(episodes, seed)
    assert (other != torch.arange(episodes)).all()
    assert sorted(other.tolist()) == list(range(episodes))


def test_windows_of_episodes_of_different_lengths_end_where_their_episode_does(write_held_out):
    data = write_held_out((14, 30, 21))
    (window,) = held_out_windows(data, 6, 8)
    found = list(zip(window.episodes.tolist(), window.starts.tolist(), strict=True))
    assert found == [(0, 0), (1, 0), (1, 5), (1, 10), (1, 15), (2, 0), (2, 5)]
    other = another_episode(len(data), 0).tolist()
    for row, (e, s) in enumerate(found):
        real = torch.cat([window.past_frames[row], window.future_frames[row]])
        assert torch.equal(real, to_float(data.frames[e][s : s + 14]))
        lender = data.actions[other[e]]
        late = min(s + 5, len(lender) - 8)  # at that time, or the last of a shorter one
        assert torch.equal(window.other_actions[row], lender[late : late + 8])


def test_episodes_that_are_too_short_are_refused_by_name(write_held_out):
    with pytest.raises(ValueError, match=r"at least 14 frames \(2.6 s\).*validation/1.npz \(13\);"):
        next(held_out_windows(write_held_out((14, 13)), 6, 8))
