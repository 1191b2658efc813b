"""`whale` as a person types it: collect a little, train a little, evaluate."""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from whale_ros.cli import main

ROOT = Path(__file__).resolve().parents[1]


def typed(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "whale", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def whale(*arguments) -> subprocess.CompletedProcess:
    """As typed, but in this process: torch is loaded once and not for seconds by each."""
    printed, told = io.StringIO(), io.StringIO()
    status = 0
    with redirect_stdout(printed), redirect_stderr(told):
        try:
            main([*map(str, arguments)])
        except SystemExit as end:
            status = int(bool(end.code))
            print(end.code or "", file=sys.stderr)
    return subprocess.CompletedProcess(arguments, status, printed.getvalue(), told.getvalue())


def succeed(*arguments, run=whale) -> str:
    done = run(*arguments)
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
    sizes = ("--episodes", 2, "--held-out-episodes", 2, "--steps", 23, "--workers", 1)
    assert str(folder) in succeed("collect", folder, *sizes, run=typed)
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whale") / "run"
    steps = [f"--{part}-steps=2" for part in ("tokenizer", "behavior", "dynamics")]
    printed = succeed("train", data, folder, *steps, run=typed)
    assert str(folder / "checkpoint") in printed and "PSNR on moving pixels" in printed
    return folder


def test_what_is_collected_are_episodes_that_moved(data):
    from whale_ros.data.episodes import load_episode, read_manifest

    space, infos = read_manifest(data)
    splits = ("train", "validation", "held_out_behaviors", "held_out_tasks")
    assert [info.split for info in infos] == [split for split in splits for _ in range(2)]
    episode = load_episode(data / infos[0].file)
    assert episode.frames.shape == (24, 64, 64, 3)
    # Once under way, and before it arrives, the hand goes where it is told to.
    moved = episode.hand_position[5] - episode.hand_position[1]
    told = episode.actions[1:5, :3].sum(axis=0)
    assert np.linalg.norm(told) > 0.1
    assert np.linalg.norm(moved - told) < 0.2 * np.linalg.norm(told)
    assert space.why_invalid(episode.actions) is None


def test_what_is_trained_loads_and_its_card_says_how_it_was_made(run, data):
    from whale_ros.data.episodes import load_episode, manifest_hash
    from whale_ros.world_model.checkpoint import load_checkpoint

    _, card = load_checkpoint(run / "checkpoint")
    assert card.training["manifest_sha256"] == manifest_hash(data)
    for part in ("tokenizer", "behavior", "dynamics"):
        assert card.training[f"{part}_steps"] == 2
    assert card.camera and card.scales.candidate_uncertainty > 0
    lowest, highest = (np.array(card.action_statistics[key]) for key in ("min", "max"))
    actions = np.stack([load_episode(data / f"train/{i:06}.npz").actions for i in range(2)])
    np.testing.assert_allclose(lowest, actions.min((0, 1)), atol=1e-6)
    np.testing.assert_allclose(highest, actions.max((0, 1)), atol=1e-6)


def test_evaluating_prediction_gives_the_numbers_of_the_card_and_pictures(run, data, tmp_path):
    from whale_ros.world_model.checkpoint import read_card

    command = ("evaluate", "prediction", data, "--checkpoint", run / "checkpoint")
    report = json.loads(succeed(*command, "--json", "--pictures", tmp_path))
    card = read_card(run / "checkpoint")
    assert report["checkpoint"] == card.sha256
    assert report["data"] == {
        "manifest_sha256": card.training["manifest_sha256"],
        "is_that_of_the_checkpoints": True,
    }
    assert report["psnr_db"] == card.metrics["psnr_db"]
    assert set(report["psnr_db"]) == {"model", "shuffled", "ceiling", "copy"}
    for values in report["psnr_db"].values():
        assert set(values) == {"1", "4", "8", "15"}
    assert set(report["hand_error_cm_median"]) == {*report["psnr_db"], "real frames"}
    assert {path.name for path in tmp_path.iterdir()} == {
        "window_0.png", "window_1.png", "psnr.png",
    }  # fmt: skip


def test_evaluating_behavior_compares_checkpoints_and_says_what_z_tells(run, data, tmp_path):
    from whale_ros.world_model.checkpoint import load_checkpoint, save_checkpoint

    model, card = load_checkpoint(run / "checkpoint")
    model.dynamics.no_behavior.data += 1
    other_seed = replace(card, training=card.training | {"seed": 1})
    save_checkpoint(tmp_path / "other", model, other_seed)
    pictures = tmp_path / "pictures"
    both = ("--checkpoint", run / "checkpoint", "--checkpoint", tmp_path / "other")
    printed = succeed("evaluate", "behavior", data, *both, "--pictures", pictures)
    assert "checkpoints: 2" in printed and f"data set {card.training['manifest_sha256'][:12]}" in (
        printed
    )
    assert "z inferred than none by" in printed
    for split in ("validation", "held_out_behaviors", "held_out_tasks"):
        assert f"{split}, 2 episodes" in printed
    assert {path.name for path in pictures.iterdir()} == {"z_0.png", "z_1.png"}


def test_calibrating_writes_thresholds_and_too_few_episodes_leave_the_gate_closed(
    run, data, tmp_path
):
    from whale_ros.data.episodes import manifest_hash
    from whale_ros.imagination.calibration import load_calibration
    from whale_ros.world_model.checkpoint import read_card

    file = tmp_path / "calibration.json"
    command = ("calibrate", data, "--checkpoint", run / "checkpoint", "--output", file,
               "--split", "validation", "--test-split", "held_out_behaviors",
               "--candidates", 2, "--camera", "wrist", "--image-size", 320, 240)  # fmt: skip
    assert "the gate stays closed: 2 episodes bound nothing" in succeed(*command)
    calibration = load_calibration(file)
    conditions = calibration.conditions
    assert conditions.checkpoint == read_card(run / "checkpoint").sha256
    assert (conditions.camera, conditions.candidates, conditions.horizon) == ("wrist", 2, 8)
    assert (conditions.image_width, conditions.image_height) == (320, 240)
    assert calibration.data_sha256 == manifest_hash(data)
    assert len(calibration.pooled) == 2 and calibration.factor() == float("inf")

    # Rank 1 of 2. The other may be infinite: its gripper switches too often to be judged.
    report = json.loads(succeed(*command, "--alpha", 0.9, "--json"))
    assert report["factor"] == pytest.approx(min(calibration.pooled), abs=1e-4)
    assert report["one_factor_for_all_tasks"]["all"]["episodes"] == 2
    assert_refused(whale(*command, "--alpha", 2), "alpha", "between 0 and 1")
    before = file.read_bytes()
    assert_refused(whale(*command), "2 episodes bound nothing", "stays as it is")
    assert file.read_bytes() == before


def test_a_model_is_fine_tuned_to_a_checkpoint_of_its_own_and_calibrated_with_other_episodes(
    run, data, tmp_path
):
    from whale_ros.data.episodes import manifest_hash
    from whale_ros.imagination.calibration import load_calibration
    from whale_ros.world_model.checkpoint import load_checkpoint, read_card

    base, tuned = run / "checkpoint", tmp_path / "run" / "checkpoint"
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    steps = [f"--{part}-steps=2" for part in ("tokenizer", "behavior", "dynamics")]
    command = ("finetune", tmp_path / "run", "--base", base, "--data", data, *steps)
    printed = succeed(*command)
    assert "learns from 2 demonstrations, 2 are held out" in printed and "will forget" in printed
    assert "imagined after fine-tuning" in printed and str(tuned) in printed
    assert "step 8: " in printed and "dB against the base" in printed
    assert (tmp_path / "run" / "before_and_after.png").stat().st_size > 10_000
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    _, card = load_checkpoint(tuned)
    training = card.training
    assert training["base"] == read_card(base).sha256 != card.sha256
    assert training["manifest_sha256"] == manifest_hash(data)
    assert (training["episodes"], training["held_out_episodes"]) == (2, 2)
    assert training["dynamics_steps"] <= 2 and training["held_out_loss"]["dynamics"] > 0
    assert not list(tuned.parent.glob("*.partial"))

    assert card.sha256[:12] in succeed(*command)  # finished, and left as it is
    assert_refused(whale("finetune", base, "--base", base, "--data", data), "only read")
    assert_refused(whale(*command, "--dynamics-steps=-1"), "steps must be 0 or more")

    # Of the episodes in the folder, those that it has learnt from are left out.
    printed = succeed("calibrate", data, "--checkpoint", tuned, "--candidates", 2)
    assert "4 episodes bound nothing at an alpha of 0.1" in printed and "at least 9" in printed
    assert len(load_calibration(tuned / "calibration.json").pooled) == 4


def test_what_the_shipped_base_learnt_from_is_collected_once(tmp_path, monkeypatch):
    import whale_ros.sim.collect
    from whale_ros.cli.finetune import replayed
    from whale_ros.world_model.checkpoint import SHIPPED, read_card

    def collect(folder, episodes, *_others):
        folders.append(folder)
        if broken:
            raise RuntimeError("no display")
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")

    folders, broken = [], True
    monkeypatch.setattr(whale_ros.sim.collect, "collect", collect)
    options = argparse.Namespace(run=tmp_path / "run", replay=None, threads=1)
    asked = options, SHIPPED, read_card(SHIPPED)
    with pytest.raises(ValueError, match="no display.*--replay-share 0"):
        replayed(*asked)
    broken = False
    assert replayed(*asked) == replayed(*asked) == tmp_path / "run" / "replay"
    assert folders == [tmp_path / "run" / "replay"] * 2
    assert replayed(options, tmp_path, asked[2]) is None, "nobody knows what another learnt from"
    given = argparse.Namespace(run=tmp_path / "new", replay=tmp_path, threads=1)
    assert replayed(given, *asked[1:]) == tmp_path and len(folders) == 2


def test_a_tokenizer_stays_that_shows_the_new_scene_about_as_well_as_its_own():
    from whale_ros.evaluation.prediction import sees_well

    metrics = {"moving_pixels_psnr_db": {"ceiling": {"8": 22.0}}}
    assert sees_well(25.0, metrics) and sees_well(21.1, metrics)
    assert not sees_well(20.9, metrics)
    assert not sees_well(None, metrics) and not sees_well(25.0, {})  # nobody knows


@pytest.mark.parametrize(
    ("split", "test_split", "manifest", "made", "refused"),
    [
        ("calibration", "test", "a", {"manifest_sha256": "a"}, ""),
        ("train", None, "b", {"manifest_sha256": "a"}, ""),
        ("train", None, "a", {"manifest_sha256": "a"}, "learnt from"),
        (None, None, "a", {"manifest_sha256": "a"}, "learnt from"),
        ("test", "train", "a", {"manifest_sha256": "a"}, "learnt from"),
        (None, None, "a", {"manifest_sha256": "a", "episodes_sha256": ["x"]}, ""),
        (
            "train", None, "r",
            {"episodes_sha256": ["x"], "replay": {"manifest_sha256": "r"}}, "learnt from",
        ),
        ("test", "test", "b", {}, "other splits"),
        (None, "test", "b", {}, "other splits"),
    ],
)  # fmt: skip
def test_what_calibrates_is_neither_learnt_from_nor_tried_on(
    split, test_split, manifest, made, refused
):
    from whale_ros.cli.calibrate import must_be_others

    used = [(manifest, split), *([(manifest, test_split)] if test_split else [])]
    if not refused:
        must_be_others(used, made)
        return
    with pytest.raises(ValueError, match=refused):
        must_be_others(used, made)


@pytest.mark.parametrize(
    ("used", "refused"),
    [
        ([("a", "train"), ("a", "validation"), ("b", "test")], ""),
        ([("a", "train"), ("b", "train")], ""),
        ([("a", "train"), ("b", "test"), ("a", "train")], "other splits"),  # scales
        ([("a", None), ("a", "validation")], "other splits"),
        ([("a", "train"), ("learnt", "train")], "learnt from"),  # --test-data
        ([("a", "train"), ("learnt", "validation")], ""),
    ],
)
def test_scales_and_tests_of_another_folder_are_held_to_the_same(used, refused):
    from whale_ros.cli.calibrate import must_be_others

    if not refused:
        must_be_others(used, {"manifest_sha256": "learnt"})
        return
    with pytest.raises(ValueError, match=refused):
        must_be_others(used, {"manifest_sha256": "learnt"})


def test_scales_are_measured_with_the_calibration_and_another_folder_tries_it(run, data, tmp_path):
    from whale_ros.imagination.calibration import load_calibration
    from whale_ros.world_model.checkpoint import read_card

    file, other = tmp_path / "calibration.json", tmp_path / "elsewhere"
    shutil.copytree(data, other)
    made = ("--checkpoint", run / "checkpoint", "--candidates", 2, "--output", file)
    command = ("calibrate", data, *made, "--split", "validation", "--alpha", 0.9)
    report = json.loads(
        succeed(*command, "--scales-split", "held_out_tasks", "--test-data", other,
                "--test-split", "held_out_behaviors", "--json")
    )  # fmt: skip
    scales = load_calibration(file).scales
    assert report["scales"] == asdict(scales) != asdict(read_card(run / "checkpoint").scales)
    without = report["one_factor_for_all_tasks"]["all"]
    assert without["episodes"] == 2
    # The same file on the same episodes, without calibrating anew.
    command = ("evaluate", "alarms", other, *made[:2], "--calibration", file)
    found = json.loads(succeed(*command, "--split", "held_out_behaviors", "--json"))
    (condition,) = found["conditions"].values()
    assert condition["with_alarm"]["share"] == pytest.approx(1 - without["share"])
    assert found["limits"]["unfamiliarity"] == pytest.approx(
        report["factor"] * scales.unfamiliarity, rel=1e-3
    )
    assert_refused(whale("evaluate", "alarms", other, "--calibration", file), "checkpoint is")


def test_the_camera_of_a_calibration_is_that_of_the_bags(run, data, tmp_path):
    from whale_ros.imagination.calibration import load_calibration

    file, recorded = tmp_path / "calibration.json", tmp_path / "recorded"
    shutil.copytree(data, recorded)
    space = json.loads((data / "manifest.json").read_text())["action_space"]

    def bags(*sizes):
        camera = {"frame_id": "eye", "height": 480}
        entries = [
            {"sha256": f"{i}", "number": i, "episodes": [], "camera": camera | {"width": width}}
            for i, width in enumerate(sizes)
        ]
        content = {"kind": {"action_space": space}, "bags": entries}
        (recorded / "conversion.json").write_text(json.dumps(content))

    command = ("calibrate", recorded, "--checkpoint", run / "checkpoint", "--candidates", 2,
               "--split", "validation", "--output", file)  # fmt: skip
    bags(640, 640)
    succeed(*command)
    conditions = load_calibration(file).conditions
    found = (conditions.camera, conditions.image_width, conditions.image_height)
    assert found == ("eye", 640, 480)
    assert_refused(whale(*command, "--image-size", 320, 240), "640 x 480 from 'eye'")
    assert_refused(whale(*command, "--camera", "camera"), "640 x 480 from 'eye'")
    bags(640, 320)
    assert_refused(whale(*command), "several cameras")


def test_scales_are_not_measured_on_what_calibrates(run, data):
    command = ("calibrate", data, "--checkpoint", run / "checkpoint", "--split", "validation")
    assert_refused(whale(*command, "--scales-split", "validation"), "--scales-split")


def test_a_checkpoint_is_not_averaged_with_itself(run, data):
    twice = ("--checkpoint", run / "checkpoint") * 2
    assert_refused(whale("evaluate", "behavior", data, *twice), "are the same")


def test_models_are_listed_with_what_they_cost():
    printed = succeed("models").splitlines()
    assert printed[0].split() == ["tiny", "small", "base", "whale_x"]
    report = json.loads(succeed("models", "--json"))
    row = next(line for line in printed if line.startswith("parameters [M]"))
    assert row.split()[2:] == [f"{model['parameters'] / 1e6:.2f}" for model in report]


def test_what_is_not_there_is_refused_in_one_line(run, data, tmp_path):
    evaluate = ("evaluate", "prediction", data, "--checkpoint")
    assert_refused(typed(*evaluate, tmp_path / "nowhere"), "nowhere", "card.json")
    train = ("train", tmp_path / "no data", tmp_path / "run")
    assert_refused(typed(*train), "no data", "collect")
    assert_refused(typed(*train, "--device", "cuda:9"), "'cuda:9'", "there are: cpu")


def test_a_data_set_with_other_actions_is_refused_in_one_line(run, data, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    content = json.loads((data / "manifest.json").read_text())
    content["action_space"]["max_translation_m"] = 0.1
    (other / "manifest.json").write_text(json.dumps(content))
    (other / "validation").symlink_to(data / "validation")
    done = whale("evaluate", "prediction", other, "--checkpoint", run / "checkpoint")
    assert_refused(done, "base_twist/7/0.2s/0.1m", "base_twist/7/0.2s/0.05m")


def test_data_of_another_resolution_than_the_checkpoint_s_is_refused(tmp_path):
    sizes = ("--episodes", 1, "--held-out-episodes", 1, "--steps", 2, "--workers", 1)
    succeed("collect", tmp_path, *sizes, "--resolution", 32, run=typed)
    for what in ("prediction", "behavior"):
        done = whale("evaluate", what, tmp_path)
        assert_refused(done, "32 x 32 pixels", "takes 64 x 64", "--resolution 64")
