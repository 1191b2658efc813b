"""What messages tell the gate, as its core takes it."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped

from whale_ros.gate.chunk import Chunk
from whale_ros.gate.confidence import Heartbeat
from whale_ros.gate.pose import Pose
from whale_ros.msg import ApprovedChunk, Uncertainty
from whale_ros.nodes.sequences import seconds

LONGEST_NAME = 80  # characters of what is told on


def to_pose(message: PoseStamped) -> Pose:
    p, q = message.pose.position, message.pose.orientation
    return Pose(
        seconds(message.header.stamp),
        message.header.frame_id,
        np.array([p.x, p.y, p.z]),
        np.array([q.w, q.x, q.y, q.z]),
    )


def to_heartbeat(message: Uncertainty) -> Heartbeat:
    return Heartbeat(
        stamp=seconds(message.header.stamp),
        ready=message.ready,
        uncertainty=message.uncertainty,
        threshold=message.threshold,
        familiarity_error=message.familiarity_error,
        familiarity_threshold=message.familiarity_threshold,
        checkpoint=message.checkpoint,
        message=message.message,
        retraced=message.took_part != 0,
    )


def to_chunk(message: ApprovedChunk) -> Chunk:
    """Nothing is allocated for what it claims to be."""
    actions = message.actions
    return Chunk(
        id=actions.id[:LONGEST_NAME],
        session=message.session[:LONGEST_NAME],
        sequence=message.sequence,
        stamp=seconds(message.header.stamp),
        expiry=seconds(message.expiry),
        start=seconds(actions.header.stamp),
        frame=actions.header.frame_id,
        action_space=actions.action_space,
        step_s=seconds(actions.step_duration),
        horizon=actions.horizon,
        dim=actions.dim,
        numbers=actions.actions,
        uncertainty=message.uncertainty,
        threshold=message.threshold,
        checkpoint=message.checkpoint,
    )
