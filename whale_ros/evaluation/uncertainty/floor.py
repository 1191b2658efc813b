"""The physical floor of retracing: how far the two ways end apart in the simulator itself.

Actions a_{t-k} .. a_t and their equal steps are equivalent for the hand, more or less, but a real
arm lags, and what it touches does not care for equivalence. No world model can disagree less than
reality does without being wrong.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.actions.composition import compose, holds_gripper_switch, split
from whale_ros.actions.space import ActionSpace
from whale_ros.data.frames import fit
from whale_ros.evaluation.rounding import rounded
from whale_ros.imagination.retracing import K, feature_distance
from whale_ros.sim.arm import TASKS, SimArm
from whale_ros.sim.behaviors import BEHAVIORS, Behavior
from whale_ros.sim.collect import execute
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

FIRST_SEED = 950_000  # of no split
STARTS = (2, 10, 18)  # action at which a window begins


def measure_floor(model: WhaleST, episodes: int) -> dict:
    """For each k: distance of the two ends in features, and of hand and object in cm.

    episodes: of each task and behaviour. Windows that hold a gripper switch are left out.
    """
    ends: dict[int, list[np.ndarray]] = defaultdict(list)
    pictures: dict[int, list[Tensor]] = defaultdict(list)
    arm = SimArm()
    kinds = [(task, behavior) for task in TASKS for behavior in BEHAVIORS]
    for number in tqdm(range(episodes * len(kinds)), "physical floor", unit="episode"):
        task, behavior = kinds[number % len(kinds)]
        arm.reset(task, FIRST_SEED + number)
        acting = Behavior(behavior, task, model.action_space, arm.seed)
        done = 0
        for start in STARTS:
            for _ in range(start - done):
                execute(arm, acting.act(arm.observation), model.action_space)
            done = start
            for k, (difference, pair) in _retrace(arm, acting, model.action_space).items():
                ends[k].append(difference)
                pictures[k].append(pair)
            done += max(K) + 1
    arm.close()
    return {str(k): _summary(model, np.stack(ends[k]), torch.stack(pictures[k])) for k in K}


def above_floor(disagreements: dict[str, dict], floor: dict[str, dict]) -> dict[str, dict]:
    """For each k: a world model's mean disagreements in features, and by how much they exceed it.

    disagreements: for each k, of frames by name; floor: of `measure_floor`.
    """
    return {
        k: {
            **{name: rounded(value, 4) for name, value in frames.items()},
            **{
                f"{name}, above": rounded(value - floor[k]["features_mean"], 4)
                for name, value in frames.items()
            },
        }
        for k, frames in disagreements.items()
    }


def _retrace(arm: SimArm, acting: Behavior, space: ActionSpace) -> dict:
    """For each k: how far hand and object (2,) end apart [cm], and both pictures (2, S, S, 3).

    Leaves the arm max(K) + 1 actions later.
    """
    begin, actions, after = arm.snapshot(), [], {}
    for step in range(max(K) + 1):
        actions.append(acting.act(arm.observation))
        execute(arm, actions[-1], space)
        after[step] = (arm.hand_position, arm.object_position, arm.render())
    end = arm.snapshot()
    result = {}
    for k in K:
        window = np.stack(actions[: k + 1])
        if holds_gripper_switch(window):
            continue
        arm.restore(begin)
        for action in split(compose(window, space.type), k + 1, space.type):
            execute(arm, action, space)
        hand, thing, picture = after[k]
        apart = 100 * np.array(
            [
                np.linalg.norm(arm.hand_position - hand),
                np.linalg.norm(arm.object_position - thing),
            ]
        )
        result[k] = apart, torch.from_numpy(np.stack([picture, arm.render()]))
    arm.restore(end)
    return result


@torch.inference_mode()
def _summary(model: WhaleST, apart: np.ndarray, pictures: Tensor) -> dict:
    """Of windows: (W, 2) distances in cm, and pictures (W, 2, S, S, 3)."""
    resolution = model.config.tokenizer.resolution
    fitted = np.stack([fit(picture.numpy(), resolution) for picture in pictures.flatten(0, 1)])
    frames = to_float(torch.from_numpy(fitted).to(model.device))
    features = torch.cat([model.features(model.encode(part)) for part in frames.split(64)])
    distance = feature_distance(*features.unflatten(0, (-1, 2)).unbind(1)).cpu()
    return {
        "windows": len(apart),
        "features_mean": rounded(float(distance.mean()), 4),
        "features_95th_percentile": rounded(float(distance.quantile(0.95)), 4),
        "hand_cm_mean": rounded(float(apart[:, 0].mean()), 2),
        "object_cm_mean": rounded(float(apart[:, 1].mean()), 2),
        "object_over_1_cm": rounded(float((apart[:, 1] > 1).mean()), 4),
    }
