"""Networks for inference: the model of a file, computed step by step over arrays, without torch on a processor."""

from nmt.engine.network import InferenceNetwork

__all__ = ["InferenceNetwork"]
