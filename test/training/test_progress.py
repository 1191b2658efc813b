"""What is reported can be read again."""

import cv2
import numpy as np
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from whale_ros.training.progress import PICTURES_EVERY, REPORT_EVERY, Progress


def scalars(run, stage: str, name: str) -> dict[int, float]:
    events = EventAccumulator(str(run / "tensorboard" / stage))
    events.Reload()
    return {event.step: event.value for event in events.Scalars(name)}


def report(run, first: int, last: int, value: float, steps: int, pictures=None) -> None:
    progress = Progress("stage", run, first, steps, pictures)
    for done in range(first + 1, last + 1):
        progress.update(done, {"loss": torch.tensor(value + done)}, 0.1)
    progress.close()


def test_scalars_are_means_since_the_last_report_and_the_last_step_is_reported(tmp_path):
    steps = 2 * REPORT_EVERY + 3
    report(tmp_path, 0, steps, 0.0, steps)
    losses = scalars(tmp_path, "stage", "loss")
    assert losses == {
        REPORT_EVERY: (1 + REPORT_EVERY) / 2,
        2 * REPORT_EVERY: (1 + 3 * REPORT_EVERY) / 2,
        steps: 2 * REPORT_EVERY + 2,
    }
    assert set(scalars(tmp_path, "stage", "learning_rate")) == set(losses)
    assert min(scalars(tmp_path, "stage", "steps_per_second").values()) > 0


def test_a_number_that_is_missing_now_and_then_does_not_spoil_the_mean(tmp_path):
    progress = Progress("stage", tmp_path, 0, 2, None)
    for done, value in ((1, 3.0), (2, float("nan"))):
        progress.update(done, {"accuracy": torch.tensor(value)}, 0.1)
    progress.close()
    assert scalars(tmp_path, "stage", "accuracy") == {2: 3.0}


def test_what_was_reported_after_the_state_resumed_from_is_taken_back(tmp_path):
    steps = 5 * REPORT_EVERY
    report(tmp_path, 0, 3 * REPORT_EVERY, 1000.0, steps)  # killed, its state being of step 20
    report(tmp_path, REPORT_EVERY, steps, 0.0, steps)
    losses = scalars(tmp_path, "stage", "loss")
    assert set(losses) == {REPORT_EVERY * n for n in range(1, 6)}
    assert [step for step, loss in losses.items() if loss > 1000] == [REPORT_EVERY]


def test_pictures_are_files_and_in_tensorboard_now_and_then_and_at_the_end(tmp_path):
    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    steps = PICTURES_EVERY + 1
    report(tmp_path, 0, steps, 0.0, steps, lambda: picture)
    files = sorted((tmp_path / "samples").iterdir())
    assert [file.name for file in files] == ["stage_000100.png", "stage_000101.png"]
    assert np.array_equal(cv2.imread(str(files[0]))[..., ::-1], picture)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "stage"))
    events.Reload()
    assert [event.step for event in events.Images("stage")] == [100, 101]
