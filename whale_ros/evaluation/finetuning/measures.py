"""The columns of the table, for whatever foretells: a model, or something easier."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whale_ros.evaluation.calibration import BAD_FEATURE_DISTANCE, score_episodes
from whale_ros.evaluation.finetuning.outcome import OutcomeProbe, sequences, train_outcome_probe
from whale_ros.evaluation.position_probe import PositionProbe, train_position_probe
from whale_ros.evaluation.prediction import is_moving, psnr
from whale_ros.evaluation.rounding import rounded
from whale_ros.evaluation.uncertainty.metrics import auroc
from whale_ros.evaluation.windows import Window, held_out_windows, windows_at
from whale_ros.imagination.conformal import bound
from whale_ros.imagination.live import HISTORY, MAX_HORIZON, imagine_after
from whale_ros.imagination.retracing import feature_distance, judge
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import Scales
from whale_ros.world_model.whale_st import WhaleST

MOVED_M = 0.01  # an object that moves by less is foretold by anybody
CANDIDATES, ALPHA = 8, 0.1  # as `whale calibrate` takes them


@dataclass
class Foretold:
    """Of B windows, the frame MAX_HORIZON steps on. Without a model only the pictures."""

    pictures: Tensor  # (B, 3, R, R)
    uncertainty: Tensor | None = None  # (B,)
    error: Tensor | None = None  # (B,) how far off in the model's own features


Foreteller = Callable[[Window], Foretold]


def by(model: WhaleST) -> Foreteller:
    """As a planner's candidates are imagined and judged."""

    @torch.inference_mode()
    def foretell(window: Window) -> Foretold:
        codes = model.encode(window.past_frames)
        rollout = imagine_after(model, codes, window.past_actions, window.actions)
        real = model.features(model.encode(window.future_frames[:, -1]))
        return Foretold(
            model.decode(rollout.latents[:, -1:], window.last)[:, 0],
            judge(model, rollout).uncertainty,
            feature_distance(rollout.features[:, -1], real),
        )

    return foretell


def copy_last(window: Window) -> Foretold:
    return Foretold(window.last[:, 0])


def reality(window: Window) -> Foretold:
    """What nobody can do better than: the errors that are left are the rulers' own."""
    return Foretold(window.future_frames[:, -1])


@dataclass
class Rulers:
    """What all are measured by alike, for one robot. They have seen real pictures only."""

    base: WhaleST  # whose tokenizer tells how far pictures are apart
    hand: PositionProbe
    thing: PositionProbe
    outcome: OutcomeProbe

    @classmethod
    def made(cls, base: WhaleST, data: EpisodeSet, folder: Path) -> Rulers:
        """Trained on the episodes, or read from the folder if they were before.

        Raises ValueError if nobody knows where the object was, or what success is.
        """
        if data.object_position is None:
            raise ValueError(f"{data.folder} does not tell where the object was")
        path = folder / f"rulers_{data.manifest_sha256[:12]}_{len(data)}.safetensors"
        if path.exists():
            rulers = cls(base, PositionProbe(), PositionProbe(), OutcomeProbe())
            rulers._probes.load_state_dict(load_file(path))
            rulers._probes.requires_grad_(False).eval().to(base.device)
            return rulers
        rulers = cls(
            base,
            train_position_probe(data, data.hand_position, base.device),
            train_position_probe(data, data.object_position, base.device),
            train_outcome_probe(data, base.device),
        )
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file(rulers._probes.state_dict(), partial)
        partial.replace(path)
        return rulers

    @property
    def _probes(self) -> nn.ModuleList:
        return nn.ModuleList([self.hand, self.thing, self.outcome])


@torch.inference_mode()
def measure(foretell: Foreteller, rulers: Rulers, data: EpisodeSet) -> dict[str, float | None]:
    """Of windows of all held-out episodes, MAX_HORIZON steps on, and of `sequences`.

    PSNR is of all moving pixels together; errors of hand and object are medians, the latter of
    windows in which it moves. AUROC is that of bad predictions, as in `whale evaluate uncertainty`.
    """
    sums, columns = torch.zeros(2), defaultdict(list)
    for window in held_out_windows(data, HISTORY, MAX_HORIZON, rulers.base.device):
        foretold, real = foretell(window), window.future_frames[:, -1]
        moves = is_moving(window)[:, -1]
        square = (foretold.pictures - real).square().mean(1)
        sums += torch.stack([(square * moves).sum(), moves.sum()]).cpu()
        features = [rulers.base.features(rulers.base.encode(p)) for p in (foretold.pictures, real)]
        assert window.future_object is not None
        way = window.future_object[:, -1] - window.future_object[:, 0]
        for name, values in (
            ("feature_distance", feature_distance(*features)),
            (
                "hand",
                100 * (rulers.hand(foretold.pictures) - window.future_hand[:, -1]).norm(dim=1),
            ),
            (
                "object",
                100 * (rulers.thing(foretold.pictures) - window.future_object[:, -1]).norm(dim=1),
            ),
            ("moved", way.norm(dim=1) > MOVED_M),
            ("uncertainty", foretold.uncertainty),
            ("error", foretold.error),
        ):
            if values is not None:
                columns[name].append(values.cpu())
    told = {name: torch.cat(values) for name, values in columns.items()}
    return {
        "moving_pixels_psnr_db": rounded(float(psnr(sums[0] / sums[1])), 2),
        "feature_distance": rounded(float(told["feature_distance"].mean()), 4),
        "hand_error_cm": rounded(float(told["hand"].median()), 2),
        "object_error_cm": _median(told["object"][told["moved"]]),
        "consistency": consistency(foretell, rulers.outcome, data, rulers.base.device),
        "uncertainty_auroc": _auroc(told) if "error" in told else None,
        "bad_predictions": _share(told["error"] > BAD_FEATURE_DISTANCE)
        if "error" in told
        else None,
    }


@torch.inference_mode()
def consistency(
    foretell: Foreteller, probe: OutcomeProbe, data: EpisodeSet, device: torch.device
) -> float | None:
    """Share of `sequences` whose foretold outcome is the real one."""
    pairs, outcomes = sequences(data)
    window = windows_at(data, pairs, HISTORY, MAX_HORIZON, device)
    return _share((probe(foretell(window).pictures) > 0).cpu() == outcomes)


def gate(
    model: WhaleST, scales: Scales, calibrating: EpisodeSet, nominal: EpisodeSet
) -> dict[str, float | None]:
    """What a gate does to nominal episodes, with a threshold made by others.

    Of what it sees (images, and what the planner chooses) the share that passes, of the episodes
    those without any alarm, and of bad predictions those that pass too. Nothing passes where what
    calibrates could not be judged.
    """
    factor = bound(score_episodes(model, scales, calibrating, CANDIDATES).score.tolist(), ALPHA)
    if not np.isfinite(factor):
        return {"factor": None, "gate_pass_rate": 0.0, "episodes_without_alarm": 0.0}
    tested = score_episodes(model, scales, nominal, CANDIDATES)
    seen = np.concatenate([tested.candidate, tested.image], axis=1)
    bad = tested.error > BAD_FEATURE_DISTANCE
    return {
        "factor": rounded(factor, 3),
        "gate_pass_rate": _share(torch.from_numpy(seen[seen > -np.inf] <= factor)),
        "episodes_without_alarm": _share(torch.from_numpy(tested.score <= factor)),
        "bad_predictions_passed": _share(torch.from_numpy(tested.executed[bad] <= factor)),
    }


def _auroc(told: dict[str, Tensor]) -> float | None:
    score, bad = told["uncertainty"].numpy(), (told["error"] > BAD_FEATURE_DISTANCE).numpy()
    return rounded(float(auroc(score, bad, np.ones(len(bad)))), 3)


def _median(values: Tensor) -> float | None:
    return rounded(float(values.median()), 2) if len(values) else None


def _share(hits: Tensor) -> float | None:
    return rounded(float(hits.float().mean()), 3) if len(hits) else None
