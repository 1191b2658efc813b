"""What the uncertainty is worth to a policy: on, off and shuffled, over several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from whale_ros.evaluation.bootstrap import interval
from whale_ros.policy_optimization.correction import Correction
from whale_ros.policy_optimization.evaluate import Policy, run_policy
from whale_ros.policy_optimization.networks import check_reward, train_clone, train_reward
from whale_ros.policy_optimization.offline import ACTION, OfflineData
from whale_ros.policy_optimization.optimize import Settings, improve, mixed_buffer
from whale_ros.policy_optimization.transitions import (
    UNCERTAINTIES,
    Penalty,
    imagine_transitions,
    recorded_transitions,
    rewards,
)
from whale_ros.sim.arm import SimArm
from whale_ros.world_model.whale_st import WhaleST

CLONED = "cloned"  # the policy that the others begin as
MEASURES = ("return", "success")
COMPARED = (("on", "off"), ("on", "shuffled"), ("off", CLONED))


def study(
    model: WhaleST,
    data: OfflineData,
    held_out: OfflineData,
    task: str,
    uncertainties: Sequence[str],
    seeds: Sequence[int],
    episodes: int,
    settings: Settings,
    folder: Path,
) -> None:
    """Write what came of each policy to `folder`/NAME_SEED.json; skips what is there."""
    arm: SimArm | None = None
    for seed in seeds:
        names = [n for n in (CLONED, *uncertainties) if not _file(folder, n, seed).exists()]
        if not names:
            continue
        arm = arm or SimArm(task, 0)
        reward = train_reward(data, seed)
        correction = Correction(train_clone(data, seed))
        imagined = imagine_transitions(
            model, reward, correction, data, settings.rounds, settings.rollouts,
            settings.rollout_steps, seed,
        )  # fmt: skip
        recorded = recorded_transitions(data, correction)
        penalty = Penalty.of(imagined, settings.penalty_spread)
        for name in names:
            policy = _uncorrected(correction)
            if name != CLONED:
                rewarded = rewards(imagined, name, penalty, seed)
                buffer = mixed_buffer(imagined, rewarded, recorded, settings.real_share)
                policy = improve(correction, buffer, seed, settings)
            result = {
                **run_policy(arm, model, policy, task, episodes, data.steps),
                "reward": check_reward(reward, held_out),
                "penalty": asdict(penalty),
                "imagined": len(imagined.gains),
                "recorded": len(recorded.gains),
            }
            _write(_file(folder, name, seed), result)
    if arm:
        arm.close()


def differences(folder: Path) -> dict[str, dict[str, Any]]:
    """Return of one policy minus that of another, over the same scenes and the seeds of both.

    Empty where a folder does not hold both.
    """
    table = {}
    for first, second in COMPARED:
        one, other = (_results(folder, name) for name in (first, second))
        if seeds := sorted(one.keys() & other.keys()):
            returns = [[results[seed]["return"] for seed in seeds] for results in (one, other)]
            minus = torch.tensor(returns[0]) - torch.tensor(returns[1])
            table[f"{first} minus {second}"] = _statistics(minus)
    return table


def summarise(folder: Path, data: OfflineData) -> dict[str, dict[str, Any]]:
    """Of each kind of policy in `folder`, and of the recorded episodes ("recorded").

    For return and success: mean of each seed, their mean and standard deviation, and the 95 %
    interval of the mean, over scenes. Raises ValueError if there are no results.
    """
    table: dict[str, dict[str, Any]] = {"recorded": _recorded(data)}
    for name in (CLONED, *UNCERTAINTIES):
        results = _results(folder, name)
        if not results:
            continue
        table[name] = {"seeds": sorted(results)}
        for measure in MEASURES:
            values = torch.tensor([results[seed][measure] for seed in sorted(results)])
            table[name][measure] = _statistics(values)
    if len(table) == 1:
        raise ValueError(f"{folder} holds no results of `whale optimize`")
    return table


def _recorded(data: OfflineData) -> dict[str, Any]:
    """The same measures of the episodes that the policies learnt from."""
    values = {"return": data.progress[:, 1:].mean(1), "success": data.success.any(1).float()}
    return {measure: _statistics(value.unsqueeze(0)) for measure, value in values.items()}


def study_table(report: dict[str, Any]) -> str:
    """The report as text for people."""
    lines = [
        f"{report['task']}: {report['recorded_episodes']} episodes recorded of "
        f"{', '.join(report['behaviors'])}; {report['episodes']} scenes in the simulator; "
        f"penalties spread {report['settings']['penalty_spread']:g} times as widely as gains",
        f"{'policy':10}{'seeds':>6}  return +- sd of seeds, 95 % interval"
        "      success +- sd of seeds, 95 % interval",
    ]
    for name, numbers in report["policies"].items():
        cells = []
        for measure in MEASURES:
            of = numbers[measure]
            sd = "      " if of["sd_of_seeds"] is None else f"{of['sd_of_seeds']:.3f}"
            low, high = of["interval"]
            cells.append(f"{of['mean']:.3f} +- {sd:6} ({low:.3f} .. {high:.3f})")
        lines.append(f"{name:10}{len(numbers.get('seeds', ())):>6}  {cells[0]}      {cells[1]}")
    lines += [
        f"return, {name}: {of['mean']:.3f} ({of['interval'][0]:.3f} .. {of['interval'][1]:.3f})"
        for name, of in report["differences"].items()
    ]
    return "\n".join(lines)


def _statistics(values: torch.Tensor) -> dict[str, Any]:
    """Of values (seeds, episodes); the seeds share their scenes, so scenes are resampled."""
    scenes = values.mean(0)
    mean, low, high = interval(lambda times: (times * scenes).sum(-1) / times.sum(-1), len(scenes))
    of_seeds = values.mean(1)
    return {
        "of_seeds": of_seeds.tolist(),
        "mean": mean,
        "sd_of_seeds": float(of_seeds.std()) if len(of_seeds) > 1 else None,
        "interval": [low, high],
        "episodes": values.numel(),
    }


def _uncorrected(correction: Correction) -> Policy:
    nothing = np.zeros(ACTION, np.float32)
    return lambda observation: correction.apply(observation, nothing)


def _results(folder: Path, name: str) -> dict[int, dict]:
    """By seed."""
    files = sorted(folder.glob(f"{name}_*.json"))
    return {int(file.stem.rpartition("_")[2]): json.loads(file.read_text()) for file in files}


def _file(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{name}_{seed}.json"


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    partial.replace(path)
