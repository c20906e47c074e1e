"""What `nmt repl` answers to a line: a translation, or what a command says."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from nmt.api import LoadedModel
from nmt.config.schema import DecodingConfig
from nmt.data.lines import is_blank
from nmt.errors import UsageError
from nmt.inference.attention import LineAttention
from nmt.inference.model_file import ModelFile, load_models
from nmt.inference.results import Translation
from nmt.plots.terminal import LEGEND, text_heatmap

LEVELS = ("words", "pieces", "off")
MOST_UNITS = 100
"""Target pieces or words above which attention is not shown."""

HELP = """\
A sentence        is translated
:target TEXT      score a translation of the last sentence, and show its attention
:beam N           hypotheses kept at each step
:alternatives N   translations shown
:attention WHAT   words, pieces or off
:set NAME VALUE   any other decoding option, such as :set length_normalization gnmt; null is the model's own
:options          what all of them are
:model PATH ...   another model; several translate together
:help             this
:quit             ends, as Ctrl-D does"""


class Session:
    """A model, how to ask it, and where to show what it says."""

    def __init__(
        self,
        models: Sequence[Path] | None,
        *,
        weights: Sequence[float] | None,
        alternatives: int,
        attention: str,
        decoding: Mapping[str, Any],
    ) -> None:
        """Loads the model.

        Args:
            models: Its file, or the folder of a run, or several; None: what `find_model` finds.
            weights: How much each of several models counts.
            alternatives: Most translations shown.
            attention: "words", "pieces" or "off".
            decoding: Options in place of the model's own; None is the model's own.

        Raises:
            UsageError: There is no such model, or the options cannot be used.
            CheckpointError: The file is no model file, or it is damaged.
        """
        self._alternatives = alternatives
        self._attention = attention
        self._options = {name: value for name, value in decoding.items() if value is not None}
        self._loaded = load_models(models or None)
        self._weights = weights or None
        self._model = self._made(self._loaded, self._options, alternatives)
        self._last = ""
        self._console = Console(highlight=False) if sys.stdout is not None and sys.stdout.isatty() else None
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
        """Do what a line says.

        Raises:
            EOFError: It says that this is the end.
            NMTError: It cannot be done; the session goes on as it was.
        """
        line = line.strip()
        if line.startswith(":"):
            name, _, given = line[1:].partition(" ")
            matching = [command for command in self._commands if name and command.startswith(name)]
            if name not in self._commands and len(matching) != 1:
                raise UsageError(f":{name} is no command; :help shows them")
            self._commands[name if name in self._commands else matching[0]](given.strip())
        elif not is_blank(line):
            self._last = line
            self._translate(line)

    def _translate(self, line: str) -> None:
        translation = self._model.translate(line)
        self._show([Text(translation.text, style="bold"), *_alternatives(translation)])
        if self._sees_attention():
            self._show_attention(self._model.attention(line))

    def _score(self, target: str) -> None:
        if not self._last:
            raise UsageError(":target is for a translation of the last sentence, and there is none yet")
        score = self._model.score(self._last, target)
        if score is None:
            raise UsageError("there is nothing to score in the last sentence")
        self._show([f"log-probability {score.log_probability:.4f}, mean {score.mean:.4f}, score {score.score:.4f}"])
        numbers = zip([*score.pieces, "</s>"], score.piece_log_probabilities, strict=True)
        self._show(f"  {value:9.4f}  {piece}" for piece, value in numbers)
        if self._sees_attention():
            self._show_attention(self._model.attention(self._last, target))

    def _sees_attention(self) -> bool:
        own = len(self._loaded) == 1 and self._model.config.model.attention.score != "none"
        return own and self._attention != "off"

    def _show_attention(self, attended: LineAttention | None) -> None:
        if attended is None:
            return
        attention = attended.words if self._attention == "words" else attended.pieces
        if len(attention.target.texts) > MOST_UNITS:
            self._show(["(too long to show its attention)"])
            return
        width = None if self._console is None else self._console.width
        self._show([Text(), *text_heatmap(attention, width=width), Text(LEGEND, style="dim"), Text()])

    def _set_alternatives(self, given: str) -> None:
        wanted = _number(given, "alternatives")
        self._model = self._made(self._loaded, self._options, wanted)
        self._alternatives = wanted

    def _set_attention(self, given: str) -> None:
        if given not in LEVELS:
            raise UsageError(f":attention takes one of {', '.join(LEVELS)}")
        self._attention = given

    def _set_model(self, given: str) -> None:
        try:
            paths = shlex.split(given)
        except ValueError:
            raise UsageError(":model takes the paths of models; a quotation mark is left open") from None
        if paths:
            models = load_models(paths)
            self._model = self._made(models, self._options, self._alternatives)
            self._loaded, self._weights = models, None
        data = self._model.config.data
        names = ", ".join(str(model.path) for model in self._loaded)
        self._show([f"{names}: {data.source_language} to {data.target_language}"])

    def _set_option(self, given: str) -> None:
        name, _, value = given.partition(" ")
        if not (name and value):
            raise UsageError(":set takes the name of an option and its value; :options shows them")
        try:
            self._change({name.replace("-", "_"): yaml.safe_load(value)})
        except yaml.YAMLError:
            raise UsageError(f":set {name}: {value} is no value") from None

    def _show_options(self, given: str) -> None:
        decoding = self._model.decoding
        shown = {name: getattr(decoding, name) for name in DecodingConfig.model_fields if name != "n_best"}
        self._show(f"{name:22} {'null' if value is None else value}" for name, value in shown.items())

    def _quit(self, given: str) -> None:
        raise EOFError

    def _change(self, options: Mapping[str, Any]) -> None:
        """Use other options from now on, if they can be used."""
        changed = {**self._options, **options}
        self._model = self._made(self._loaded, changed, self._alternatives)
        self._options = changed

    def _made(self, models: Sequence[ModelFile], options: Mapping[str, Any], alternatives: int) -> LoadedModel:
        """Return a model with these options, and as many alternatives as its beam has room for."""
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
    return [f"  {candidate.score:9.4f}  {candidate.text}" for candidate in translation.hypotheses]


def _number(given: str, name: str) -> int:
    if not given.isdecimal() or int(given) < 1:
        raise UsageError(f":{name} takes a whole number from 1, such as :{name} 5")
    return int(given)
