// The ids of the special tokens in every subword model.

export const UNK = 1;
export const BOS = 2;
export const EOS = 3;
