"""Whether the numbers of a running model have thresholds: only by a calibration for just this."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from whale_ros.imagination.calibration import (
    MEASURE,
    Conditions,
    RunningFactor,
    load_calibration,
    why_void,
)
from whale_ros.imagination.retracing import K
from whale_ros.world_model.checkpoint import Card


class Trust:
    """Of one checkpoint and its calibration. A camera that changes while it is used voids it."""

    def __init__(
        self,
        card: Card,
        calibration: Path,
        task: str,
        adaptive: bool,
        image_size: tuple[int, int],
    ) -> None:
        """image_size: width and height of the camera's images.

        Without a valid calibration nothing is trusted, and `void` says why.
        """
        self._card = card
        self._image_size = image_size
        self._camera: str | None = None  # frame_id of the newest image
        self._mismatch = ""  # why the calibration does not count for the newest image
        self._used = False
        self.void = ""  # why it does not count whatever comes
        self.factor: RunningFactor | None = None
        try:
            self.factor = RunningFactor(load_calibration(calibration), task, adaptive)
        except ValueError as error:  # also where its alpha cannot be adapted
            self.void = str(error)

    def see_image(self, camera: str, width: int, height: int) -> None:
        """camera: frame_id. Width and height in pixels."""
        self._camera = camera
        mismatch = ""
        if (width, height) != self._image_size:
            mismatch = (
                f"image is {width} x {height} pixels, image_width and image_height say "
                f"{self._image_size[0]} x {self._image_size[1]}"
            )
        elif self.factor is not None:
            mismatch = why_void(self.factor.calibration, self._conditions(self.factor))
        self._mismatch = mismatch
        if mismatch and self._used and not self.void:
            self.void = (
                f"calibration void: the camera changed while it ran ({mismatch}); start the world "
                "model again, or load its checkpoint again, with the camera as it was calibrated"
            )

    def use(self) -> None:
        """Thresholds are told from now on."""
        self._used = True

    def why_not(self, **asked: int) -> str:
        """Why there is no threshold; empty if there is one.

        asked: number of `candidates` and their `horizon`, where it is about a request.
        """
        if self.void or self._mismatch or self.factor is None:
            return self.void or self._mismatch
        return why_void(self.factor.calibration, self._conditions(self.factor, **asked))

    def threshold(self, number: str, **asked: int) -> float:
        """Of a number, by the name of its scale; NaN if there is none."""
        if self.factor is None or self.why_not(**asked):
            return math.nan
        return getattr(self.factor.calibration.scales, number) * self.factor.value

    def _conditions(self, factor: RunningFactor, **asked: int) -> Conditions:
        """What is running now. What is not known yet, or not asked, is as it was calibrated."""
        calibrated = factor.calibration.conditions
        return replace(
            calibrated,
            checkpoint=self._card.sha256,
            camera=calibrated.camera if self._camera is None else self._camera,
            image_width=self._image_size[0],
            image_height=self._image_size[1],
            resolution=self._card.config.tokenizer.resolution,
            k=K,
            action_space=self._card.action_space.signature,
            measure=MEASURE,
            **asked,
        )
