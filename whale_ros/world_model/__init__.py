"""Networks that imagine: tokenizer, dynamics, and how they are stored. No ROS in here."""
