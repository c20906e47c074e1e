"""The network: embeddings, encoder, bridge, decoder with attention, output layer."""

from nmt.model.build import build_model
from nmt.model.memory import DecoderStepOutput, Memory, State
from nmt.model.seq2seq import Seq2Seq

__all__ = ["DecoderStepOutput", "Memory", "Seq2Seq", "State", "build_model"]
