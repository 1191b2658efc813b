"""What fine-tuning is worth: few demonstrations of another robot, and what they change."""
