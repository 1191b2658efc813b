"""The built-in robot: Meta-World's Sawyer in MuJoCo, with a rendered camera. No ROS in here."""
