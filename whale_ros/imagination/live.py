"""A world model at work: keeps what the robot saw, judges the present, imagines candidates.

Times are seconds of the clock that stamps the images. Nothing here knows of ROS.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from whale_ros.actions.space import DIM
from whale_ros.actions.timeline import CommandTimeline
from whale_ros.data.frames import fit
from whale_ros.imagination.retracing import Retracing, feature_distance, judge
from whale_ros.imagination.right_of_way import Polite, Rank, RightOfWay
from whale_ros.imagination.rollout import Rollout, imagine
from whale_ros.world_model.frames import to_bytes, to_float
from whale_ros.world_model.value import Value
from whale_ros.world_model.whale_st import WhaleST

HISTORY = 6  # observed frames to imagine from
MAX_HORIZON = 8
CARRY_OVER_S = 1.0  # some policies switch the gripper several times a second
MAX_OFF_GRID = 0.55  # of a step: one image may be lost when two come in a step


class NotReady(Exception):
    """The model has not seen enough to imagine anything; the message says what is missing."""


@dataclass
class Judgement:
    """How well the model knows what the camera showed at a time."""

    stamp_s: float
    retraced: bool  # false where a gripper switch forbids it; then the next two are NaN
    uncertainty: float
    disagreement: float
    entropy: float
    took_part: np.ndarray  # (len(K),) bool, which k retraced it


@dataclass
class Imagined:
    """K candidates of H frames."""

    rollout: Rollout
    retracing: Retracing  # that their uncertainties are taken from
    steps: Retracing  # the same, or of every step if that was asked for
    goal_distance: Tensor | None  # (K, H), without a goal image None
    steps_to_goal: Tensor | None  # (K, H), nor without a value
    reference: Tensor  # (3, R, R) the newest observed frame
    stamp_s: float  # of that frame


@dataclass
class _Frame:
    stamp_s: float
    picture: Tensor  # (3, R, R)
    codes: Tensor  # (N, C)


@torch.inference_mode()
def imagine_after(model: WhaleST, codes: Tensor, past: Tensor, actions: Tensor) -> Rollout:
    """What follows observed codes (B, T, N, C) and the actions (B, T-1, 7) between them.

    actions: (B * K, H, 7), K candidates for each of the observed pasts. Where those of one past
    begin alike, as a planner's do with what is settled, that is imagined once for all of them.
    z is held: inferring it anew after every imagined frame gains next to nothing
    (docs/results.md) and costs a fifth of the time.
    """
    z = model.behavior.infer(codes, model.normalised(past))[:, -1]
    index = torch.arange(len(codes), device=codes.device)
    index = index.repeat_interleave(len(actions) // len(codes))
    return imagine(model, model.start(codes, past, z), actions, past, index)


class CarryOver:
    """The newest uncertainty stands in for a while where a picture is not retraced, or cannot be
    because a gripper switch forbids it."""

    def __init__(self) -> None:
        self._stamp_s, self.value = -math.inf, math.nan

    def __call__(self, stamp_s: float, retraced: bool = False, value: float = math.nan) -> float:
        if retraced:
            self._stamp_s, self.value = stamp_s, value
        elif not 0 <= stamp_s - self._stamp_s <= CARRY_OVER_S + 1e-6:
            self.value = math.nan
        return self.value


class LiveModel:
    """Thread-safe: images may be observed and judged while candidates are imagined.

    Raises ValueError if the model's actions are none that an arm is told.
    """

    def __init__(self, model: WhaleST, value: Value | None = None) -> None:
        """value: of the model's features, on its device."""
        model.action_space.must_be_executable()
        self.model = model
        self.value = value
        self._step_s = model.action_space.step_s
        self._frames: deque[_Frame] = deque()
        self._goal: Tensor | None = None
        self._lock = threading.Lock()
        self._way = RightOfWay()

    def observe(self, stamps_s: Sequence[float], images: Sequence[np.ndarray]) -> None:
        """Take in pictures (height, width, 3) uint8 RGB; time that runs back starts afresh.

        A picture with the stamp of the newest one is the same again, and left out.
        """
        pictures, codes = self._encode(images)
        with self._lock:
            for i, stamp_s in enumerate(stamps_s):
                if self._frames and stamp_s == self._frames[-1].stamp_s:
                    continue
                if self._frames and stamp_s < self._frames[-1].stamp_s:
                    self._frames.clear()
                self._frames.append(_Frame(stamp_s, pictures[i], codes[i]))
                while stamp_s - self._frames[0].stamp_s > (HISTORY + 1) * self._step_s:
                    self._frames.popleft()

    def forget(self) -> None:
        """All images: what comes next is another scene."""
        with self._lock:
            self._frames.clear()

    def warm_up(self) -> None:
        """Imagine something that nobody asked for: the first time takes longest."""
        other, commands = LiveModel(self.model), CommandTimeline()
        commands.add(0.0, np.zeros(6), 0.0)
        resolution = self.model.config.tokenizer.resolution
        black = np.zeros((resolution, resolution, 3), np.uint8)
        other.observe([i * self._step_s for i in range(HISTORY)], [black] * HISTORY)
        other.predict((HISTORY - 1) * self._step_s, np.zeros((8, MAX_HORIZON, DIM)), commands)
        other.judge(commands)

    @property
    def is_imagining(self) -> bool:
        """Whether candidates are being imagined, which judging slows down."""
        return self._way.is_imagining

    def set_goal(self, image: np.ndarray) -> None:
        """What the scene should look like in the end, (height, width, 3) uint8 RGB."""
        _, codes = self._encode([image])
        self._goal = self.model.features(codes[0])

    @torch.inference_mode()
    def unfamiliarity(self) -> float:
        """Of the newest picture; takes no longer than to take it in. Raises NotReady."""
        return float(self.model.familiarity(self._aligned()[-1].picture.unsqueeze(0)))

    @torch.inference_mode()
    def judge(self, commands: CommandTimeline) -> Judgement:
        """Retrace the frame that the present command will lead to. Raises NotReady."""
        frames = self._aligned()
        action = commands.actions(frames[-1].stamp_s, self._step_s, 1)
        with self._way.at(Rank.JUDGE):
            rollout = self._imagine(self.model, frames, commands, action[None])
            retracing = judge(self.model, rollout)
        return Judgement(
            stamp_s=frames[-1].stamp_s,
            retraced=bool(retracing.took_part.any()),
            uncertainty=float(retracing.uncertainty[0]),
            disagreement=float(retracing.disagreement[0, 0]),
            entropy=float(retracing.entropy[0, 0]),
            took_part=retracing.took_part[0, 0].numpy(),
        )

    @torch.inference_mode()
    def predict(
        self,
        start_s: float,
        candidates: np.ndarray,
        commands: CommandTimeline,
        every_step: bool = False,
        rank: Rank = Rank.PLAN,
    ) -> Imagined:
        """Imagine candidates (K, H, 7) whose first actions begin at start_s. Raises NotReady.

        The arm is in motion while it plans: until start_s the present commands stay in force,
        and all actions are resampled to the model's steps from the newest frame on. At least half
        of the candidates must lie within what is imagined.
        every_step: retrace every imagined step, which takes several times as long; the
        uncertainties stay the same. rank: whom it lets pass.
        """
        frames = self._aligned()
        newest = frames[-1].stamp_s
        ahead, most = start_s - newest, candidates.shape[1] * self._step_s / 2
        if abs(ahead) > most:
            raise NotReady(
                f"the candidates begin {ahead:.2f} s after the newest image, "
                f"allowed is -{most:g} to {most:g} s"
            )
        actions = np.stack(
            [
                commands.extended(start_s, candidate, self._step_s).actions(
                    newest, self._step_s, len(candidate)
                )
                for candidate in candidates
            ]
        )
        model = cast(WhaleST, Polite(self.model, self._way, rank))
        with self._way.at(rank):
            rollout = self._imagine(model, frames, commands, actions)
            retracing = judge(model, rollout)
            steps = judge(model, rollout, every_step=True) if every_step else retracing
        distance = steps_left = None
        if self._goal is not None:
            distance = feature_distance(rollout.features, self._goal)
            if self.value is not None:
                steps_left = self.value(rollout.features, self._goal)
        return Imagined(rollout, retracing, steps, distance, steps_left, frames[-1].picture, newest)

    @torch.inference_mode()
    def decode(self, imagined: Imagined, rank: Rank = Rank.PLAN) -> np.ndarray:
        """Pictures (K, H, R, R, 3) uint8 RGB."""
        pictures = []
        with self._way.at(rank):
            for latents in imagined.rollout.latents.split(1):
                self._way.let_pass(rank)
                pictures.append(self.model.decode(latents, imagined.reference))
        return to_bytes(torch.cat(pictures)).cpu().numpy()

    def _imagine(
        self,
        model: WhaleST,
        frames: list[_Frame],
        commands: CommandTimeline,
        candidates: np.ndarray,
    ) -> Rollout:
        codes = torch.stack([frame.codes for frame in frames]).unsqueeze(0)
        stamps = [frame.stamp_s for frame in frames]
        past = [
            commands.actions(begin, end - begin, 1)
            for begin, end in zip(stamps[:-1], stamps[1:], strict=True)
        ]
        observed = self._tensor(np.concatenate(past)[None])
        return imagine_after(model, codes, observed, self._tensor(candidates))

    def _aligned(self) -> list[_Frame]:
        """The frames that end with the newest one, as nearly as there are one model step apart."""
        with self._lock:
            frames = list(self._frames)
        if not frames:
            raise NotReady("no camera image has arrived yet")
        stamps = np.array([frame.stamp_s for frame in frames])
        wanted = stamps[-1] - self._step_s * np.arange(HISTORY - 1, -1, -1)
        nearest = np.abs(stamps[:, None] - wanted).argmin(0)
        off = float(np.abs(stamps[nearest] - wanted).max())
        if off > MAX_OFF_GRID * self._step_s or len(set(nearest)) < HISTORY:
            raise NotReady(
                f"{HISTORY} images {self._step_s:g} s apart are needed, one of them is "
                f"{off:.2f} s from where it should be (start-up, or the camera is too slow)"
            )
        return [frames[i] for i in nearest]

    @torch.inference_mode()
    def _encode(self, images: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        resolution = self.model.config.tokenizer.resolution
        pictures = to_float(torch.from_numpy(np.stack([fit(i, resolution) for i in images])))
        pictures = pictures.to(self.model.device)
        return pictures, self.model.encode(pictures)

    def _tensor(self, actions: np.ndarray) -> Tensor:
        return torch.from_numpy(actions.astype(np.float32)).to(self.model.device)
