"""Experiments that train in seconds, for the tests of the training room and the command line."""

from __future__ import annotations

import random
from pathlib import Path

NOUNS = {"dog": "Hund", "cat": "Katze", "bird": "Vogel", "tree": "Baum", "house": "Haus", "child": "Kind"}
VERBS = {"sees": "sieht", "likes": "mag", "finds": "findet", "takes": "nimmt"}
ADVERBS = {"today": "heute", "here": "hier", "often": "oft"}


def toy_pairs(count: int, *, seed: int) -> list[tuple[str, str]]:
    """Different sentences such as "today the dog sees a cat" / "heute sieht Hund Katze": words change and move."""
    generator = random.Random(seed)
    pairs: dict[str, str] = {}
    while len(pairs) < count:
        adverb, verb = generator.choice(list(ADVERBS)), generator.choice(list(VERBS))
        nouns = generator.choices(list(NOUNS), k=generator.randint(2, 4))
        source = f"{adverb} the {nouns[0]} {verb} a " + " and a ".join(nouns[1:])
        target = f"{ADVERBS[adverb]} {VERBS[verb]} {NOUNS[nouns[0]]} " + " und ".join(NOUNS[noun] for noun in nouns[1:])
        pairs[source] = target
    return list(pairs.items())


TOY_CONFIG = """\
name: toy
seed: 5
data:
  source_language: en
  target_language: de
  train:
    - {source: train.en, target: train.de}
  valid: {source: valid.en, target: valid.de}
  test:
    - {name: toy-test, source: test.en, target: test.de}
tokenizer:
  vocabulary_size: 80
  byte_fallback: false
  sampling: 0.0
  kind: bpe
model:
  embedding_size: 24
  encoder: {hidden_size: 16}
  decoder: {hidden_size: 32}
  dropout: {embedding: 0.1, layers: 0.1, output: 0.1, source_words: 0.05, target_words: 0.05}
training:
  batch_tokens: 256
  max_epochs: 3
  precision: fp32
  threads: 1
  log_every: 5
  tensorboard: false
  optimizer: {learning_rate: 0.01}
  validation: {samples: 1}
decoding:
  beam_size: 2
  threads: 1
"""


def write_toy_experiment(folder: Path, *, pairs: int = 300) -> Path:
    """Write corpora and `toy.yaml`, with paths relative to `folder`; return the configuration's path."""
    every = toy_pairs(pairs + 60, seed=1)
    parts = {"valid": every[:30], "test": every[30:60], "train": every[60:]}
    for name, part in parts.items():
        for side, language in enumerate(("en", "de")):
            text = "".join(pair[side] + "\n" for pair in part)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")
    config = folder / "toy.yaml"
    config.write_text(TOY_CONFIG, encoding="utf-8")
    return config
