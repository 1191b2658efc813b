"""Which episodes teach, calibrate and test: no two of these share one, nor do two seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from whale_ros.data.conversion_log import HELD_OUT
from whale_ros.sim.behaviors import DEMONSTRATING, MISTAKEN
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.finetune import REPLAYED, Demonstrations

# Demonstrations that calibrate: an alpha of 0.1 takes nine, and some cannot be judged, because the
# gripper switches too often.
CALIBRATING = 20


@dataclass
class Material:
    """Of the new robot and the old one."""

    recorded: EpisodeSet  # of the new robot: what teaches and calibrates, and the probes' pictures
    test: EpisodeSet  # demonstrations of the new robot that succeed, and mistaken ones
    replay: EpisodeSet  # of the old robot
    old_test: EpisodeSet
    seeds: int
    most: int  # demonstrations of a seed

    @classmethod
    def read(cls, new: Path, old: Path, seeds: int, most: int) -> Material:
        """Folders of `whale collect`, with splits train and validation.

        Raises ValueError if there are too few demonstrations in the former.
        """
        recorded, test = (EpisodeSet(new, split) for split in ("train", "validation"))
        needed = seeds * most + CALIBRATING
        if (there := len(_of(recorded, DEMONSTRATING))) < needed:
            raise ValueError(
                f"{new} has {there} {DEMONSTRATING} episodes of split train, {needed} are needed: "
                f"{most} for each of {seeds} seeds and {CALIBRATING} to calibrate; collect more "
                "with `whale collect --robot bench`"
            )
        return cls(
            recorded,
            test.select(_of(test, DEMONSTRATING, MISTAKEN)),
            EpisodeSet(old, "train", REPLAYED),
            EpisodeSet(old, "validation"),
            seeds,
            most,
        )

    def demonstrations(self, seed: int, count: int, replayed: bool) -> Demonstrations:
        """The first so many of a seed. As `whale convert` has it, one of five is held out."""
        first = _of(self.recorded, DEMONSTRATING)[seed * self.most :][:count]
        held_out = [row for number, row in enumerate(first) if number % HELD_OUT == 1]
        return Demonstrations(
            self.recorded.select([row for row in first if row not in held_out]),
            self.recorded.select(held_out),
            self.replay if replayed else None,
        )

    @property
    def calibrating(self) -> EpisodeSet:
        """Demonstrations that no seed learns from."""
        return self.recorded.select(_of(self.recorded, DEMONSTRATING)[self.seeds * self.most :])

    @property
    def nominal(self) -> EpisodeSet:
        """Of the test episodes, those without a mistake."""
        return self.test.select(_of(self.test, DEMONSTRATING))


def _of(data: EpisodeSet, *behaviors: str) -> list[int]:
    return [row for row, info in enumerate(data.infos) if info.behavior in behaviors]
