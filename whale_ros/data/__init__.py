"""Episodes: what a robot saw and did, on disk and in memory."""
