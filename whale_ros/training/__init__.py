"""Training of the world model's parts from a dataset folder."""
