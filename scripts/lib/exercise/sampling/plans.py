"""What a clause should be like, before anything is chosen."""

from __future__ import annotations

from typing import NamedTuple

from exercise.morphology.tense import Tense


class Plan(NamedTuple):
    """What a clause should be like.

    Attributes:
        tense: Its tense.
        room: About how many words it should have; it may have more or fewer.
        main: Whether it is a statement, whose time or place may stand in front.
        closed: Whether something else follows, so that nothing may be added to its end.
        plain: Without modal verb and negation.
        positive: Without negation.
        dynamic: With something that happens, not a state.
        timeless: Without saying when.
        depth: How deep relative clauses may be nested.
    """

    tense: Tense
    room: int
    main: bool = False
    closed: bool = False
    plain: bool = False
    positive: bool = False
    dynamic: bool = False
    timeless: bool = False
    depth: int = 0
