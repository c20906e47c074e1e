"""The session of `nmt repl`: translates sentences and executes commands."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from nmt.api import LoadedModel
from nmt.config.schema import DecodingConfig
from nmt.config.yaml_document import parse_value
from nmt.data.lines import is_blank
from nmt.errors import UsageError
from nmt.inference.attention import LineAttention
from nmt.inference.model_file import ModelFile, load_models
from nmt.inference.output.quality_flags import find_flags
from nmt.inference.results import Translation
from nmt.plots.terminal import LEGEND, text_heatmap
from nmt.terminal import make_console

LEVELS = ("words", "pieces", "off")
MAX_UNITS = 100
"""Number of target pieces or words above which attention is not shown."""

HELP = """\
TEXT              translate a sentence
:target TEXT      score a translation of the last sentence, and show its attention
:beam N           set the beam size
:alternatives N   set the number of hypotheses shown
:attention UNITS  show attention between words or pieces, or turn it off
:set NAME VALUE   set a decoding option, such as :set length_normalization gnmt
                  null restores the value stored in the model
:options          show all decoding options
:model PATH ...   load another model, or an ensemble of several
:help             show this help
:quit             end the session, like Ctrl-D"""


class Session:
    """Loaded models, decoding options, and the terminal."""

    def __init__(
        self,
        models: Sequence[Path] | None,
        *,
        weights: Sequence[float] | None,
        alternatives: int,
        attention: str,
        decoding: Mapping[str, Any],
    ) -> None:
        """Loads the models.

        Args:
            models: model files or run folders. None means the model that `find_model` finds.
            weights: weights of the models in the ensemble.
            alternatives: maximum number of hypotheses shown.
            attention: "words", "pieces" or "off".
            decoding: decoding options. None means the value stored in the model.

        Raises:
            UsageError: a model does not exist, or the options conflict.
            CheckpointError: a file is not a model file, or is damaged.
        """
        self._alternatives = alternatives
        self._attention = attention
        self._options = {name: value for name, value in decoding.items() if value is not None}
        self._loaded = load_models(models or None)
        self._weights = weights or None
        self._model = self._make(self._loaded, self._options, alternatives)
        self._last = ""
        self._console = make_console() if sys.stdout is not None and sys.stdout.isatty() else None
        self._commands: dict[str, Callable[[str], None]] = {
            "alternatives": self._set_alternatives,
            "attention": self._set_attention,
            "beam": lambda given: self._change({"beam_size": _number(given, "beam")}),
            "help": lambda given: self._show(HELP.split("\n")),
            "model": self._set_model,
            "options": self._show_options,
            "quit": self._quit,
            "set": self._set_option,
            "target": self._score,
        }

    def answer(self, line: str) -> None:
        """Translate a sentence or execute a command.

        Raises:
            EOFError: the command ends the session.
            NMTError: the command failed. The session is unchanged.
        """
        line = line.strip()
        if line.startswith(":"):
            name, _, given = line[1:].partition(" ")
            matching = [command for command in self._commands if name and command.startswith(name)]
            if name not in self._commands and len(matching) != 1:
                raise UsageError(f":{name}: unknown command. :help lists all commands.")
            self._commands[name if name in self._commands else matching[0]](given.strip())
        elif not is_blank(line):
            self._last = line
            self._translate(line)

    def _translate(self, line: str) -> None:
        translation = self._model.translate(line)
        # A program that reads the answers from a pipe gets translations alone.
        flags = [] if self._console is None else find_flags(translation)
        shown = [Text(f"  flags: {', '.join(flags)}", style="yellow")] if flags else []
        self._show([Text(translation.text, style="bold"), *shown, *_alternatives(translation)])
        if self._shows_attention():
            self._show_attention(self._model.attention(line))

    def _score(self, target: str) -> None:
        if not self._last:
            raise UsageError(":target requires a sentence before it.")
        score = self._model.score(self._last, target)
        if score is None:
            raise UsageError("the last sentence is blank and has no score.")
        self._show([f"log-probability {score.log_probability:.4f}, mean {score.mean:.4f}, score {score.score:.4f}"])
        numbers = zip([*score.pieces, "</s>"], score.piece_log_probabilities, strict=True)
        self._show(f"  {value:9.4f}  {piece}" for piece, value in numbers)
        if self._shows_attention():
            self._show_attention(self._model.attention(self._last, target))

    def _shows_attention(self) -> bool:
        available = len(self._loaded) == 1 and self._model.config.model.attention.score != "none"
        return available and self._attention != "off"

    def _show_attention(self, attended: LineAttention | None) -> None:
        if attended is None:
            return
        attention = attended.words if self._attention == "words" else attended.pieces
        if len(attention.target.texts) > MAX_UNITS:
            self._show(["(attention is not shown for long translations)"])
            return
        width = None if self._console is None else self._console.width
        self._show([Text(), *text_heatmap(attention, width=width), Text(LEGEND, style="dim"), Text()])

    def _set_alternatives(self, given: str) -> None:
        count = _number(given, "alternatives")
        self._model = self._make(self._loaded, self._options, count)
        self._alternatives = count

    def _set_attention(self, given: str) -> None:
        if given not in LEVELS:
            raise UsageError(f":attention {given}: expected one of {', '.join(LEVELS)}")
        self._attention = given

    def _set_model(self, given: str) -> None:
        try:
            paths = shlex.split(given)
        except ValueError:
            raise UsageError(":model: a quotation mark is not closed.") from None
        if paths:
            models = load_models(paths)
            self._model = self._make(models, self._options, self._alternatives)
            self._loaded, self._weights = models, None
        data = self._model.config.data
        names = ", ".join(str(model.path) for model in self._loaded)
        self._show([f"{names}: {data.source_language} to {data.target_language}"])

    def _set_option(self, given: str) -> None:
        name, _, value = given.partition(" ")
        if not (name and value):
            raise UsageError(":set requires the name of an option and its value. :options lists all options.")
        self._change({name.replace("-", "_"): parse_value(value)})

    def _show_options(self, given: str) -> None:
        decoding = self._model.decoding
        shown = {name: getattr(decoding, name) for name in DecodingConfig.model_fields if name != "n_best"}
        self._show(f"{name:22} {'null' if value is None else value}" for name, value in shown.items())

    def _quit(self, given: str) -> None:
        raise EOFError

    def _change(self, options: Mapping[str, Any]) -> None:
        """Change decoding options, if the new ones are valid."""
        changed = {**self._options, **options}
        self._model = self._make(self._loaded, changed, self._alternatives)
        self._options = changed

    def _make(self, models: Sequence[ModelFile], options: Mapping[str, Any], alternatives: int) -> LoadedModel:
        """Return a model with these options, and with as many alternatives as the beam has hypotheses."""
        beam = options.get("beam_size") or models[0].config.decoding.beam_size
        room = max(1, min(alternatives, beam)) if isinstance(beam, int) else 1
        weights = self._weights if models is self._loaded else None
        return LoadedModel(models, weights=weights, decoding={**options, "n_best": room})

    def _show(self, lines: Iterable[Text | str]) -> None:
        for line in lines:
            if self._console is not None:
                self._console.print(line, markup=False, soft_wrap=True)
            elif sys.stdout is not None:
                sys.stdout.write(f"{line.plain if isinstance(line, Text) else line}\n")
        if sys.stdout is not None:
            sys.stdout.flush()


def _alternatives(translation: Translation) -> list[str]:
    if len(translation.hypotheses) < 2:
        return []
    return [f"  {hypothesis.score:9.4f}  {hypothesis.text}" for hypothesis in translation.hypotheses]


def _number(given: str, name: str) -> int:
    if not given.isdecimal() or int(given) < 1:
        raise UsageError(f":{name} {given}: expected a whole number of at least 1, such as :{name} 5")
    return int(given)
