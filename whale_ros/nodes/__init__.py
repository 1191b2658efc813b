"""The ROS 2 nodes: messages in, a call to the core, messages out. Only here is rclpy imported."""
