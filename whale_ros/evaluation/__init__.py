"""How good a world model is: measured on held-out episodes, shown in tables and pictures."""
