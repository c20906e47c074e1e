"""Conflicts between the options of the network."""

from __future__ import annotations

from collections.abc import Iterator

from nmt.config.conflicts.base import Check, Conflict, OnlyUsedWith, ignored_options, key, value_at, written
from nmt.config.problems import KeyPath
from nmt.config.schema import Config, EncoderConfig


def encoder_sizes(encoder: EncoderConfig) -> list[int]:
    """Return the number of output features of each encoder layer."""
    both = 0 if not encoder.bidirectional else encoder.bidirectional_layers or encoder.layers
    return [encoder.hidden_size * (2 if level < both else 1) for level in range(encoder.layers)]


def sharing(config: Config) -> Iterator[Conflict]:
    """Check that one embedding table for both languages has one vocabulary."""
    if config.model.tying == "three_way" and not config.tokenizer.joint:
        yield Conflict(
            (key("model.tying"), key("tokenizer.joint")),
            "three_way tying shares one table between both languages, but tokenizer.joint is false",
            "write `tying: two_way`, or `joint: true` under tokenizer",
        )


def sizes(config: Config) -> Iterator[Conflict]:
    """Check that vectors that are compared or copied have the same size."""
    model, encoder, decoder = config.model, config.model.encoder, config.model.decoder
    every = encoder_sizes(encoder)
    memory = every[-1]
    shape = tuple(
        key(f"model.{name}")
        for name in (
            "decoder.hidden_size",
            "encoder.hidden_size",
            "encoder.bidirectional_layers",
            "encoder.bidirectional",
        )
    )
    given = f"decoder.hidden_size is {decoder.hidden_size}, the encoder's output has {memory} features"
    fitting = f"write `hidden_size: {memory}` under model.decoder"
    unprojected = model.attention.score in ("dot", "scaled_dot") and model.attention.heads == 1
    if unprojected and decoder.hidden_size != memory:
        paths = (key("model.attention.score"), *shape)
        message = f"{model.attention.score.replace('_', ' ')} attention requires equal sizes: {given}"
        yield Conflict(paths, message, f"write `score: general`, or {fitting}")
    last = decoder.bridge in ("last", "last_with_cells")
    if (last or decoder.bridge == "mean") and decoder.hidden_size != memory:
        paths = (key("model.decoder.bridge"), *shape)
        message = f"bridge {decoder.bridge} copies the encoder's state as it is: {given}"
        learned = "learned_last" if last else "learned_mean"
        yield Conflict(paths, message, f"write `bridge: {learned}`, or {fitting}")
    layered = f"bridge {decoder.bridge} copies layer by layer"
    if last and decoder.layers != encoder.layers:
        yield Conflict(
            (key("model.decoder.bridge"), key("model.decoder.layers"), key("model.encoder.layers")),
            f"{layered}: the decoder has {decoder.layers}, the encoder {encoder.layers}",
            "write `bridge: learned_last`, or the same number of layers on both sides",
        )
    elif last and len(set(every)) > 1:
        yield Conflict(
            (key("model.decoder.bridge"), key("model.encoder.bidirectional_layers")),
            f"{layered}, but the encoder's layers have {every[0]} and {memory} features",
            "write `bridge: learned_last`",
        )


def memory_cells(config: Config) -> Iterator[Conflict]:
    """Check that both sides have memory cells if they are copied."""
    if config.model.decoder.bridge != "last_with_cells":
        return
    for side, cell in (("encoder", config.model.encoder.cell), ("decoder", config.model.decoder.cell)):
        if cell not in ("lstm", "layer_norm_lstm"):
            yield Conflict(
                (key("model.decoder.bridge"), key(f"model.{side}.cell")),
                f"bridge last_with_cells copies memory cells, but model.{side}.cell {cell} has none",
                "write `bridge: last`",
            )


def directions(config: Config) -> Iterator[Conflict]:
    """Check that options of unidirectional layers have such layers."""
    encoder = config.model.encoder
    path = {name: key(f"model.encoder.{name}") for name in type(encoder).model_fields}
    both = encoder.bidirectional_layers or encoder.layers
    if encoder.bidirectional_layers is not None and not encoder.bidirectional:
        message = f"found {both}, but it has no effect with model.encoder.bidirectional false"
        paths: tuple[KeyPath, ...] = (path["bidirectional_layers"], path["bidirectional"])
        yield Conflict(paths, message, "leave it out, or write `bidirectional: true`", ignored=True)
        return
    if both > encoder.layers:
        message = f"found {both}, but the encoder has {encoder.layers} layers"
        paths = (path["bidirectional_layers"], path["layers"])
        yield Conflict(paths, message, "leave it out for all layers, or increase `layers`")
        return
    one_way = range(both if encoder.bidirectional else 0, encoder.layers)
    hint = "leave it out, or write `bidirectional: false`, or a smaller `bidirectional_layers`"
    if encoder.reversed and not one_way:
        message = "reversed has no effect, because all layers are bidirectional"
        paths = (path["reversed"], path["bidirectional_layers"], path["bidirectional"])
        yield Conflict(paths, message, hint)
    if encoder.alternating and not any(level % 2 for level in one_way):
        if one_way and both >= encoder.layers - 1:
            hint = "leave it out, or increase `layers`"
        message = "alternating reverses every second unidirectional layer, but there is no such layer"
        paths = (path["alternating"], path["bidirectional_layers"], path["bidirectional"], path["layers"])
        yield Conflict(paths, message, hint)


def residuals(config: Config) -> Iterator[Conflict]:
    """Check that input and output of residual layers have the same size."""
    model = config.model
    encoder = [model.embedding_size, *encoder_sizes(model.encoder)]
    decoder = [model.embedding_size] + [model.decoder.hidden_size] * model.decoder.layers
    for side, features in (("encoder", encoder), ("decoder", decoder)):
        layers = len(features) - 1
        start = value_at(config, key(f"model.{side}.residual_from"))
        path, depth = key(f"model.{side}.residual_from"), key(f"model.{side}.layers")
        if start is None:
            continue
        if start > layers:
            message = f"found {start}, but the {side} has {layers} layer{'s' if layers > 1 else ''}"
            yield Conflict((path, depth), message, f"leave it out, or write `layers: {start}` or more")
        unequal = [level for level in range(start, layers + 1) if features[level - 1] != features[level]]
        if unequal:
            level = unequal[-1]
            message = (
                f"layer {level} cannot add {features[level - 1]} input features to {features[level]} output features"
            )
            hint = f"write `residual_from: {level + 1}`" if level < layers else "leave it out"
            paths = (path, key(f"model.{side}.hidden_size"), key("model.embedding_size"))
            yield Conflict(paths, message, hint + ", or make the sizes equal")


ATTENTION_OPTIONS = (
    "attention.heads",
    "attention.scope",
    "attention.coverage",
    "attention.placement",
    "attention.input_feeding",
    "attention.context_gate",
    "dropout.attention",
    "lexical_model",
)


def no_attention(config: Config) -> Iterator[Conflict]:
    """Check for options of attention in a model without attention, and for a decoder without input from the encoder."""
    if config.model.attention.score != "none":
        return
    score = key("model.attention.score")
    for name in ATTENTION_OPTIONS:
        path = key(f"model.{name}")
        value = value_at(config, path)
        if value != type(value_at(config, path[:-1])).model_fields[str(path[-1])].default:
            message = f"{path[-1]} {written(value)} requires attention, but attention.score is none"
            yield Conflict((path, score), message, "leave it out, or choose a score", ignored=True)
    if config.model.decoder.bridge == "zero":
        message = "bridge zero with attention.score none: the decoder would have no input from the source sentence"
        yield Conflict((key("model.decoder.bridge"), score), message, "write `bridge: learned_last`")


def scores(config: Config) -> Iterator[Conflict]:
    """Check the options of attention scores."""
    attention = config.model.attention
    score = key("model.attention.score")
    if attention.coverage and attention.score in ("dot", "scaled_dot", "general"):
        message = f"coverage requires a score with a tanh layer, but score is {attention.score}"
        yield Conflict((key("model.attention.coverage"), score), message, "write `score: additive` or concat")
    if attention.size is not None and not _has_size(config):
        message = f"found {attention.size}, but it has no effect with model.attention.score {attention.score}"
        hint = "leave it out (its default is null), or write `score: additive` or concat"
        if attention.score in ("dot", "scaled_dot"):
            message, hint = f"{message} and one head", f"{hint}, or more `heads`"
        yield Conflict((key("model.attention.size"), score), message, hint, ignored=True)
    yield from _heads(config)


def _has_size(config: Config) -> bool:
    attention = config.model.attention
    return attention.score in ("concat", "additive") or (
        attention.score in ("dot", "scaled_dot") and attention.heads > 1
    )


def _heads(config: Config) -> Iterator[Conflict]:
    model, attention = config.model, config.model.attention
    compared: tuple[int, KeyPath] = model.decoder.hidden_size, key("model.decoder.hidden_size")
    if attention.size is not None and _has_size(config):
        compared = attention.size, key("model.attention.size")
    if attention.score == "none":
        return
    for features, path in (compared, (encoder_sizes(model.encoder)[-1], key("model.encoder.hidden_size"))):
        if features % attention.heads:
            message = (
                f"{features} features ({'.'.join(map(str, path))}) cannot be divided among {attention.heads} heads"
            )
            near = next(number for number in range(attention.heads, 0, -1) if features % number == 0)
            yield Conflict((key("model.attention.heads"), path), message, f"write `heads: {near}`, or other sizes")
            return


def dropouts(config: Config) -> Iterator[Conflict]:
    """Check that variational dropout has a dropout mask."""
    dropout = config.model.dropout
    if dropout.variational and not (dropout.embedding or dropout.layers or dropout.output):
        paths = tuple(key(f"model.dropout.{name}") for name in ("variational", "embedding", "layers", "output"))
        message = "variational has no effect, because the dropout of embedding, layers and output is 0"
        yield Conflict(paths, message, "leave it out, or increase one of the three")


def forget_gates(config: Config) -> Iterator[Conflict]:
    """Check that a forget bias has forget gates, which only LSTMs have."""
    cells = {config.model.encoder.cell, config.model.decoder.cell}
    default = type(config.model.initialization).model_fields["forget_bias"].default
    if config.model.initialization.forget_bias != default and not cells & {"lstm", "layer_norm_lstm"}:
        paths = tuple(key(f"model.{name}") for name in ("initialization.forget_bias", "encoder.cell", "decoder.cell"))
        bias = written(config.model.initialization.forget_bias)
        message = f"found {bias}, but {' and '.join(sorted(cells))} have no forget gates"
        yield Conflict(paths, message, "leave it out, or write `cell: lstm`", ignored=True)


ONLY_USED_WITH = (
    OnlyUsedWith("model.attention.window", "model.attention.scope", ("local_m", "local_p")),
    OnlyUsedWith("model.initialization.scale", "model.initialization.kind", ("uniform", "normal")),
)


def ignored(config: Config) -> Iterator[Conflict]:
    """Yield options that another option makes ineffective."""
    return ignored_options(config, ONLY_USED_WITH)


CHECKS: tuple[Check, ...] = (
    sharing,
    sizes,
    memory_cells,
    directions,
    residuals,
    no_attention,
    scores,
    dropouts,
    forget_gates,
    ignored,
)
