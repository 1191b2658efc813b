"""Windows are pieces of episodes, with what belongs to them."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.evaluation.windows import STRIDE, another_episode, held_out_windows
from whale_ros.world_model.frames import to_float


@pytest.mark.parametrize(("history", "horizon"), [(6, 15), (2, 8), (1, 1)])
def test_windows_are_pieces_of_episodes_with_their_actions(held_out, history, horizon):
    length = history + horizon
    starts = range(0, held_out.frames.shape[1] - length + 1, STRIDE)
    expected = [(e, s) for e in range(len(held_out)) for s in starts]
    other = another_episode(len(held_out), 0)
    (window,) = held_out_windows(held_out, history, horizon)
    assert window.episodes.tolist() == [e for e, _ in expected]
    for row, (e, s) in enumerate(expected):
        frames = to_float(held_out.frames[e, s : s + length])
        assert torch.equal(window.past_frames[row], frames[:history])
        assert torch.equal(window.future_frames[row], frames[history:])
        now = s + history - 1  # the newest observed frame
        assert torch.equal(window.last[row, 0], to_float(held_out.frames[e, now]))
        assert torch.equal(window.past_actions[row], held_out.actions[e, s:now])
        assert torch.equal(window.actions[row], held_out.actions[e, now : now + horizon])
        lent = held_out.actions[other[e], now : now + horizon]
        assert torch.equal(window.other_actions[row], lent)
        hand = held_out.hand_position[e, now + 1 : now + 1 + horizon]
        assert torch.equal(window.future_hand[row], hand)


@given(st.integers(2, 50), st.integers(0, 5))
def test_each_episode_is_paired_with_another_and_every_one_is_used(episodes, seed):
    other = another_episode(episodes, seed)
    assert (other != torch.arange(episodes)).all()
    assert sorted(other.tolist()) == list(range(episodes))


def test_episodes_that_are_too_short_are_refused_with_both_lengths(held_out):
    short = SimpleNamespace(frames=held_out.frames[:, :13])
    with pytest.raises(ValueError, match="13 frames.*14"):
        next(held_out_windows(short, 6, 8))
