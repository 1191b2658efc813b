"""The gate's reader of serialized pictures against real messages."""

import array
import zlib

import pytest
from geometry_msgs.msg import PoseStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from whale_ros.nodes.serialized_image import (
    picture_of,
    pixels_of_compressed,
    position_of,
    stamp_of,
)

pytestmark = pytest.mark.ros

names = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20)
sizes = st.integers(0, 2**32 - 1)


@given(names, sizes, sizes, names, st.integers(0, 1), sizes, st.binary(max_size=40))
def test_it_reads_what_was_written(frame, height, width, encoding, big, step, data):
    image = Image(height=height, width=width, encoding=encoding, is_bigendian=big, step=step)
    image.header.frame_id = frame
    image.header.stamp.sec, image.header.stamp.nanosec = 1_700_000_000, 250_000_000
    image.data = array.array("B", data)
    serialized = serialize_message(image)
    assert stamp_of(serialized) == 1_700_000_000.25
    picture = picture_of(serialized)
    assert (picture.height, picture.width, picture.encoding) == (height, width, encoding)
    assert (picture.step, picture.size) == (step, len(data))
    assert picture.pixels == zlib.crc32(data)


@given(st.integers(0, 90), st.integers(0, 255))
def test_a_message_that_is_cut_off_is_refused_and_nonsense_does_not_crash(cut, byte):
    image = Image(height=2, width=2, step=6, encoding="rgb8", data=array.array("B", range(12)))
    whole = serialize_message(image)
    padding = 0 if len(whole) % 4 else 3
    if cut < len(whole) - padding - 12:
        with pytest.raises(ValueError):
            picture_of(whole[:cut])
    broken = bytearray(whole)
    broken[min(cut, len(whole) - 1)] = byte
    try:
        picture_of(bytes(broken))
    except ValueError as error:
        assert "bytes" in str(error)


def test_a_large_picture_is_hashed_in_part_and_still_tells_pictures_apart():
    def picture(value):
        data = array.array("B", bytes([value]) * (3 * 1000 * 1000))
        return picture_of(serialize_message(Image(height=1000, width=1000, step=3000, data=data)))

    assert picture(1) == picture(1) and picture(1) != picture(2)
    assert picture(1).why_bad() is None


@given(names, names, st.binary(max_size=40))
def test_the_data_of_a_compressed_picture_is_read(frame, format, data):
    image = CompressedImage(format=format, data=array.array("B", data))
    image.header.frame_id = frame
    serialized = serialize_message(image)
    assert pixels_of_compressed(serialized) == zlib.crc32(data)
    if len(data) > 3:
        with pytest.raises(ValueError, match="bytes"):
            pixels_of_compressed(serialized[: -len(data)])


@given(names, st.tuples(*[st.floats(allow_nan=False)] * 3))
def test_a_position_is_read_out_of_a_serialized_pose(frame, position):
    message = PoseStamped()
    message.header.frame_id = frame
    at = message.pose.position
    at.x, at.y, at.z = position
    assert position_of(serialize_message(message)) == position
    with pytest.raises(ValueError, match="bytes"):
        position_of(serialize_message(message)[:20])
