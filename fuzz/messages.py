"""Messages as they come from the wire: any bytes are read, or refused by the right error."""

from __future__ import annotations

import contextlib
from typing import Any

import cv2
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from whale_ros.actions.space import ActionSpace
from whale_ros.data.images import ENCODINGS, MAX_PIXELS, BadImage, to_array, to_rgb
from whale_ros.msg import ActionSequence, CandidateSet
from whale_ros.nodes.images import from_array
from whale_ros.nodes.sequences import (
    MAX_HORIZON,
    MAX_SEQUENCES,
    BadSequence,
    to_actions,
    to_message,
    to_sequences,
)
from whale_ros.nodes.serialized_image import picture_of, pixels_of_compressed, stamp_of

SPACE = ActionSpace()
PLAIN = (b"\0\0", b"\0\1")  # CDR, of either byte order
PIXELS = (np.arange(4 * 6 * 3) * 5 % 251).astype(np.uint8).reshape(4, 6, 3)


def image(data: bytes) -> None:
    """The gate's reader of serialized images, against the one of ROS; and their conversion."""
    with contextlib.suppress(ValueError):
        pixels_of_compressed(data)
    try:
        picture, _ = picture_of(data), stamp_of(data)
    except ValueError:
        picture = None
    message = read_message(data, Image)
    if message is None:
        return
    if picture is not None:
        assert (picture.height, picture.width) == (message.height, message.width)
        assert (picture.step, picture.size) == (message.step, len(message.data))
        assert picture.why_bad() or picture.height * picture.step == len(message.data)
    if data[:2] not in PLAIN:  # the gate takes no other, ROS 2 sends no other
        return
    try:
        array = to_array(message)
    except BadImage:
        return
    assert picture is not None and not picture.why_bad(), "the gate refuses what others take"
    channels, dtype = ENCODINGS[message.encoding]
    assert array.shape == (message.height, message.width, channels)[: 2 + (channels > 1)]
    assert array.dtype == dtype and array.dtype.isnative and array.size
    again = to_array(from_array(array, message.encoding))
    assert again.tobytes() == array.tobytes()
    try:
        assert to_rgb(message).shape == (*array.shape[:2], 3)
    except BadImage:
        assert message.encoding in ("16UC1", "32FC1")


def compressed_image(data: bytes) -> None:
    """PNG and JPEG, as they lie in the message."""
    message = CompressedImage(format="jpeg")
    message.data = data
    try:
        pixels = to_rgb(message)
    except BadImage:
        return
    assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    assert 0 < pixels.shape[0] * pixels.shape[1] <= MAX_PIXELS


def action_sequence(data: bytes) -> None:
    message = read_message(data, ActionSequence)
    if message is None:
        return
    try:
        actions = to_actions(message, SPACE, "base")
    except BadSequence:
        return
    _check_actions(actions)


def candidate_set(data: bytes) -> None:
    message = read_message(data, CandidateSet)
    if message is None:
        return
    try:
        sequences = to_sequences(message, SPACE, "base")
    except BadSequence:
        return
    assert 1 <= len(sequences) == len(message.candidates) <= MAX_SEQUENCES
    for start_s, actions in sequences:
        assert np.isfinite(start_s)
        _check_actions(actions)


def _check_actions(actions: np.ndarray) -> None:
    assert actions.ndim == 2 and 1 <= len(actions) <= MAX_HORIZON and np.isfinite(actions).all()
    assert np.linalg.norm(actions[:, :3], axis=1).max() <= SPACE.max_translation_m * 1.0001
    assert np.linalg.norm(actions[:, 3:6], axis=1).max() <= SPACE.max_rotation_rad * 1.0001


def read_message(data: bytes, kind: Any) -> Any:
    """None if DDS cannot read it: then no callback ever sees it."""
    if data[3:4] and data[3] & 3:  # Fast CDR reads beyond a message shorter than its padding
        return None
    try:
        return deserialize_message(data, kind)
    except Exception:  # rclpy has no narrower one for it
        return None


# ---- where to begin


def images() -> list[bytes]:
    """One of each encoding."""
    arrays = {
        "rgb8": PIXELS,
        "bgr8": PIXELS,
        "rgba8": np.dstack([PIXELS, PIXELS[..., :1]]),
        "mono8": PIXELS[..., 0],
        "16UC1": PIXELS[..., 0].astype(np.uint16),
        "32FC1": PIXELS[..., 0].astype(np.float32),
    }
    messages = [from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()]
    messages[0].header.frame_id = "camera"
    messages[0].header.stamp.sec = 1_700_000_000
    messages[-1].is_bigendian = 1
    return [serialize_message(message) for message in messages]


def compressed_images() -> list[bytes]:
    grey16 = PIXELS[..., 0].astype(np.uint16) * 200
    clear = np.dstack([PIXELS, PIXELS[..., :1]])
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1]
    return [
        cv2.imencode(".png", PIXELS)[1].tobytes(),
        cv2.imencode(".png", grey16)[1].tobytes(),
        cv2.imencode(".png", clear)[1].tobytes(),
        cv2.imencode(".jpg", PIXELS)[1].tobytes(),
        cv2.imencode(".jpg", PIXELS[..., 0])[1].tobytes(),
        cv2.imencode(".jpg", PIXELS, progressive)[1].tobytes(),
    ]


def action_sequences() -> list[bytes]:
    return [serialize_message(message) for message in _sequences()]


def candidate_sets() -> list[bytes]:
    one, wide, long = _sequences()
    sets = [[one], [wide, wide], [one, wide, long], []]
    return [serialize_message(CandidateSet(source="s", candidates=each)) for each in sets]


def _sequences() -> list[ActionSequence]:
    wide = np.tile([0.03, 0.0, -0.02, 0.0, 0.05, 0.0, 1.0], (3, 1))
    sequences = [np.zeros((1, 7)), wide, np.zeros((MAX_HORIZON, 7))]
    return [to_message(actions, "a", 1.7e9, SPACE, "base") for actions in sequences]
