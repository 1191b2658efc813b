"""LeRobot datasets (format v3.0), read and written; LeRobot itself is not needed."""
