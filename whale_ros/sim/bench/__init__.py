"""A second robot, on a workbench: another arm, gripper, table, camera and light. No ROS in here."""
