"""How far an imagined frame is from what really happened."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from whale_ros.evaluation.position_probe import PositionProbe
from whale_ros.evaluation.prediction import is_moving
from whale_ros.evaluation.uncertainty.scores import Imagined
from whale_ros.imagination.retracing import feature_distance
from whale_ros.world_model.whale_st import WhaleST


@dataclass
class Errors:
    """Read from what is imagined; the positions by probes that were trained on real pictures.

    In features and pixels, the truth is what the same camera shows; of positions, the simulator's.
    """

    model: WhaleST
    hand: PositionProbe
    thing: PositionProbe

    @torch.inference_mode()
    def of(self, imagined: Imagined) -> dict[str, Tensor]:
        """Errors (B, H): "features", "pixels", "hand_cm", "object_cm".

        pixels: root mean square over the moving ones, channels in [0, 1]; NaN where none moves.
        Raises ValueError if nobody knows where the object was.
        """
        window, codes = imagined.window, imagined.rollout.latents
        if window.future_object is None:
            raise ValueError("the episodes do not tell where the object was")
        real = self.model.features(self.model.encode(window.future_frames))
        pictures = self.model.decode(codes, window.last)
        moving = is_moving(window)
        square = (pictures - window.future_frames).square().mean(2)
        return {
            "features": feature_distance(imagined.rollout.features, real),
            "pixels": ((square * moving).sum((2, 3)) / moving.sum((2, 3))).sqrt(),
            "hand_cm": _distance_cm(self.hand, pictures, window.future_hand),
            "object_cm": _distance_cm(self.thing, pictures, window.future_object),
        }


def _distance_cm(probe: PositionProbe, pictures: Tensor, truth: Tensor) -> Tensor:
    found = probe(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
    return 100 * (found - truth).norm(dim=-1)
