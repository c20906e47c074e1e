"""Bad configurations: the mistake, where it stands, and parts of what must be said about it."""

from __future__ import annotations

from typing import NamedTuple

GOOD = """\
data:
  source_language: en
  target_language: de
  train:
    - source: train.en
      target: train.de
  valid:
    source: valid.en
    target: valid.de
"""


class Case(NamedTuple):
    text: str | bytes
    line: int
    key: str
    says: str
    hint: str


def after(text: str, key: str, says: str, hint: str, *, line: int = 10) -> Case:
    """A case whose mistake stands below the good configuration, which has 9 lines."""
    return Case(GOOD + text, line, key, says, hint)


def instead(old: str, new: str, line: int, key: str, says: str, hint: str) -> Case:
    assert old in GOOD
    return Case(GOOD.replace(old, new, 1), line, key, says, hint)


CASES = {
    # Keys that do not exist, at each level.
    "unknown section": after("trainning:\n  max_epochs: 3\n", "trainning", "unknown key", "did you mean training?"),
    "unknown key": after("seeds: 3\n", "seeds", "unknown key", "did you mean seed?"),
    "unknown in section": after(
        "model:\n  embeding_size: 3\n", "model.embeding_size", "unknown", "model.embedding_size", line=11
    ),
    "unknown deep down": after(
        "training:\n  optimizer:\n    learningrate: 1\n",
        "training.optimizer.learningrate",
        "unknown",
        "training.optimizer.learning_rate",
        line=12,
    ),
    "unknown in a list": instead(
        "      target: train.de", "      targt: train.de", 6, "data.train.0.targt", "unknown", "data.train.0.target"
    ),
    "wrong level": after(
        "training:\n  learning_rate: 1\n",
        "training.learning_rate",
        "unknown",
        "training.optimizer.learning_rate",
        line=11,
    ),
    "section at the wrong level": after(
        "optimizer:\n  kind: sgd\n", "optimizer", "unknown", "it belongs elsewhere: training.optimizer"
    ),
    "key of several sections": after(
        "layers: 2\n", "layers", "unknown", "model.encoder.layers or model.decoder.layers"
    ),
    "hyphens": after("decoding:\n  beam-size: 3\n", "decoding.beam-size", "unknown", "decoding.beam_size", line=11),
    "capitals": after("Seed: 3\n", "Seed", "unknown", "did you mean seed?"),
    "dotted key": after("training.max_epochs: 3\n", "training.max_epochs", "unknown", "sections are nested"),
    "another toolkit's name": after(
        "training:\n  batch_size: 64\n", "training.batch_size", "unknown", "training.batch_tokens", line=11
    ),
    "another toolkit's name elsewhere": after(
        "model:\n  vocab_size: 64\n", "model.vocab_size", "unknown", "tokenizer.vocabulary_size", line=11
    ),
    "a key like no other": after("data2:\n  xyzzy: 64\n", "data2", "unknown", "did you mean data?"),
    "nothing like it": after(
        "model:\n  qqqqqq: 64\n", "model.qqqqqq", "unknown", "the keys here are embedding_size", line=11
    ),
    # Missing keys.
    "no data": Case("seed: 1\n", 1, "data", "missing, expected a section", "nmt config init"),
    "no source language": instead(
        "  source_language: en\n", "", 1, "data.source_language", "missing, expected text", "such as `en`"
    ),
    "no valid": Case(
        GOOD[: GOOD.index("  valid")], 1, "data.valid", "missing, expected a section with source", "nmt config init"
    ),
    "no training text": instead(
        "    - source: train.en\n      target: train.de\n", "    []\n", 4, "data.train", "found an empty list", ""
    ),
    # Wrong types.
    "text for a number": after("seed: three\n", "seed", 'found "three", expected a whole number', ""),
    "quoted number": after('seed: "3"\n', "seed", 'found "3", expected a whole number', "write 3 without quotes"),
    "fraction": after("seed: 2.0\n", "seed", "found 2.0, expected a whole number", "write 2"),
    "power of ten for a whole number": after("seed: 1e3\n", "seed", "expected a whole number", "write 1000"),
    "underscores": after("seed: 10_000\n", "seed", 'found "10_000"', "write 10000"),
    "decimal comma": after("training:\n  clip_norm: 0,5\n", "training.clip_norm", 'found "0,5"', "write 0.5", line=11),
    "boolean for a number": after("seed: true\n", "seed", "found true, expected a whole number", ""),
    "too small": after("training:\n  max_epochs: 0\n", "training.max_epochs", "of at least 1", "", line=11),
    "too large": after("training:\n  label_smoothing: 1\n", "training.label_smoothing", "below 1", "", line=11),
    "infinite": after("training:\n  clip_norm: .inf\n", "training.clip_norm", "found inf", "", line=11),
    "not a number": after(
        "training:\n  clip_norm: .nan\n", "training.clip_norm", "expected a number above 0 or null", "", line=11
    ),
    "huge": after(f"seed: 1{'0' * 5000}\n", "seed", "a number of 5001 digits", ""),
    "beyond 32 bits": after(
        "training:\n  log_every: 3000000000\n", "training.log_every", "whole number", "2147483647", line=11
    ),
    "yes for a boolean": after(
        "tokenizer:\n  joint: yes\n", "tokenizer.joint", 'found "yes", expected true or false', "write true", line=11
    ),
    "no for a boolean": after("tokenizer:\n  joint: no\n", "tokenizer.joint", 'found "no"', "write false", line=11),
    "0 for a boolean": after("tokenizer:\n  joint: 0\n", "tokenizer.joint", "found 0", "write false", line=11),
    "not a choice": after(
        "tokenizer:\n  kind: ungiram\n",
        "tokenizer.kind",
        "expected one of unigram, bpe",
        "did you mean unigram?",
        line=11,
    ),
    "null for a choice": after("model:\n  tying: ~\n", "model.tying", "found nothing", "write the word none", line=11),
    "number for text": after("name: 7\n", "name", "found 7, expected text", 'put it in quotes: "7"'),
    "a scalar for a section": after(
        "model:\n  dropout: 0.3\n", "model.dropout", "expected a section with embedding, layers", "below it", line=11
    ),
    "a choice for a section": after(
        "training:\n  optimizer: sgd\n", "training.optimizer", "expected a section", "write `kind: sgd`", line=11
    ),
    "a list for a section": after("model:\n  - layers\n", "model", "found a list, expected a section", ""),
    "empty section": after("model:\n", "model", "found nothing, expected a section", "the section is empty"),
    "a section for a list": instead(
        "    - source: train.en\n",
        "      source: train.en\n",
        4,
        "data.train",
        "expected a list of sections",
        "start each entry with `- `",
    ),
    "a scalar for a list": after(
        "evaluation:\n  metrics: bleu\n", "evaluation.metrics", "expected a list of", "[bleu]", line=11
    ),
    "wrong entry of a list": after(
        "evaluation:\n  metrics: [bleu, blue]\n", "evaluation.metrics.1", 'found "blue"', "did you mean bleu?", line=11
    ),
    "empty entry of a list": instead(
        "    - source: train.en\n      target: train.de\n",
        "    -\n",
        5,
        "data.train.0",
        "found nothing, expected a section",
        "empty",
    ),
    # YAML.
    "empty": Case("", 0, "", "the file is empty", "nmt config init"),
    "only comments": Case("# nothing\n", 0, "", "the file is empty", "nmt config init"),
    "a list": Case("- data\n", 1, "", "found a list, expected sections", "nmt config init"),
    "a word": Case("data\n", 1, "", 'found the text "data"', "nmt config init"),
    "duplicate key": after(
        "seed: 1\nmodel: {}\nseed: 2\n", "seed", "duplicate key, first on line 10", "remove one", line=12
    ),
    "tab": after("training:\n\tmax_epochs: 3\n", "", "a tab before the text, expected spaces", "spaces only", line=11),
    "tab after a colon": after("seed:\t[\t3\n", "", "not valid YAML", ""),
    "two documents": Case(GOOD + "---\n" + GOOD, 10, "", "another document", "one file holds one configuration"),
    "pasted dots": after("...\nseed: 3\n", "", "not valid YAML", "remove the text after", line=11),
    "no space after the colon": after("seed:3\nname: x\n", "", "not valid YAML", "`key: value`"),
    "bad indentation": after(
        "training:\n  max_epochs: 3\n max_updates: 3\n", "", "not valid YAML", "same column", line=12
    ),
    "colon in text": after("name: a: b\n", "", "mapping values are not allowed", "quotes"),
    "unclosed bracket": after("evaluation: {metrics: [bleu\n", "", "not valid YAML", "a bracket was opened"),
    "unclosed quote": after('name: "x\n', "", "not valid YAML", "a quote was opened"),
    "unknown alias": after("name: *x\n", "", "undefined alias", "quotes"),
    "special character": after("name: @x\n", "", "not valid YAML", "quotes"),
    "merge key": after("model:\n  <<: {tying: none}\n", "model", "merge keys", "write the options out", line=11),
    "tag": after("name: !!python/object:os.system x\n", "name", "the tag", "without `!`"),
    "complex key": after("? [a]\n: b\n", "", "a key that is not a plain word", "words"),
    "endless alias": after("model: &a {tying: *a}\n", "", "refers to itself", "write the values out"),
    "deep nesting": after("name: " + "[" * 5000 + "\n", "", "levels deep", "brackets"),
    "not UTF-8": Case(GOOD.encode() + b"name: caf\xe9\n", 10, "", "not UTF-8 (byte 0xe9", "save the file as UTF-8"),
    "UTF-16": Case(GOOD.encode("utf-16"), 0, "", "UTF-16", "save it as UTF-8"),
    "control character": after("name: a\x07b\n", "", "U+0007", "remove this character"),
    # Contradictions.
    "no text": instead(
        "    source: valid.en\n    target: valid.de",
        "    {}",
        7,
        "data.valid",
        "no text, expected source and target, or a file with both sides",
        "write `source:`",
    ),
    "source alone": instead(
        "      target: train.de\n", "", 5, "data.train.0.source", "source requires target", "one of tsv, csv"
    ),
    "target alone": instead(
        "    source: valid.en\n", "", 8, "data.valid.target", "target requires source", "one of tsv, csv"
    ),
    "tsv and source": instead(
        "      target: train.de\n",
        "      tsv: train.de\n",
        6,
        "data.train.0.tsv",
        "tsv cannot be combined with source",
        "alone",
    ),
    "the same file twice": instead("train.de", "train.en", 6, "data.train.0.target", "are the same file", "each side"),
    "concatenation of nothing": after(
        "  concatenation: {max_pairs: 3}\n",
        "data.concatenation.max_pairs",
        "found 3, but it has no effect with data.concatenation.ratio 0",
        "set ratio above 0",
    ),
    "concatenation of one": after(
        "  concatenation: {ratio: 1, max_pairs: 1}\n", "data.concatenation.max_pairs", "of at least 2", ""
    ),
    "missing file": instead(
        "train.de",
        "train.fr",
        6,
        "data.train.0.target",
        'no such file: "train.fr"',
        "did you mean train.en or train.de?",
    ),
    "missing folder": instead(
        "train.de", "nowhere/train.de", 6, "data.train.0.target", "no such file", "no such folder: nowhere"
    ),
    "a folder": instead("train.de", ".", 6, "data.train.0.target", "is a folder", "the file inside"),
    "standard input": instead("train.de", '"-"', 6, "data.train.0.target", "standard input", "to a file first"),
    "empty path": instead("train.de", '""', 6, "data.train.0.target", "found an empty path", "path of a text file"),
    "language name": instead(
        "source_language: en",
        "source_language: English",
        2,
        "data.source_language",
        "expected a language code",
        "such as en",
    ),
    "two tests of one name": after(
        "  test:\n    - {source: test.en, target: test.de}\n    - {source: test.en, target: test.de}\n",
        "data.test.1.name",
        'name "test"',
        "write different names",
        line=12,
    ),
    "test name with a slash": after(
        "  test:\n    - {name: a/b, source: test.en, target: test.de}\n",
        "data.test.0.name",
        "name of a folder",
        "leave out",
        line=11,
    ),
    "run name with a slash": after("name: a/b\n", "name", "cannot be the name of a folder", "leave out"),
    "empty run name": after('name: " "\n', "name", "found an empty name", "baseline"),
    "reserved run name": after("name: latest\n", "name", "is taken", "another name"),
    "three-way tying": after(
        "model: {tying: three_way}\ntokenizer: {joint: false}\n", "model.tying", "tokenizer.joint is false", "two_way"
    ),
    "dot product of unequal sizes": after(
        "model:\n  encoder: {hidden_size: 300}\n",
        "model.encoder.hidden_size",
        "dot attention requires equal sizes",
        "score: general",
        line=11,
    ),
    "bridge of unequal sizes": after(
        "model:\n  attention: {score: general}\n  encoder: {bidirectional: false}\n  decoder: {bridge: mean}\n",
        "model.decoder.bridge",
        "decoder.hidden_size is 512, the encoder's output has 256",
        "learned_mean",
        line=13,
    ),
    "bridge of unequal layers": after(
        "model:\n  decoder: {bridge: last, layers: 2}\n",
        "model.decoder.bridge",
        "the decoder has 2, the encoder 1",
        "learned_last",
        line=11,
    ),
    "memory cells of nothing": after(
        "model:\n  encoder: {cell: gru, hidden_size: 256}\n  decoder: {bridge: last_with_cells}\n",
        "model.decoder.bridge",
        "model.encoder.cell gru has none",
        "`bridge: last`",
        line=12,
    ),
    "size without additive": after(
        "model:\n  attention: {size: 3}\n",
        "model.attention.size",
        "no effect with model.attention.score dot",
        "additive",
        line=11,
    ),
    "placement of nothing": after(
        "model:\n  attention: {score: none, placement: bottom}\n",
        "model.attention.placement",
        "score is none",
        "leave it out",
        line=11,
    ),
    "blind decoder": after(
        "model:\n  attention: {score: none}\n  decoder: {bridge: zero}\n",
        "model.decoder.bridge",
        "no input from the source",
        "learned_last",
        line=12,
    ),
    "alpha of nothing": after(
        "decoding:\n  length_normalization: none\n  alpha: 0.5\n", "decoding.alpha", "no effect", "average", line=12
    ),
    "n-best over beam": after(
        "decoding:\n  n_best: 9\n", "decoding.n_best", "n_best 9 is more than beam_size 5", "`beam_size: 9`", line=11
    ),
    "no length at all": after(
        "decoding: {max_length_ratio: 0, max_length_constant: 0}\n",
        "decoding.max_length_ratio",
        "empty",
        "increase one",
    ),
    "momentum with adam": after(
        "training:\n  optimizer: {momentum: 0.9}\n",
        "training.optimizer.momentum",
        "no effect with training.optimizer.kind adam",
        "`kind: sgd`",
        line=11,
    ),
    "decay without ema": after(
        "training:\n  averaging: {kind: none, decay: 0.9}\n", "training.averaging.decay", "no effect", "ema", line=11
    ),
    "count without snapshots": after(
        "training:\n  averaging: {count: 9}\n", "training.averaging.count", "no effect", "last or best", line=11
    ),
    "plateau option elsewhere": after(
        "training:\n  schedule: {kind: constant, factor: 0.7}\n",
        "training.schedule.factor",
        "no effect",
        "plateau",
        line=11,
    ),
    "restart without a plateau": after(
        "training:\n  schedule: {kind: cosine, restart: true}\n",
        "training.schedule.restart",
        "found true, but it has no effect with training.schedule.kind cosine",
        "`kind: plateau`",
        line=11,
    ),
    "endless warmup": after(
        "training: {max_updates: 100, schedule: {warmup: 100}}\n",
        "training.schedule.warmup",
        "training ends after 100",
        "lower warmup",
    ),
    "warmup is 0": after(
        "training: {schedule: {kind: inverse_sqrt}}\n", "training.schedule.kind", "warmup is 0", "`warmup: 4000`"
    ),
    "unmeasured metric": after(
        "training: {validation: {metrics: [chrf]}}\n",
        "training.validation.metrics",
        "bleu is not computed",
        "`metric: chrf`",
    ),
    "metric twice": after("evaluation: {metrics: [bleu, bleu]}\n", "evaluation.metrics", "twice", "remove one"),
    "no metric": after("evaluation: {metrics: []}\n", "evaluation.metrics", "found an empty list", "bleu"),
    "symbol with a space": after(
        'tokenizer: {user_symbols: ["a b"]}\n', "tokenizer.user_symbols.0", "contains a space", "remove the space"
    ),
    "empty symbol": after(
        'tokenizer: {user_symbols: [""]}\n', "tokenizer.user_symbols.0", "empty symbol", "leave it out"
    ),
    "symbol twice": after("tokenizer: {user_symbols: [<a>, <a>]}\n", "tokenizer.user_symbols.1", "twice", "remove one"),
    "reserved symbol": after(
        "tokenizer: {user_symbols: [<s>]}\n", "tokenizer.user_symbols.0", "every subword model", "choose another"
    ),
    "tag with a space": instead(
        "      target: train.de\n",
        "      target: train.de\n      tag: a b\n",
        7,
        "data.train.0.tag",
        "contains a space",
        "remove the space",
    ),
    "vocabulary below the bytes": after(
        "tokenizer: {vocabulary_size: 200}\n",
        "tokenizer.vocabulary_size",
        "too small for 4 special pieces, 256 bytes",
        "byte_fallback: false",
    ),
    "r_drop without dropout": after(
        "training: {r_drop: 1}\nmodel: {dropout: {embedding: 0, layers: 0, output: 0}}\n",
        "training.r_drop",
        "every model.dropout is 0",
        "`output: 0.2`",
    ),
    "risk without its objective": after(
        "training: {minimum_risk: {samples: 5}}\n",
        "training.minimum_risk.samples",
        "no effect with training.objective likelihood",
        "`objective: minimum_risk`",
    ),
    "r_drop with risk": after(
        "training: {objective: minimum_risk, r_drop: 1}\n",
        "training.r_drop",
        "no effect with training.objective minimum_risk",
        "`objective: likelihood`",
    ),
    "scheduled sampling with risk": after(
        "training: {objective: minimum_risk, scheduled_sampling: {probability: 0.2}}\n",
        "training.scheduled_sampling.probability",
        "no effect with training.objective minimum_risk",
        "`objective: likelihood`",
    ),
    "scheduled sampling of nothing": after(
        "training:\n  scheduled_sampling:\n    choice: sample\n",
        "training.scheduled_sampling.choice",
        "found sample, but it has no effect with training.scheduled_sampling.probability 0",
        "set probability above 0",
        line=12,
    ),
    "form of no ramp": after(
        "training:\n  scheduled_sampling: {probability: 0.2, ramp: inverse_sigmoid}\n",
        "training.scheduled_sampling.ramp",
        "no effect with ramp_updates 0",
        "set ramp_updates",
        line=11,
    ),
    "scheduled sampling after the end": after(
        "training:\n  max_updates: 100\n  scheduled_sampling: {probability: 0.2, start_updates: 100}\n",
        "training.scheduled_sampling.start_updates",
        "found 100, but training ends after 100 updates",
        "lower start_updates",
        line=12,
    ),
    "coverage loss without attention": after(
        "training: {coverage_loss: 1}\nmodel: {attention: {score: none}}\n",
        "training.coverage_loss",
        "coverage_loss requires attention",
        "choose a score",
    ),
    "alignment weight without alignments": after(
        "training: {guided_alignment: {weight: 0.1}}\n",
        "training.guided_alignment.weight",
        "no corpus of data.train has an alignment",
        "`alignment:`",
    ),
    "alignment decay without an end": after(
        "training: {guided_alignment: {decay_updates: 10}}\n",
        "training.guided_alignment.decay_updates",
        "decay_updates requires final_weight",
        "set both",
    ),
    "alignment decay to the same": after(
        "training: {guided_alignment: {decay_updates: 10, final_weight: 0}}\n",
        "training.guided_alignment.final_weight",
        "also the value of weight",
        "leave out",
    ),
    "two files for one table": after(
        "model: {tying: three_way, initialization: {source_embeddings: train.en, target_embeddings: train.de}}\n",
        "model.initialization.target_embeddings",
        "three_way tying shares one table",
        "into one file",
    ),
    "nothing frozen": after('training: {frozen: [""]}\n', "training.frozen.0", "found an empty name", "encoder.*"),
    "alignment that is not there": instead(
        "      target: train.de\n",
        "      target: train.de\n      alignment: train.algin\n",
        7,
        "data.train.0.alignment",
        "no such file",
        "",
    ),
    "vectors that are not there": after(
        "model: {initialization: {source_embeddings: en.vec}}\n",
        "model.initialization.source_embeddings",
        "no such file",
        "",
    ),
}
