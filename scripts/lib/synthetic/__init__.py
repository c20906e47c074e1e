"""Training text whose one side a model has written: scripts/distill and scripts/back_translate."""
