"""What a person reads on the terminal."""

from whale_ros.evaluation.tables import finetuning_table

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
