"""Bags become a dataset to train on; running it again adds or keeps, and loses nothing."""

import json
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whale_ros.actions.composition import compose
from whale_ros.actions.space import ActionSpace
from whale_ros.cli import main
from whale_ros.data import bag_writer
from whale_ros.data.bags import Bag
from whale_ros.data.conventions import of_robot
from whale_ros.data.convert import Wish, convert
from whale_ros.data.episodes import (
    Episode,
    EpisodeInfo,
    load_episode,
    read_manifest,
    save_episode,
    write_manifest,
)
from whale_ros.data.reading import read_tracks
from whale_ros.data.recording import Recording, write_recording
from whale_ros.data.synchronize import synchronize

SIZE = 16
SECONDS = 5.0
WISH = Wish(SIZE, robot="sim", task="pour")
TOPICS = {
    "camera": "/camera/image", "pose": "/ee_pose", "command": "/arm/twist_command",
    "gripper_command": "/gripper/command",
}  # fmt: skip


def motion(seed: int):
    rng = np.random.default_rng(seed)
    twists = rng.uniform(-0.12, 0.12, (20, 6))
    return [(0.3 * i, twist, float(i >= 10)) for i, twist in enumerate(twists)]


def number(frame) -> int:
    return 256 * int(frame[0, 0, 0]) + int(frame[0, 0, 1])


@pytest.fixture
def bag(tmp_path, recorder, make_arm):
    """bag(seed, name="bag", seconds=SECONDS, without=(), **recording): the folder of one."""

    def make(seed=0, name="bag", seconds=SECONDS, without=(), **recording):
        messages = recorder.everything(make_arm(motion(seed)), seconds)
        begin, end = without or (0, 0)
        kept = [m for m in messages if not (m.topic == "/camera/image" and begin < m.stamp_s < end)]
        folder = recorder.record(tmp_path / "bags" / name, kept)
        if recording:
            whole = Recording(name, "sim", TOPICS, "commanded_twists", "base", 0.0)
            values = {"success": True, "task": "stack", "action_space": ActionSpace().to_dict()}
            write_recording(folder, replace(whole, **(values | recording)))
        return folder

    return make


def told(bags, dataset, wish=WISH) -> list[str]:
    lines = []
    convert(bags, dataset, wish, lines.append)
    return lines


def test_a_recorded_drive_becomes_an_episode_of_what_was_seen_and_told(bag, tmp_path, make_arm):
    (line,) = told([bag(note="")], tmp_path / "data", Wish(SIZE))
    assert line == "bag: demonstration 0, 26 frames"
    space, (info,) = read_manifest(tmp_path / "data")
    assert space == ActionSpace()
    assert info == EpisodeInfo("demonstrations/000000.npz", "train", "stack", "demonstration", 0)
    episode = load_episode(tmp_path / "data" / info.file)
    assert [number(frame) for frame in episode.frames] == list(range(0, 51, 2))
    assert episode.object_position is None and episode.progress is None
    assert episode.success.tolist() == [False] * 25 + [True]
    arm = make_arm(motion(0))
    for t, action in enumerate(episode.actions):
        before, after = arm.pose(0.2 * t), arm.pose(0.2 * (t + 1))
        np.testing.assert_allclose(action[:3], after[0] - before[0], atol=1e-6)
        np.testing.assert_allclose(episode.hand_position[t], before[0], atol=1e-6)
        assert action[6] == float(0.2 * t > 2.9)
    total = compose(episode.actions)
    np.testing.assert_allclose(total[:3], arm.pose(5.0)[0] - arm.pose(0.0)[0], atol=1e-5)


def test_pose_differences_give_nearly_the_same_and_datasets_are_of_one_kind(bag, tmp_path):
    folder = bag()
    told([folder], tmp_path / "twists")
    told([folder], tmp_path / "poses", replace(WISH, action_source="pose_differences"))
    files = [tmp_path / name / "demonstrations/000000.npz" for name in ("twists", "poses")]
    twists, poses = (load_episode(file).actions for file in files)
    np.testing.assert_allclose(twists, poses, atol=2e-3)
    other = bag(1, "other")
    for wish, words in (
        (replace(WISH, action_source="pose_differences"), "action_source commanded_twists"),
        (replace(WISH, resolution=8), "resolution 16"),
    ):
        with pytest.raises(ValueError, match="1 of 1 bags gave nothing"):
            told([other], tmp_path / "twists", wish)
        lines = []
        with pytest.raises(ValueError):
            convert([other], tmp_path / "twists", wish, lines.append)
        assert words in lines[0] and "another folder" in lines[0]


def test_running_it_again_adds_what_is_new_and_keeps_the_rest(bag, tmp_path):
    data = tmp_path / "data"
    first, second = bag(0, "a"), bag(1, "b")
    told([first], data)
    before = {path: path.read_bytes() for path in data.rglob("*.*z")}
    lines = told([tmp_path / "bags"], data)
    assert lines[0] == "a: kept, it is demonstration 0 already"
    assert lines[1].startswith("b: demonstration 1")
    assert all(path.read_bytes() == content for path, content in before.items())
    _, infos = read_manifest(data)
    assert [(info.seed, info.split) for info in infos] == [(0, "train"), (1, "validation")]
    log = (data / "conversion.json").read_bytes()
    assert "kept" in told([second], data)[0]
    assert read_manifest(data)[1] == infos and (data / "conversion.json").read_bytes() == log


def test_a_bag_that_would_be_converted_in_another_way_is_not_taken_for_the_old_one(
    bag, tmp_path, robot
):
    data, folder = tmp_path / "data", bag(success=None)
    values = yaml.safe_load(robot.read_text())["/**"]["ros__parameters"] | {"gripper_closed": 1.05}
    robot.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    told([folder], data)
    before = {path: path.read_bytes() for path in data.rglob("*.*")}
    lines = []
    for wish, words in (
        (replace(WISH, task="stir"), "with task pour, this would be stir"),
        (replace(WISH, success=True), "with success None, this would be True"),
        (replace(WISH, robot=str(robot)), "with gripper_closed 1.0, this would be 1.05"),
    ):
        with pytest.raises(ValueError, match="1 of 1 bags gave nothing"):
            convert([folder], data, wish, lines.append)
        assert words in lines[-1] and "another folder" in lines[-1]
    assert {path: path.read_bytes() for path in data.rglob("*.*")} == before


def test_a_run_that_was_killed_before_the_manifest_is_made_good_by_the_next(bag, tmp_path):
    data = tmp_path / "data"
    folder = bag()
    told([folder], data)
    _, infos = read_manifest(data)
    (data / "manifest.json").unlink()
    assert "kept" in told([folder], data)[0]
    assert read_manifest(data)[1] == infos


def test_every_fifth_demonstration_validates_with_all_its_parts(tmp_path):
    from whale_ros.data.conversion_log import ConversionLog

    log = ConversionLog(tmp_path)
    kind = {"action_space": ActionSpace().to_dict()}
    for demonstration in range(12):
        episodes = [{"file": f"{demonstration}_{part}"} for part in range(2)]
        log.add(kind, {"number": demonstration, "task": "t", "sha256": "0", "episodes": episodes})
    splits = [info.split for info in ConversionLog(tmp_path).infos()]
    assert [i for i, split in enumerate(splits) if split == "validation"] == [2, 3, 12, 13, 22, 23]
    (tmp_path / "conversion.json").write_text('{"kind": {}, "bags": [{"number": 1}]}')
    with pytest.raises(ValueError, match="conversion.json"):
        ConversionLog(tmp_path)


def test_what_was_in_the_folder_before_stays_and_other_action_spaces_are_refused(bag, tmp_path):
    def collected(folder, space):
        episode = Episode(
            np.zeros((3, SIZE, SIZE, 3), np.uint8),
            np.zeros((2, 7), np.float32),
            np.zeros((3, 3), np.float32),
        )
        info = EpisodeInfo("train/000000.npz", "train", "reach-v3", "expert", 7)
        save_episode(folder / info.file, episode)
        write_manifest(folder, space, [info])
        return info

    folder = bag()
    info = collected(tmp_path / "data", ActionSpace())
    told([folder], tmp_path / "data")
    assert read_manifest(tmp_path / "data")[1][0] == info
    assert len(read_manifest(tmp_path / "data")[1]) == 2
    collected(tmp_path / "other", ActionSpace(step_s=0.1))
    lines = []
    with pytest.raises(ValueError):
        convert([folder], tmp_path / "other", WISH, lines.append)
    assert "another folder" in lines[0]
    assert not (tmp_path / "other" / "demonstrations").exists()


def test_a_gap_splits_a_demonstration_and_the_outcome_is_that_of_its_end(bag, tmp_path):
    folder = bag(seconds=12.0, without=(5.0, 5.7), success=True)
    (line,) = told([folder], tmp_path / "data", Wish(SIZE))
    assert "26 + 32 frames; no picture for 0.70 s (5." in line
    _, infos = read_manifest(tmp_path / "data")
    assert [info.file[-8:] for info in infos] == ["0000.npz", "00_1.npz"]
    assert len({(info.seed, info.split) for info in infos}) == 1
    first, last = (load_episode(tmp_path / "data" / info.file) for info in infos)
    assert number(first.frames[-1]) <= 50 and number(last.frames[0]) >= 57
    assert first.success is None and last.success.nonzero()[0].tolist() == [31]
    (entry,) = json.loads((tmp_path / "data/conversion.json").read_text())["bags"]
    assert [cut["reason"] for cut in entry["cuts"]] == ["no picture for 0.70 s"]
    assert entry["messages"]["camera"]["longest_gap_s"] == 0.7
    assert [e["lasts_until_the_end"] for e in entry["episodes"]] == [False, True]


@pytest.mark.parametrize(
    ("label", "wish", "expected"),
    [(True, None, True), (False, None, False), (None, None, None), (None, True, True),
     (False, True, False)],
)  # fmt: skip
def test_success_is_what_the_operator_said_else_what_the_user_says_else_unknown(
    bag, tmp_path, label, wish, expected
):
    told([bag(success=label)], tmp_path / "data", Wish(SIZE, success=wish))
    success = load_episode(tmp_path / "data/demonstrations/000000.npz").success
    assert success is None if expected is None else success.tolist() == [False] * 25 + [expected]


def test_each_episode_has_a_picture_and_its_numbers(bag, tmp_path):
    told([bag()], tmp_path / "data")
    picture = cv2.imread(str(tmp_path / "data/pictures/000000.png"))
    assert picture.shape[0] > 400 and picture.std() > 10
    log = json.loads((tmp_path / "data/conversion.json").read_text())
    assert log["kind"]["action_source"] == "commanded_twists"
    entry = log["bags"][0]
    assert entry["camera"] == {"frame_id": "base", "width": 16, "height": 16}
    assert entry["messages"]["camera"] == {
        "messages": 51, "rate_hz": 10.0, "longest_gap_s": 0.1, "latency_s": 0.001,
    }  # fmt: skip
    (numbers,) = entry["episodes"]
    assert numbers["frames"] == 26 and numbers["disagreement"] < 0.01
    episode = load_episode(tmp_path / "data/demonstrations/000000.npz")
    np.testing.assert_allclose(numbers["actions"]["max"], episode.actions.max(0), atol=1e-5)


def test_the_dataset_can_be_trained_on(bag, tmp_path):
    from whale_ros.training.dataset import EpisodeSet

    told([bag(0, "a", 6.0), bag(1, "b", 7.0)], tmp_path / "data")
    assert len(EpisodeSet(tmp_path / "data", "train")) == 1
    assert len(EpisodeSet(tmp_path / "data", "validation")) == 1


@pytest.fixture(scope="module")
def long_bag(tmp_path_factory, recorder, make_arm):
    """The file of one whose chunks are short, its tracks and its only episode."""
    from mcap.writer import CompressionType, Writer

    path = tmp_path_factory.mktemp("long") / "bag.mcap"
    messages = recorder.everything(
        make_arm(motion(3)), 7.0, camera_hz=5.0, pose_hz=10.0, twist_hz=20.0
    )
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=2000, compression=CompressionType.LZ4)
        writer.start("ros2", "test")
        channels = {}
        for message in sorted(messages, key=lambda m: m.received_ns):
            if message.topic not in channels:
                definition, _ = recorder.types.generate_msgdef(message.type, ros_version=2)
                schema = writer.register_schema(message.type, "ros2msg", definition.encode())
                channels[message.topic] = writer.register_channel(message.topic, "cdr", schema)
            ns, data = message.received_ns, recorder.serialized(message)
            writer.add_message(channels[message.topic], ns, data, ns)
        writer.finish()
    conventions = of_robot("sim")
    (stretch,), _ = synchronize(read_tracks(Bag(path), conventions, SIZE), conventions)
    return path, stretch


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True))
def test_a_bag_cut_anywhere_gives_the_beginning_of_its_episode_or_none(tmp_path, long_bag, place):
    source, whole = long_bag
    content = source.read_bytes()
    path = tmp_path / "cut.mcap"
    path.write_bytes(content[: int(place * len(content))])
    bag, conventions = Bag(path), of_robot("sim")
    stretches, cuts = synchronize(read_tracks(bag, conventions, SIZE), conventions)
    assert bag.damage or len(stretches[0].frames) == len(whole.frames)
    assert len(stretches) <= 1
    for stretch in stretches:
        count = len(stretch.frames)
        np.testing.assert_array_equal(stretch.frames, whole.frames[:count])
        np.testing.assert_array_equal(stretch.actions, whole.actions[: count - 1])
        np.testing.assert_array_equal(stretch.pose, whole.pose[:count])
    if place > 0.85:
        assert stretches


def test_a_cut_bag_is_used_up_to_there_and_a_hopeless_one_is_told_of(bag, tmp_path, monkeypatch):
    # As a recording that takes its time: written at once, all would be in one chunk.
    monkeypatch.setattr(bag_writer, "Writer", partial(bag_writer.Writer, chunk_size=4096))
    whole = bag(seconds=9.0, success=True)
    file = whole / "bag_0.mcap"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 9 // 10])
    (line,) = told([whole], tmp_path / "data", Wish(SIZE))
    assert "frames" in line and "bag_0.mcap is cut or damaged" in line and "before counts" in line
    episode = load_episode(tmp_path / "data/demonstrations/000000.npz")
    assert episode.success is None  # the end, which was labelled, is lost
    file.write_bytes(content[:500])
    lines = []
    good = bag(1, "good", success=True)
    with pytest.raises(ValueError, match="1 of 2 bags gave nothing"):
        convert([whole, good], tmp_path / "more", Wish(SIZE), lines.append)
    assert "bag: nothing was taken; bag_0.mcap is cut" in lines[0]
    assert lines[1].startswith("good: demonstration 0")
    assert len(read_manifest(tmp_path / "more")[1]) == 1


def test_what_nobody_kept_is_no_demonstration(bag, tmp_path):
    folder = bag(0, "episode_000001")
    partial = folder.rename(folder.with_suffix(".partial"))
    lines = []
    with pytest.raises(ValueError):
        convert([partial], tmp_path / "data", WISH, lines.append)
    assert "nobody kept it" in lines[0]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(SIZE, task="t"), "--robot NAME or a YAML file"),
        (Wish(SIZE, robot="sim"), "--task"),
        (Wish(SIZE, robot="hal", task="t"), "no robot is called 'hal'; known: "),
        (Wish(SIZE, robot="no.yaml", task="t"), "no.yaml does not describe a robot"),
    ],
)
def test_what_the_bag_does_not_tell_must_be_said(bag, tmp_path, wish, words):
    lines = []
    with pytest.raises(ValueError):
        convert([bag()], tmp_path / "data", wish, lines.append)
    assert words in lines[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_frame": "world"}, "frame 'base', expected 'world'"),
        ({"camera_topic": "/other"}, "no message, or but one, on /other (camera)"),
        ({"camera_topic": "/ee_pose", "pose_topic": "/p"}, "carries geometry_msgs/msg/PoseStamped"),
        ({"action_max_translation_m": 0.001}, "beyond the action space"),
        ({"camera_topic": None}, "need a topic of: camera"),
        ({"action_step_s": None}, "lacks 'action_step_s'"),
        ({"action_step_s": "fast"}, "robot.yaml does not describe a robot"),
        ({"command_type": "pose"}, "use the pose_differences"),
        ({"action_source": "guesses"}, "action_source is 'guesses'"),
        ({"gripper_open": 1.0}, "gripper_open 1.0 and gripper_closed 1.0"),
        ({"gripper_closed": 0.04}, "a gripper is at 1, beyond open (0) and closed (0.04)"),
    ],
)  # fmt: skip
def test_conventions_that_do_not_fit_the_bag_are_told(bag, tmp_path, robot, change, words):
    values = yaml.safe_load(robot.read_text())["/**"]["ros__parameters"] | change
    values = {key: value for key, value in values.items() if value is not None}
    robot.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    lines = []
    with pytest.raises(ValueError):
        convert([bag()], tmp_path / "data", replace(WISH, robot=str(robot)), lines.append)
    assert words in lines[0]


def write_robot(robot, **change) -> Wish:
    values = yaml.safe_load(robot.read_text())["/**"]["ros__parameters"] | change
    robot.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    return replace(WISH, robot=str(robot))


def test_grippers_are_read_in_their_own_units(recorder, make_arm, tmp_path, robot):
    """Fingers 0.04 m apart are open; nobody commands them."""
    wish = write_robot(robot, gripper_open=0.04, gripper_closed=0.0)
    messages = recorder.everything(make_arm(motion(0)), SECONDS)
    messages = [m for m in messages if m.topic != "/gripper/command"]
    times = np.arange(0, SECONDS + 0.1, 0.1)
    messages += [recorder.fingers(time, 0.04 * (1 - time / 10)) for time in times]
    folder = recorder.record(tmp_path / "bag", messages)
    told([folder], tmp_path / "data", wish)
    actions = load_episode(tmp_path / "data/demonstrations/000000.npz").actions
    np.testing.assert_allclose(actions[:, 6], np.arange(1, 26) * 0.02, atol=1e-6)


def test_a_gripper_among_all_joints_must_be_named(recorder, make_arm, tmp_path, robot):
    messages = recorder.everything(make_arm(motion(0)), SECONDS)
    messages = [m for m in messages if m.topic != "/gripper/command"]
    for time in np.arange(0, SECONDS + 0.1, 0.1):
        messages.append(recorder.joints(time, shoulder=0.3, elbow=0.9, finger=time / 10))
    folder = recorder.record(tmp_path / "bag", messages)
    lines = []
    with pytest.raises(ValueError):
        convert([folder], tmp_path / "data", WISH, lines.append)
    assert "shoulder, elbow, finger: set gripper_joint" in lines[0]
    told([folder], tmp_path / "data", write_robot(robot, gripper_joint="finger"))
    actions = load_episode(tmp_path / "data/demonstrations/000000.npz").actions
    np.testing.assert_allclose(actions[:, 6], np.arange(1, 26) * 0.02, atol=1e-6)


@pytest.mark.parametrize("kind", ["a pose", "in another frame"])
def test_however_the_arm_was_told_differences_of_poses_are_taken(
    recorder, make_arm, tmp_path, robot, kind
):
    messages = recorder.everything(make_arm(motion(0)), SECONDS)
    if kind == "a pose":
        messages = [m for m in messages if m.topic != "/arm/twist_command"]
        poses = [m for m in messages if m.topic == "/ee_pose"]
        messages += [replace(pose, topic="/arm/twist_command") for pose in poses]
    serialized = recorder.serialized

    def in_frame(message, frame="base"):
        tool = kind != "a pose" and message.topic == "/arm/twist_command"
        return serialized(message, "tool0" if tool else frame)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "serialized", in_frame)
        folder = recorder.record(tmp_path / "bag", messages)
    lines = []
    with pytest.raises(ValueError):
        convert([folder], tmp_path / "data", WISH, lines.append)
    # As the page has it: said to the recorder.
    content = yaml.safe_load(robot.read_text())
    content["/**/demo_recorder"] = {"ros__parameters": {"action_source": "pose_differences"}}
    robot.write_text(yaml.safe_dump(content))
    (line,) = told([folder], tmp_path / "data", replace(WISH, robot=str(robot)))
    assert line == "bag: demonstration 0, 26 frames"


def test_messages_that_are_of_no_use_are_left_out_and_counted(recorder, make_arm, tmp_path):
    """One of each kind; none leaves a hole that is long enough to matter."""
    messages = recorder.everything(make_arm(motion(0)), SECONDS, camera_hz=20.0)
    poses = [m for m in messages if m.topic == "/ee_pose"]
    pictures = [m for m in messages if m.topic == "/camera/image"]
    twists = [m for m in messages if m.topic == "/arm/twist_command"]
    poses[30].content["orientation"] = np.array([2.0, 0, 0, 0])
    poses[60].content["position"] = np.array([np.nan, 0, 0])
    poses[90].received_s, poses[90].stamp_s = poses[90].stamp_s, -1_700_000_000
    twists[50].content["linear"] = np.array([np.inf, 0, 0])
    pictures[21].content["encoding"] = "yuv422"
    pictures[41].content["step"] = 1
    wide = {"width": 2 * SIZE, "step": 6 * SIZE, "data": np.zeros(6 * SIZE * SIZE, np.uint8)}
    pictures[61].content |= wide
    (line,) = told([recorder.record(tmp_path / "bag", messages)], tmp_path / "data")
    assert "demonstration 0, 26 frames" in line and "and 2 more" in line
    (entry,) = json.loads((tmp_path / "data/conversion.json").read_text())["bags"]
    assert sorted(entry["left_out"].items()) == [
        ("camera: image encoding 'yuv422' is not supported, use one of "
         "['rgb8', 'bgr8', 'rgba8', 'bgra8', 'mono8', '16UC1', '32FC1']", 1),
        ("camera: image step is 1 bytes, but a row of 16 rgb8 pixels takes 48", 1),
        ("camera: not 16 x 16 pixels as the first one", 1),
        ("command: it is not finite", 1),
        ("pose: it is not finite", 1),
        ("pose: its quaternion is not unit", 1),
        ("pose: its stamp is zero", 1),
    ]  # fmt: skip


def test_what_the_simulated_arm_was_told_through_messages_comes_back(recorder, tmp_path):
    """Twists at 80 Hz as from the gate, poses at 40 Hz, pictures at 10 Hz, all from the physics."""
    from whale_ros.sim.arm import STEP_S, SimArm

    rng = np.random.default_rng(5)
    actions = np.zeros((25, 7))
    actions[:, :3] = rng.uniform(-0.02, 0.02, (25, 3)) + [0, 0, 0.01]
    actions[:, 3:6] = rng.uniform(-0.03, 0.03, (25, 3))
    actions[:, 6] = rng.integers(0, 2, 25)
    arm = SimArm("reach-v3", 3)
    messages, seen, hand = [], [], []
    steps = round(0.2 / STEP_S)
    for i in range(25 * steps + 1):
        time, action = i * STEP_S, actions[min(i // steps, 24)]
        if i % 2 == 0:
            content = {"position": arm.hand_position, "orientation": arm.hand_quaternion}
            type = "geometry_msgs/msg/PoseStamped"
            message = recorder.grip(time, 0.0)
            messages.append(replace(message, topic="/ee_pose", type=type, content=content))
        if i % 8 == 0:
            picture = cv2.resize(arm.render(), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            message = recorder.picture(0, time)
            message.content["data"] = picture.ravel()
            messages.append(message)
        if i % steps == 0:
            seen.append(picture)
            hand.append(arm.hand_position)
            messages.append(recorder.grip(time, action[6]))
        twist = action[:6] / 0.2
        messages.append(recorder.twist(time, twist))
        arm.step(twist, action[6])
    arm.close()
    (line,) = told([recorder.record(tmp_path / "bag", messages)], tmp_path / "data")
    assert line == "bag: demonstration 0, 26 frames"
    episode = load_episode(tmp_path / "data/demonstrations/000000.npz")
    np.testing.assert_allclose(episode.actions, actions, atol=1e-6)
    np.testing.assert_array_equal(episode.frames, seen)
    np.testing.assert_allclose(episode.hand_position, hand, atol=1e-6)
    (entry,) = json.loads((tmp_path / "data/conversion.json").read_text())["bags"]
    assert entry["episodes"][0]["disagreement"] < 0.5


def test_the_command_converts_what_a_person_names(bag, tmp_path, capsys, monkeypatch):
    data = tmp_path / "data"
    bag(0, "a", note="")
    bag(1, "b", note="", success=None)
    main(["convert", str(tmp_path / "bags"), str(data), "--resolution", "16", "--label", "failure"])
    printed = capsys.readouterr()
    assert "a: demonstration 0, 26 frames\nb: demonstration 1, 26 frames\n" in printed.out
    assert str(data) in printed.out and "converting: 100%" in printed.err
    success = [load_episode(path).success[-1] for path in sorted(data.glob("demonstrations/*"))]
    assert success == [True, False]
    with pytest.raises(SystemExit, match="whale: .*nowhere does not exist"):
        main(["convert", str(tmp_path / "nowhere"), str(data)])
