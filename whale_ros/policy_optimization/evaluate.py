"""How good a policy is where it counts: in the simulator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from whale_ros.data.frames import fit
from whale_ros.policy_optimization.offline import observe, physical
from whale_ros.sim.arm import SimArm
from whale_ros.sim.collect import execute
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

FIRST_SEED = 900_000  # of scenes that no dataset has

Policy = Callable[[np.ndarray], np.ndarray]  # observation (D,) to action (7,), -1 .. 1


def run_policy(
    arm: SimArm,
    model: WhaleST,
    policy: Policy,
    task: str,
    episodes: int,
    steps: int,
    first_seed: int = FIRST_SEED,
) -> dict[str, list[float]]:
    """For each episode its return, which is the mean progress, and whether it succeeded (0, 1)."""
    resolution = model.config.tokenizer.resolution
    returns, successes = [], []
    for seed in trange(first_seed, first_seed + episodes, desc="in the simulator"):
        arm.reset(task, seed)
        progress, succeeded = [], False
        seen: list[Tensor] = []
        for _ in range(steps):
            seen.append(_features(model, fit(arm.render(), resolution)))
            observation = observe(torch.stack(seen[-2:]))[-1].numpy()
            execute(arm, physical(policy(observation), model.action_space), model.action_space)
            progress.append(arm.progress)
            succeeded |= arm.success
        returns.append(float(np.mean(progress)))
        successes.append(float(succeeded))
    return {"return": returns, "success": successes}


@torch.inference_mode()
def _features(model: WhaleST, image: np.ndarray) -> Tensor:
    """(N, C) of an image (R, R, 3) uint8."""
    frame = to_float(torch.from_numpy(image)).to(model.device)
    return model.features(model.encode(frame.unsqueeze(0)))[0].cpu()
