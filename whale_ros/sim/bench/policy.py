"""A scripted expert for the bench's task, as open-loop action sequences."""

from __future__ import annotations

import numpy as np

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION, ActionSpace
from whale_ros.sim.bench.arm import WORKSPACE_HIGH, WORKSPACE_LOW
from whale_ros.sim.driving import STEP_S

HAND, OPENING, BLOCK, HAND_YAW, BLOCK_YAW, ZONE = (
    slice(0, 3), 3, slice(4, 7), 7, 8, slice(9, 12)
)  # of an observation, see BenchArm  # fmt: skip

_ABOVE_M = 0.14  # from there the open fingers pass over the block
_LOW_M = 0.035  # the finger tips hold the block
_ABOVE_WITHIN_M = 0.02  # a hand so near is above the block
_AROUND_WITHIN_M = 0.035  # a low hand so near is around it
_LET_GO_M = 0.015  # of the zone's centre
_HELD_OPENING = 0.8  # fingers further apart do not touch the block
_BLOCK_OPENING = 0.72  # of fingers with the block between them
_GAIN_PER_S = 5.0
_GRIPPER_SPEED = 2.0  # opening per second, of 0 .. 1


class SlideBlockPolicy:
    """Goes above the block, down, closes, slides it into the zone, opens and goes up again."""

    workspace = WORKSPACE_LOW, WORKSPACE_HIGH
    observed = 12  # numbers

    def __init__(self, space: ActionSpace) -> None:
        self._space = space

    def plan(self, observation: np.ndarray, horizon: int) -> np.ndarray:
        """The next `horizon` actions (horizon, 7), from an observation of the bench (12,).

        The policy is closed-loop, so it is run on a kinematic look-ahead, see `foresee`.
        """
        observation = np.array(observation, float)
        actions = np.zeros((horizon, DIM))
        for action in actions:
            for substep in range(round(self._space.step_s / STEP_S)):
                velocity, turning, closing = self._decide(observation)
                _look_ahead(observation, velocity * STEP_S, turning * STEP_S, closing)
                action[POSITION] += velocity * STEP_S
                action[ROTATION][2] += turning * STEP_S
                if substep == 0:  # rather late than early: fingers must not close above the block
                    action[GRIPPER] = closing
        return actions

    def foresee(self, observation: np.ndarray, action: np.ndarray, seconds: float) -> np.ndarray:
        """The observation (12,) after `seconds` of an action (7,): what is held moves along."""
        observation = np.array(observation, float)
        share = STEP_S / self._space.step_s
        for _ in range(round(seconds / STEP_S)):
            move, turn = action[POSITION] * share, float(action[ROTATION][2]) * share
            _look_ahead(observation, move, turn, float(action[GRIPPER]))
        return observation

    def _decide(self, observation: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Velocity (3,) [m/s], turning about z [rad/s] and closing, now."""
        hand, block, zone = observation[HAND], observation[BLOCK], observation[ZONE]
        turn = 0.0
        if np.linalg.norm((zone - block)[:2]) < _LET_GO_M:
            closing = 0.0
            target = np.array([*hand[:2], _ABOVE_M if observation[OPENING] > 0.9 else hand[2]])
        elif not _over(hand, block):
            closing = 0.0
            low = hand[2] < _ABOVE_M - 0.02
            target = np.array([*(hand if low else block)[:2], _ABOVE_M])
            turn = observation[BLOCK_YAW] - observation[HAND_YAW]
        elif hand[2] > _LOW_M + 0.01:
            closing = 0.0
            target = np.array([*block[:2], _LOW_M])
            turn = observation[BLOCK_YAW] - observation[HAND_YAW]
        else:
            closing = 1.0
            held = observation[OPENING] < _HELD_OPENING
            target = np.array([*(hand + (zone - block) * held)[:2], _LOW_M])
        fastest = self._space.max_translation_m / self._space.step_s
        velocity = _shortened((target - hand) * _GAIN_PER_S, fastest)
        most = self._space.max_rotation_rad / self._space.step_s
        return velocity, float(np.clip(turn * _GAIN_PER_S, -most, most)), closing


def _over(hand: np.ndarray, block: np.ndarray) -> bool:
    """Whether the hand (3,) is above the block (3,) or around it."""
    within = _AROUND_WITHIN_M if hand[2] < 2 * _LOW_M else _ABOVE_WITHIN_M
    return bool(np.linalg.norm((block - hand)[:2]) < within)


def _look_ahead(observation: np.ndarray, move: np.ndarray, turn: float, closing: float) -> None:
    hand, block = observation[HAND], observation[BLOCK]
    around = _over(hand, block) and hand[2] < 2 * _LOW_M
    held = around and closing > 0.5 and observation[OPENING] < _HELD_OPENING
    if held:
        block[:2] += move[:2]
        observation[BLOCK_YAW] += turn
    hand += np.clip(hand + move, WORKSPACE_LOW, WORKSPACE_HIGH) - hand
    observation[HAND_YAW] += turn
    change = _GRIPPER_SPEED * STEP_S
    least = _BLOCK_OPENING if around else 0.0
    opening = observation[OPENING] + np.clip(1 - closing - observation[OPENING], -change, change)
    observation[OPENING] = max(opening, min(least, observation[OPENING]))


def _shortened(vector: np.ndarray, longest: float) -> np.ndarray:
    return vector * min(1.0, longest / max(float(np.linalg.norm(vector)), 1e-9))
