"""Ways of acting in a simulated task: Meta-World's scripted expert, and others less good.

A world model needs data from several behaviours: an expert alone never shows what a wrong action
does. All of them return actions of the same space as a real policy's.
"""

from __future__ import annotations

import warnings

import metaworld.policies as scripted
import numpy as np

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION, ActionSpace
from whale_ros.sim.arm import STEP_S, WORKSPACE_HIGH, WORKSPACE_LOW
from whale_ros.sim.bench.policy import SlideBlockPolicy
from whale_ros.sim.bench.slide_block import TASK as SLIDE_BLOCK

BEHAVIORS = ("expert", "noisy", "random", "slow", "hesitating")
HELD_OUT_BEHAVIORS = ("swaying", "backtracking")  # no model is trained on them
DEMONSTRATING = "demonstrating"  # as a person with a joystick would
MISTAKEN = "mistaken"  # the same, but takes the object or its goal to be elsewhere

_POLICIES = {
    "reach-v3": scripted.SawyerReachV3Policy,
    "push-v3": scripted.SawyerPushV3Policy,
    "drawer-open-v3": scripted.SawyerDrawerOpenV3Policy,
    "button-press-topdown-v3": scripted.SawyerButtonPressTopdownV3Policy,
    "window-open-v3": scripted.SawyerWindowOpenV3Policy,
}
_METAWORLD_STEP_M = 0.01  # what Meta-World moves the hand in a step for an action of 1
_HANDLE = "drawer-open-v3"  # a handle is hooked, not gripped, and slides along y
# Of the hand: what is held moves along with it.
_HELD_WITHIN_M = {"push-v3": (0.06, 0.06, 0.05), _HANDLE: (0.06, 0.04, 0.055)}
_HELD_AT_CLOSING = {"push-v3": 0.7, _HANDLE: 0.0}
_GRIPPER_SPEED = 2.0  # opening per second, of 0 .. 1


def policy_for(task: str, space: ActionSpace, pull_m_s: float = np.inf) -> Policy:
    """The scripted policy for a task of any robot. pull_m_s: see ScriptedPolicy.

    Raises ValueError for a task without one.
    """
    return SlideBlockPolicy(space) if task == SLIDE_BLOCK else ScriptedPolicy(task, space, pull_m_s)


class ScriptedPolicy:
    """Meta-World's scripted policy for a task, as open-loop action sequences."""

    workspace = WORKSPACE_LOW, WORKSPACE_HIGH
    observed = 39  # numbers

    def __init__(self, task: str, space: ActionSpace, pull_m_s: float = np.inf) -> None:
        """pull_m_s: at most so fast a handle is pulled; whoever plans far ahead learns late that
        the hook has missed it, and swings through empty space meanwhile.

        Raises ValueError for a task without a scripted policy.
        """
        if task not in _POLICIES:
            raise ValueError(f"no scripted policy for {task!r}; known: {', '.join(_POLICIES)}")
        self._policy = _POLICIES[task]()
        self._space = space
        self._held_within_m = _HELD_WITHIN_M.get(task, (0.0, 0.0, 0.0))
        self._held_at_closing = _HELD_AT_CLOSING.get(task, np.inf)
        self._slides = np.array([0.0, 1.0]) if task == _HANDLE else np.ones(2)
        self._longest_pull_m = pull_m_s * STEP_S if task == _HANDLE else np.inf

    def plan(self, observation: np.ndarray, horizon: int) -> np.ndarray:
        """The next `horizon` actions (horizon, 7), from Meta-World's observation (39,).

        The policy is closed-loop, so it is run on a kinematic look-ahead: the hand goes where
        it is sent, and what it holds moves along on the table.
        """
        observation = np.array(observation, float)
        substeps = round(self._space.step_s / STEP_S)
        max_step_m = self._space.max_translation_m / substeps
        actions = np.zeros((horizon, DIM))
        with warnings.catch_warnings():  # "constant may be too high", at every import
            warnings.simplefilter("ignore")
            for action in actions:
                for substep in range(substeps):
                    move, closing = self._step(observation, max_step_m)
                    action[POSITION] += move
                    if substep == 0:  # rather late than early: not closed above the object
                        action[GRIPPER] = closing
        return actions

    def foresee(self, observation: np.ndarray, action: np.ndarray, seconds: float) -> np.ndarray:
        """The observation (39,) after `seconds` of an action (7,), by the same look-ahead."""
        observation = np.array(observation, float)
        move = action[POSITION] * STEP_S / self._space.step_s
        for _ in range(round(seconds / STEP_S)):
            closing = float(action[GRIPPER])
            self._look_ahead(observation, move, closing, self._holds(observation, closing))
        return observation

    def _step(self, observation: np.ndarray, max_step_m: float) -> tuple[np.ndarray, float]:
        """How the hand moves (3,) [m] and closes, 0 open .. 1 closed; `observation` follows."""
        step = self._policy.get_action(observation)
        move = _clip(step[:3], -1.0, 1.0) * _METAWORLD_STEP_M
        closing = min(max(float((step[3] + 1) / 2), 0.0), 1.0)
        holds = self._holds(observation, closing)
        longest_m = min(max_step_m, self._longest_pull_m) if holds else max_step_m
        move *= min(1.0, longest_m / max(float(np.sqrt(move @ move)), 1e-9))
        hand = observation[:3]
        move = _clip(hand + move, WORKSPACE_LOW, WORKSPACE_HIGH) - hand
        self._look_ahead(observation, move, closing, holds)
        return move, closing

    def _look_ahead(
        self, observation: np.ndarray, move: np.ndarray, closing: float, holds: bool
    ) -> None:
        hand, opening, thing = observation[0:3], float(observation[3]), observation[4:7]
        if holds:
            thing[:2] += move[:2] * self._slides
        hand += _clip(hand + move, WORKSPACE_LOW, WORKSPACE_HIGH) - hand
        change = _GRIPPER_SPEED * STEP_S
        observation[3] = opening + min(max((1 - closing) - opening, -change), change)
        observation[18:36] = observation[:18]

    def _holds(self, observation: np.ndarray, closing: float) -> bool:
        if closing < self._held_at_closing:
            return False
        away = (observation[0:3] - observation[4:7]).tolist()
        return all(abs(a) < b for a, b in zip(away, self._held_within_m, strict=True))


def _clip(values: np.ndarray, low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
    """As np.clip, which takes several times as long for three numbers."""
    return np.minimum(np.maximum(values, low), high)


Policy = ScriptedPolicy | SlideBlockPolicy  # they have the same interface


class Behavior:
    """One way of acting through one episode."""

    def __init__(self, name: str, task: str, space: ActionSpace, seed: int) -> None:
        """Raises ValueError for an unknown behaviour or task."""
        known = (*BEHAVIORS, *HELD_OUT_BEHAVIORS, DEMONSTRATING, MISTAKEN)
        if name not in known:
            raise ValueError(f"unknown behaviour {name!r}; known: {', '.join(known)}")
        self._name = name
        self._space = space
        self._policy = policy_for(task, space)
        self._rng = np.random.default_rng([seed, known.index(name)])
        self._noise = np.zeros(6)
        self._scale = self._rng.uniform(0.3, 1.0)
        self._waypoint = self._draw_waypoint()
        self._closing = float(self._rng.random() < 0.5)
        self._pause = 0
        self._sway = self._rng.normal(size=3)
        self._steps = 0
        self._taken: list[np.ndarray] = []

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Choose the next action (7,), always within the limits of the action space."""
        if self._name == MISTAKEN:
            observation = self._mistake(observation)
        if self._name == "random":
            action = self._wander(observation)
        else:
            action = self._policy.plan(observation, 1)[0]
        if self._name == "noisy":
            action = self._disturb(action)
        elif self._name == "slow":
            action[POSITION] *= 0.4
        elif self._name == "hesitating" and self._pausing():
            action[POSITION] = 0.0
        elif self._name == "swaying":
            action[POSITION] += self._swing()
        elif self._name == "backtracking":
            action = self._undo_or(action)
        elif self._name in (DEMONSTRATING, MISTAKEN):
            action = self._demonstrate(action)
        return self._space.clip(action)

    def _disturb(self, action: np.ndarray) -> np.ndarray:
        """Add correlated noise, which leads further astray than white noise does."""
        spread = np.repeat([self._space.max_translation_m, self._space.max_rotation_rad], 3)
        self._noise = 0.7 * self._noise + 0.5 * self._scale * spread * self._rng.normal(size=6)
        action[POSITION] += self._noise[:3]
        action[ROTATION] += self._noise[3:]
        if self._rng.random() < 0.05:
            action[GRIPPER] = 1 - action[GRIPPER]
        return action

    def _swing(self) -> np.ndarray:
        """A part (3,) of the motion that goes to and fro, two seconds a turn, all the way."""
        self._steps += 1
        direction = self._sway / np.linalg.norm(self._sway)
        phase = 2 * np.pi * self._steps * self._space.step_s / 2.0
        return 0.6 * self._space.max_translation_m * np.sin(phase) * direction

    def _undo_or(self, action: np.ndarray) -> np.ndarray:
        """Now and then go back the way of the last few steps, else do `action` (7,)."""
        if self._pause == 0 and len(self._taken) > 3 and self._rng.random() < 0.12:
            self._pause = int(self._rng.integers(1, 5))
        if self._pause and self._taken:
            self._pause -= 1
            back = -self._taken.pop()
            back[GRIPPER] = action[GRIPPER]
            return back
        self._pause = 0
        self._taken.append(action.copy())
        return action

    def _demonstrate(self, action: np.ndarray) -> np.ndarray:
        """At a pace of one's own, not quite straight, at first with a bend; some hesitation."""
        if self._pausing(0.05):
            action[POSITION] = action[ROTATION] = 0.0
            return action
        bend = 0.5 * self._sway / np.linalg.norm(self._sway) * 0.8**self._steps
        self._steps += 1
        self._noise = 0.7 * self._noise + 0.05 * self._rng.normal(size=6)
        action[POSITION] *= 0.5 + 0.5 * self._scale
        action[POSITION] += self._space.max_translation_m * (bend + self._noise[:3])
        return action

    def _mistake(self, observation: np.ndarray) -> np.ndarray:
        """As if object or goal were elsewhere, further than what still succeeds.

        Which of them, how far and where to is in what every behaviour draws at first.
        """
        observation = observation.copy()
        thing = slice(4, 6) if self._closing else slice(-3, -1)
        aside = self._sway[:2] / np.linalg.norm(self._sway[:2])
        observation[thing] += (0.04 + 0.06 * self._scale) * aside
        return observation

    def _wander(self, observation: np.ndarray) -> np.ndarray:
        """Go to random points of the workspace, often near the object, turning on the way."""
        if self._rng.random() < 0.15:
            self._scale = self._rng.uniform(0.1, 1.0)
            self._waypoint = self._draw_waypoint()
            if self._rng.random() < 0.4:
                self._waypoint = observation[4:7] + self._rng.normal(scale=0.03, size=3)
        if self._rng.random() < 0.1:
            self._closing = 1 - self._closing
        action = np.zeros(DIM)
        way = self._waypoint - observation[:3]
        speed = self._scale * self._space.max_translation_m
        action[POSITION] = way * min(1.0, speed / max(float(np.linalg.norm(way)), 1e-9))
        action[GRIPPER] = self._closing
        return self._disturb(action)

    def _draw_waypoint(self) -> np.ndarray:
        return self._rng.uniform(*self._policy.workspace)

    def _pausing(self, share: float = 0.15) -> bool:
        if self._pause == 0 and self._rng.random() < share:
            self._pause = int(self._rng.integers(2, 7))
        self._pause = max(0, self._pause - 1)
        return self._pause > 0
