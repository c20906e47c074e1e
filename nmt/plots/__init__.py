"""Pictures for people: attention as heat maps, training as curves. Nothing here computes with a model."""
