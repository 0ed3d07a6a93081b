"""The one training loop, its checkpoints, its log and its pictures."""
