"""The network: embeddings, encoder, bridge, decoder with attention, output layer."""

from nmt.model.build import build_model
from nmt.model.memory import Memory, State, StepOutput
from nmt.model.seq2seq import Seq2Seq

__all__ = ["Memory", "Seq2Seq", "State", "StepOutput", "build_model"]
