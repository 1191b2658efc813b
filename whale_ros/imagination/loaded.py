"""A checkpoint at work, with what is trusted of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from whale_ros.actions.timeline import CommandTimeline
from whale_ros.imagination.calibration import CALIBRATION
from whale_ros.imagination.live import CarryOver, Judgement, LiveModel
from whale_ros.imagination.trust import Trust
from whale_ros.world_model.checkpoint import SHIPPED, Card, load_checkpoint
from whale_ros.world_model.device import find_device
from whale_ros.world_model.value import load_value


@dataclass
class Loaded:
    """Replaced as a whole, so whoever works with one takes it once."""

    live: LiveModel
    card: Card
    trust: Trust
    carry_over: CarryOver = field(default_factory=CarryOver)
    _judgement: Judgement | None = None

    def judge(self, commands: CommandTimeline) -> bool:
        """The newest picture, if it can be retraced, and whether it could. Raises NotReady."""
        found = self.live.judge(commands)
        self.carry_over(found.stamp_s, found.retraced, found.uncertainty)
        if found.retraced:
            self._judgement = found
        return found.retraced

    def forget(self) -> None:
        """What was judged: after an error no uncertainty of before may stand in for the present."""
        self.carry_over, self._judgement = CarryOver(), None

    def take_judgement(self) -> Judgement | None:
        """The newest, once."""
        taken, self._judgement = self._judgement, None
        return taken


def load(
    checkpoint: str,
    calibration: str,
    task: str,
    adaptive: bool,
    image_size: tuple[int, int],
    device: str,
) -> Loaded:
    """checkpoint: folder, "" for the shipped one. calibration: file, "" for the one in the folder.

    image_size: width and height of the camera's images. device: auto, cpu or cuda. What is loaded
    has imagined once, since the first time takes longest. Without a valid calibration it works,
    so that it can say so; but nothing is trusted. Raises CheckpointError or ValueError.
    """
    place = find_device(device)
    folder = Path(checkpoint or SHIPPED)
    model, card = load_checkpoint(folder)
    trust = Trust(card, Path(calibration or folder / CALIBRATION), task, adaptive, image_size)
    value = load_value(folder, card)
    live = LiveModel(model.to(place), None if value is None else value.to(place))
    live.warm_up()
    return Loaded(live, card, trust)
