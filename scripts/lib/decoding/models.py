"""The model files of a table: those that translate, and those that judge what others have translated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from nmt.config.schema import DecodingConfig
from nmt.errors import UsageError
from nmt.evaluation.reranking import RerankModel
from nmt.inference.ensemble import check_compatible
from nmt.inference.find_model import find_model
from nmt.inference.model_file import ModelFile, load_model
from nmt.inference.scorer import Scorer


class Models:
    """Models that are read once, and known by what is in their files."""

    def __init__(self, translating: Sequence[Path], right_to_left: Sequence[Path], reverse: Sequence[Path]) -> None:
        """Read the files.

        Args:
            translating: At least one; the first is the single model of most rows, all together are the ensemble.
            right_to_left: Models that judge candidates from their ends.
            reverse: Models that judge the source given each candidate.

        Raises:
            UsageError: There is no such model, or the models do not belong together.
            CheckpointError: A file is no model file, or is damaged.
        """
        self._digests: dict[str, str] = {}
        self._right_to_left, self._reverse = self._read(right_to_left), self._read(reverse)
        self.members = self._read(translating)
        self._check()

    @property
    def first(self) -> ModelFile:
        """The single model."""
        return self.members[0]

    @property
    def direction(self) -> tuple[str, str]:
        """Source and target language."""
        return _direction(self.first)

    @property
    def judges(self) -> list[tuple[str, ModelFile]]:
        """The models that judge, with what they are called."""
        named = [("right-to-left", member) for member in self._right_to_left]
        return named + [("reverse", member) for member in self._reverse]

    @cached_property
    def plain(self) -> DecodingConfig:
        """The options as they are when nobody has chosen any, but for the length limit, which training sets."""
        own = self.first.config.decoding
        return DecodingConfig(max_length_ratio=own.max_length_ratio, max_length_constant=own.max_length_constant)

    def translating(self, *, ensemble: bool) -> list[ModelFile]:
        """Return the models of a row."""
        return self.members if ensemble else self.members[:1]

    def digests(self, *, ensemble: bool, judges: bool) -> list[str]:
        """Return what tells the models of a row from others."""
        names = [str(member.path) for member in self.translating(ensemble=ensemble)]
        return [self._digests[name] for name in names + [str(member.path) for _, member in self.judges if judges]]

    def make_judges(self, decoding: Mapping[str, object]) -> list[RerankModel]:
        """Make what judges candidates, with options of the machine."""
        return [
            RerankModel(f"{name} {number}", Scorer.from_models([member], decoding=decoding), name == "reverse")
            for number, (name, member) in enumerate(self.judges, 1)
        ]

    def _read(self, paths: Sequence[Path]) -> list[ModelFile]:
        members = []
        for path in map(find_model, paths):
            members.append(load_model(path))
            self._digests[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return members

    def _check(self) -> None:
        check_compatible(self.members)
        there, back = self.direction, self.direction[::-1]
        needed = [(member, there) for member in (*self.members[1:], *self._right_to_left)]
        for member, wanted in needed + [(member, back) for member in self._reverse]:
            if _direction(member) != wanted:
                raise UsageError(
                    f"{member.path!s} translates {' to '.join(_direction(member))}; {' to '.join(wanted)} is needed"
                )
        for member in self._right_to_left:
            if not member.config.data.right_to_left:
                raise UsageError(f"{member.path!s} writes from left to right; train one with data.right_to_left=true")


def _direction(file: ModelFile) -> tuple[str, str]:
    return file.config.data.source_language, file.config.data.target_language
