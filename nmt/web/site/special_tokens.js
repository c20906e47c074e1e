// The ids of the special tokens in every subword model.

export const [PAD, UNK, BOS, EOS] = [0, 1, 2, 3];
