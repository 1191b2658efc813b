"""What a person reads on the terminal."""

import pytest

from whale_ros.evaluation.tables import finetuning_table, finetuning_verdict

WAYS = ("model", "shuffled", "copy", "ceiling")


def report(episodes: int) -> dict:
    psnrs = {way: {"1": 10.0 + i, "8": 9.0 + i} for i, way in enumerate(WAYS)}
    return {"windows": 2, "episodes": episodes, "moving_pixels_psnr_db": psnrs}


def line(episodes: int, title: str) -> list[str]:
    before = report(episodes)["moving_pixels_psnr_db"]
    (found,) = (
        row for row in finetuning_table(before, report(episodes)).splitlines() if title in row
    )
    return found.replace(title, "").split()


def test_the_actions_of_another_episode_are_told_of_only_if_there_is_another():
    assert line(2, "imagined after fine-tuning") == ["10.00", "9.00"]
    assert line(2, "with the actions of another episode") == ["11.00", "10.00"]
    assert line(1, "with the actions of another episode") == ["-", "-"]


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (13.0, "+4.0 dB against the base, +2.0 dB against the copy, +3.0 dB against other actions"),
        (13.0, "clearly better"),
        (11.5, "not clearly better (by 1 dB) than the copy;"),
        (8.0, "not clearly better (by 1 dB) than the base and the copy and other actions;"),
        (None, "nothing moves"),
    ],
)
def test_a_verdict_names_all_that_is_not_clearly_worse(model, told):
    after = report(2)
    after["moving_pixels_psnr_db"]["model"] = {"1": 12.0, "8": model}
    assert told in finetuning_verdict(report(2)["moving_pixels_psnr_db"], after)


def test_a_verdict_of_one_demonstration_tells_nothing_of_other_actions():
    assert "other" not in finetuning_verdict(report(1)["moving_pixels_psnr_db"], report(1))
