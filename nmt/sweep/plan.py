"""The runs of a sweep: a configuration for each variant and seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.config import Config, load_config, load_data
from nmt.errors import ConfigError, UsageError
from nmt.log import logger
from nmt.sweep.equal_size import with_equal_parameters
from nmt.sweep.schema import BASE, Sweep, Variant


@dataclass(frozen=True)
class Run:
    """One training of the sweep."""

    variant: str
    seed: int
    config: Config

    @property
    def name(self) -> str:
        """The name of the run."""
        assert self.config.name is not None
        return self.config.name


@dataclass(frozen=True)
class Plan:
    """A sweep with the configurations of its runs."""

    sweep: Sweep
    variants: list[Variant]
    """The variants that are part of the table, in its order, with the baseline."""
    runs: list[Run]
    """Seed by seed, so that an early stop leaves something to compare."""

    @property
    def name(self) -> str:
        """The name of the sweep."""
        assert self.sweep.name is not None
        return self.sweep.name


def make_plan(sweep: Sweep, overrides: Sequence[str], *, only: Sequence[str] | None) -> Plan:
    """Configure all runs. A variant equal to the base is left out with a log message.

    Args:
        sweep: The sweep.
        overrides: Options of all runs, stronger than those of the file, weaker than those of the variants.
        only: Names of the variants to train besides the baseline; None: all. The others may contradict the overrides.

    Raises:
        UsageError: A name of `only` is unknown.
        ConfigError: Lists the variants whose options are not valid.
        NMTError: Text for variants of equal size cannot be read.
    """
    variants = list(sweep.variants)
    if sweep.base is not None and sweep.baseline == BASE:
        variants.insert(0, Variant(name=BASE))
    known = [variant.name for variant in variants]
    for name in only or ():
        if name not in known:
            raise UsageError(f"--only: {name!r} is not one of the variants: {', '.join(known)}")
    wanted: set[str | None] = {*(known if only is None else only), sweep.baseline}
    configs = _without_equal_ones(configure(sweep, variants, overrides, wanted), wanted)
    configs = _with_sizes(sweep, variants, configs)
    kept = [variant for variant in variants if variant.name in configs]
    return Plan(sweep, kept, runs_of(sweep, configs))


def runs_of(sweep: Sweep, configs: Mapping[str, Config]) -> list[Run]:
    """Return the runs of variants, seed by seed.

    Args:
        sweep: The sweep.
        configs: The configuration of each variant by its name.
    """
    return [
        Run(name, seed, config.model_copy(update={"name": f"{sweep.name}-{name}-{seed}", "seed": seed}))
        for seed in range(1, sweep.seeds + 1)
        for name, config in configs.items()
    ]


def configure(
    sweep: Sweep, variants: Sequence[Variant], overrides: Sequence[str], wanted: set[str | None]
) -> dict[str, Config]:
    """Return the configuration of each variant by its name. All configurations have the same name.

    Args:
        sweep: The sweep.
        variants: The variants.
        overrides: Options of all runs.
        wanted: Names of the variants that must be valid. The others are left out if they are not.

    Raises:
        ConfigError: Lists the variants whose options are not valid.
    """
    common = [*(corpus_options(Path(sweep.corpus)) if sweep.corpus is not None else []), *sweep.options, *overrides]
    configs, wrong = {}, []
    for variant in variants:
        file = variant.base or sweep.base
        assert file is not None
        try:
            configs[variant.name] = load_config(Path(file), [*common, *variant.options, f"name={BASE}"])
        except ConfigError as error:
            if variant.name == sweep.baseline and not variant.options:
                raise  # nothing can be trained, and every variant has the same problem
            if variant.name in wanted:
                wrong.append(f"variant {variant.name}: {error}")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return configs


def corpus_options(corpus: Path) -> list[str]:
    """Return overrides that set the languages and the text of another configuration.

    Raises:
        ConfigError: That configuration is not valid.
    """
    data = load_data(corpus).model_dump(mode="json")
    names = ("source_language", "target_language", "train", "valid", "test")
    return [f"data.{name}={json.dumps(data[name], ensure_ascii=False)}" for name in names]


def _without_equal_ones(configs: Mapping[str, Config], wanted: set[str | None]) -> dict[str, Config]:
    """Drop the variants that change nothing."""
    base = configs.get(BASE)
    kept = {}
    for name, config in configs.items():
        if name != BASE and config == base:
            if name in wanted:
                logger.info("%s is equal to the base and left out", name)
        else:
            kept[name] = config
    return kept


def _with_sizes(sweep: Sweep, variants: Sequence[Variant], configs: dict[str, Config]) -> dict[str, Config]:
    """Set the hidden sizes of the variants that need as many parameters as the baseline."""
    sized = [variant.name for variant in variants if variant.equal_parameters and variant.name in configs]
    if not sized:
        return configs
    assert sweep.baseline is not None  # the file was checked
    return configs | with_equal_parameters({name: configs[name] for name in sized}, configs[sweep.baseline])
