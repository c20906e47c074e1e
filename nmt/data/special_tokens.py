"""The ids of the special tokens in every subword model: padding, unknown piece, beginning and end of a sentence."""

PAD, UNK, BOS, EOS = 0, 1, 2, 3
