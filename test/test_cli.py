"""`whale` as a person types it: collect a little, train a little, evaluate."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def whale(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "whale", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def succeed(*arguments) -> str:
    done = whale(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_refused(done: subprocess.CompletedProcess, *words: str) -> None:
    """It failed with one line that holds the words."""
    assert done.returncode != 0
    message = [line for line in done.stderr.splitlines() if line.startswith("whale: ")]
    assert len(message) == 1 and "Traceback" not in done.stderr, done.stderr
    for word in words:
        assert word in message[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whale") / "data"
    sizes = ("--episodes", 2, "--held-out-episodes", 1, "--steps", 15, "--workers", 1)
    assert str(folder) in succeed("collect", folder, *sizes)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whale") / "run"
    printed = succeed("train", data, folder, "--tokenizer-steps", 2, "--dynamics-steps", 2)
    assert str(folder / "checkpoint") in printed and "moving_pixels_psnr_db" in printed
    return folder


def test_what_is_collected_are_episodes_that_moved(data):
    from whale_ros.data.episodes import load_episode, read_manifest

    space, infos = read_manifest(data)
    splits = ["train", "train", "validation", "held_out_behaviors", "held_out_tasks"]
    assert [info.split for info in infos] == splits
    episode = load_episode(data / infos[0].file)
    assert episode.frames.shape == (16, 64, 64, 3)
    # Once under way, and before it arrives, the hand goes where it is told to.
    moved = episode.hand_position[5] - episode.hand_position[1]
    told = episode.actions[1:5, :3].sum(axis=0)
    assert np.linalg.norm(told) > 0.1
    assert np.linalg.norm(moved - told) < 0.2 * np.linalg.norm(told)
    assert space.why_invalid(episode.actions) is None


def test_what_is_trained_loads_and_its_card_says_how_it_was_made(run, data):
    from whale_ros.data.episodes import manifest_hash
    from whale_ros.world_model.checkpoint import load_checkpoint

    _, card = load_checkpoint(run / "checkpoint")
    assert card.training["manifest_sha256"] == manifest_hash(data)
    assert (card.training["tokenizer_steps"], card.training["dynamics_steps"]) == (2, 2)
    assert card.camera and card.thresholds.candidate_uncertainty > 0


def test_evaluating_gives_the_numbers_of_the_card(run, data):
    from whale_ros.world_model.checkpoint import read_card

    command = ("evaluate", "prediction", data, "--checkpoint", run / "checkpoint")
    report = json.loads(succeed(*command, "--json"))
    card = read_card(run / "checkpoint")
    assert report["checkpoint"] == card.sha256
    assert report["psnr_db"] == card.metrics["psnr_db"]
    assert set(report["psnr_db"]) == {"model", "shuffled", "ceiling", "copy"}
    for values in report["psnr_db"].values():
        assert set(values) == {"1", "4", "8"}


def test_what_is_not_there_is_refused_in_one_line(run, data, tmp_path):
    evaluate = ("evaluate", "prediction", data, "--checkpoint")
    assert_refused(whale(*evaluate, tmp_path / "nowhere"), "nowhere", "card.json")
    assert_refused(whale("train", tmp_path / "no data", tmp_path / "run"), "no data", "collect")


def test_a_data_set_with_other_actions_is_refused_in_one_line(run, data, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    content = json.loads((data / "manifest.json").read_text())
    content["action_space"]["max_translation_m"] = 0.1
    (other / "manifest.json").write_text(json.dumps(content))
    (other / "validation").symlink_to(data / "validation")
    done = whale("evaluate", "prediction", other, "--checkpoint", run / "checkpoint")
    assert_refused(done, "base_twist/7/0.2s/0.1m", "base_twist/7/0.2s/0.05m")
