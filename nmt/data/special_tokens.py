"""The ids that mean the same in every subword model: padding, what has no piece, beginning and end of a sentence."""

PAD, UNK, BOS, EOS = 0, 1, 2, 3
