"""The network: embeddings, encoder, bridge, decoder with attention, output layer."""

from nmt.model.build import build_model
from nmt.model.memory import DecoderState, DecoderStepOutput, Memory
from nmt.model.seq2seq import Seq2Seq

__all__ = ["DecoderState", "DecoderStepOutput", "Memory", "Seq2Seq", "build_model"]
