"""What a run leaves behind: its folder, checkpoints, reports, and where a model comes from."""
