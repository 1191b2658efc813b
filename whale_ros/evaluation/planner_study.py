"""What planning is worth: a policy alone and with the planner, in the same simulated scenes.

Time is simulated: candidates, imagination, choice and chunks are those of the running planner, with
its latency, but nothing is ever late. The gate's checks of the present are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from tqdm import tqdm

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION
from whale_ros.actions.timeline import CommandTimeline
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.imagination.loaded import Loaded
from whale_ros.planning.commitment import RunningChunk, is_due, settle, stand_still
from whale_ros.planning.objectives import Weights
from whale_ros.planning.proposals import deviation, propose
from whale_ros.planning.screening import choose, judged_part, why_leaves
from whale_ros.planning.search import Search
from whale_ros.sim.arm import WORKSPACE_HIGH, WORKSPACE_LOW, SimArm
from whale_ros.sim.behaviors import Behavior, ScriptedPolicy
from whale_ros.sim.collect import execute
from whale_ros.sim.goal import photograph_goal

ALONE = "alone"
# The planner with the policy's candidates, which go by the goal image, or by the learned value; and
# searches by the goal image, without a policy.
METHODS = (ALONE, "policy", "value", "cem", "mppi")
BY_VALUE = Weights(image=0.0, value=0.03)
FIRST_SEED = 950_000  # of scenes that no dataset has
CANDIDATES, SETTLED, CHUNK_STEPS, POLICY_WEIGHT = 8, 4, 4, 3.0  # as in config/planner.yaml
STEPS = 60  # of an episode
WARM_UP = HISTORY  # images before anything is planned
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcome:
    method: str
    task: str
    seed: int
    success: bool
    progress: float  # at the end
    plans: int
    held: int  # plans in which no candidate passed


def play(
    arm: SimArm, loaded: Loaded, method: str, behavior: str, task: str, seed: int
) -> Outcome | None:
    """One episode; None if not even the expert can do it, so that there is no goal picture."""
    space = loaded.card.action_space
    goal = photograph_goal(arm, task, seed, space)
    if goal is None:
        return None
    arm.reset(task, seed)
    policy = None if method in ("cem", "mppi") else Behavior(behavior, task, space, seed)
    planner = None if method == ALONE else _Planner(loaded, method, policy, task, goal, seed)
    success = False
    for step in range(WARM_UP + STEPS):
        if planner is not None:
            action = planner.act(arm, step)
        elif policy is not None and step >= WARM_UP:
            action = policy.act(arm.observation)
        else:
            action = stand_still(1, 0.0)[0]
        execute(arm, action, space)
        success |= arm.success
        if success:
            break
    plans, held = (planner.plans, planner.held) if planner else (0, 0)
    return Outcome(method, task, seed, success, float(arm.progress), plans, held)


def study(
    loaded: Loaded, methods: Sequence[str], behavior: str, tasks: Sequence[str], episodes: int
) -> list[Outcome]:
    """The same scenes with each method.

    Raises ValueError for the method `value` if the checkpoint has none.
    """
    if "value" in methods and loaded.live.value is None:
        raise ValueError("the checkpoint has no learned value; make one with `whale train-value`")
    arm = SimArm()
    scenes = [(task, FIRST_SEED + i) for i in range(episodes) for task in tasks]
    outcomes = []
    for task, seed in tqdm(scenes, "planner study", unit="scene"):
        for method in methods:
            outcome = play(arm, loaded, method, behavior, task, seed)
            if outcome is not None:
                outcomes.append(outcome)
    arm.close()
    return outcomes


def summarise(outcomes: Sequence[Outcome]) -> list[dict]:
    """Success of each method in each task and in all, with exact 95 % intervals."""
    rows = []
    for method in dict.fromkeys(o.method for o in outcomes):
        for task in (*dict.fromkeys(o.task for o in outcomes), "all"):
            own = [o for o in outcomes if o.method == method and task in (o.task, "all")]
            done = sum(o.success for o in own)
            interval = binomtest(done, len(own)).proportion_ci(CONFIDENCE, method="exact")
            rows.append(
                {
                    "method": method,
                    "task": task,
                    "episodes": len(own),
                    "success": done / len(own),
                    "interval": [float(interval.low), float(interval.high)],
                    "progress": float(np.mean([o.progress for o in own])),
                    "plans": sum(o.plans for o in own),
                    "held": sum(o.held for o in own),
                }
            )
    return rows


def table(rows: Sequence[dict]) -> str:
    lines = [f"{'method':8}{'task':18}{'n':>4}  {'success (95 %)':22}{'progress':>9}{'held':>12}"]
    for row in rows:
        low, high = row["interval"]
        success = f"{100 * row['success']:.0f} % ({100 * low:.0f} .. {100 * high:.0f})"
        held = f"{row['held']} of {row['plans']}" if row["plans"] else "-"
        lines.append(
            f"{row['method']:8}{row['task']:18}{row['episodes']:>4}  {success:22}"
            f"{row['progress']:>9.2f}{held:>12}"
        )
    return "\n".join(lines)


class _Planner:
    """As the node, step by step of the action space."""

    def __init__(
        self,
        loaded: Loaded,
        method: str,
        policy: Behavior | None,
        task: str,
        goal: np.ndarray,
        seed: int,
    ) -> None:
        self.plans = self.held = 0
        self._loaded, self._policy = loaded, policy
        self._space = loaded.card.action_space
        self._foresight = ScriptedPolicy(task, self._space)
        self._weights = BY_VALUE if method == "value" else Weights()
        searches = method in ("cem", "mppi")
        self._search = Search(method, self._space) if searches else None
        self._rng = np.random.default_rng(seed)
        self._commands = CommandTimeline()
        self._running: RunningChunk | None = None
        self._moved_s = -np.inf
        self._gripper = 0.0
        loaded.live.forget()
        loaded.live.set_goal(goal)

    def act(self, arm: SimArm, step: int) -> np.ndarray:
        """What the arm does in this step (7,)."""
        step_s = self._space.step_s
        now = step * step_s
        self._loaded.live.observe([now], [arm.render()])
        if self._running is not None and now >= self._running.end_s - 1e-6:
            self._running = None
        if step >= WARM_UP and is_due(self._running, now, SETTLED):
            self._plan(arm, now)
        action = stand_still(1, self._gripper)[0]
        if self._running is not None:
            action = self._running.from_next_step(now)[1][0]
            self._moved_s = now
        self._gripper = float(action[GRIPPER])
        twist = np.concatenate([action[POSITION], action[ROTATION]]) / step_s
        self._commands.add(now, twist, self._gripper)
        return action

    def _plan(self, arm: SimArm, now: float) -> None:
        live, trust = self._loaded.live, self._loaded.trust
        step_s = self._space.step_s
        settled = settle(
            self._running, now, SETTLED, step_s, self._gripper, self._moved_s, SETTLED * step_s
        )
        tails = self._policy_tails(arm, settled.actions)
        if self._search is None:
            proposed = propose(
                settled.actions, tails, CANDIDATES, MAX_HORIZON, self._space, self._rng
            )
        else:
            begin_s = settled.start_s + len(settled.actions) * step_s
            self._search.begin(begin_s, MAX_HORIZON - len(settled.actions), self._gripper)
            proposed = self._search.propose(settled.actions, tails, CANDIDATES, self._rng)
        names, candidates = list(proposed), np.stack(list(proposed.values()))
        imagined = live.predict(settled.start_s, candidates, self._commands)
        assert imagined.goal_distance is not None
        uncertainty = imagined.retracing.uncertainty.numpy()
        apart = np.zeros(len(names))
        if "policy" in proposed:
            new = MAX_HORIZON - len(settled.actions)
            apart = deviation(candidates, proposed["policy"], new, self._space)
        choice = choose(
            names,
            uncertainty,
            trust.threshold("candidate_uncertainty"),
            [
                judged_part(actions, used)
                for actions, used in zip(
                    candidates, imagined.retracing.took_part.any(dim=2).numpy(), strict=True
                )
            ],
            self._weights.cost(
                imagined.goal_distance[:, -1].numpy(),
                None,
                None,
                uncertainty,
                None if imagined.steps_to_goal is None else imagined.steps_to_goal[:, -1].numpy(),
            ),
            apart,
            POLICY_WEIGHT,
            [
                why_leaves(actions, 0.0, arm.hand_position, WORKSPACE_LOW, WORKSPACE_HIGH)
                for actions in candidates
            ],
        )
        self.plans += 1
        if self._search is not None:
            self._search.learn(candidates, choice.passing_scores)
        if choice.index is None:
            self.held += 1
            return
        length = len(settled.actions) + CHUNK_STEPS
        self._running = RunningChunk(settled.start_s, candidates[choice.index, :length], step_s)

    def _policy_tails(self, arm: SimArm, settled: np.ndarray) -> list[np.ndarray]:
        """What the policy would do after the settled actions, by its look-ahead."""
        if self._policy is None:
            return []
        observation = arm.observation
        for action in settled:
            observation = self._foresight.foresee(observation, action, self._space.step_s)
        tail = np.zeros((MAX_HORIZON - len(settled), DIM))
        for action in tail:
            action[:] = self._policy.act(observation)
            observation = self._foresight.foresee(observation, action, self._space.step_s)
        return [tail]


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """The success of each method as bars with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # after the choice of the backend

    rows = summarise(outcomes)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
    for i, method in enumerate(methods):
        own = [row for row in rows if row["method"] == method]
        share = np.array([row["success"] for row in own])
        low, high = np.array([row["interval"] for row in own]).T
        at = np.arange(len(tasks)) + 0.8 * (i - (len(methods) - 1) / 2) / len(methods)
        axes.bar(at, share, 0.8 / len(methods), label=method)
        axes.errorbar(at, share, [share - low, high - share], fmt="none", color="black", lw=1)
    axes.set_xticks(range(len(tasks)), tasks)
    axes.set_ylabel("success, 95 % interval")
    axes.legend(title="method", ncols=len(methods))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
