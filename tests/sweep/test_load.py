"""The file of a sweep: what is wrong with it is reported at once, with line and key; the files that ship are valid."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cli_tools import ROOT
from nmt.config import load_config
from nmt.errors import ConfigError
from nmt.sweep.equal_size import count_parameters
from nmt.sweep.load import load_sweep
from nmt.sweep.plan import corpus_options, make_plan

CONFIGS = ROOT / "configs"
SWEEPS = sorted((CONFIGS / "sweeps").glob("*.yaml"))
LANGUAGES = ("data.source_language=en", "data.target_language=de")
TEXT = [*LANGUAGES, *(f"data.{part}={{source: a, target: b}}" for part in ("train.0", "valid"))]


def problems(text: str, folder: Path) -> str:
    file = folder / "sweep.yaml"
    (folder / "base.yaml").write_text("", "utf-8")
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_sweep(file)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(folder), "")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("", ["the file is empty"]),
        ("- a", ["found a list"]),
        ("base: base.yaml", ["variants: the sweep has no variants", "set search"]),
        ("base: base.yaml\nvariants: []", [":2: variants: the sweep has no variants"]),
        ("base: base.yaml\nvariants: [{nam: a}]", ["variants.0.nam: unknown key", "did you mean name?"]),
        ("base: base.yaml\nseed: 3\nvariants: [{name: a}]", [":2: seed: unknown key", "did you mean seeds?"]),
        ("base: base.yaml\nvariants: [{name: a b}]", ['"a b" cannot be the name of a variant']),
        ("base: base.yaml\nvariants: [{name: base}]", ['"base" cannot be the name of a variant']),
        ("base: base.yaml\nvariants: [{name: a}, {name: a}]", ['"a" is the name of several variants']),
        ("base: base.yaml\nvariants: [{name: a, options: [x]}]", ["variants.0.options.0", "expected key.path=value"]),
        ("variants: [{name: a}]", ["the variant has no configuration", "baseline: the sweep has no base"]),
        ("base: nowhere.yaml\nvariants: [{name: a}]", [":1: base: no such file", "Recipes: "]),
        ("base: base.yaml\nbaseline: b\nvariants: [{name: a}]", [':2: baseline: "b" is not a variant']),
        ("base: base.yaml\nmetrics: [ble]\nvariants: [{name: a}]", ["metrics.0", "did you mean bleu?"]),
        ("base: base.yaml\nmetrics: [aer]\nvariants: [{name: a}]", ["aer requires gold links"]),
        ("base: base.yaml\ngold: g\nvariants: [{name: a}]", ["gold links require the metric aer"]),
        ("base: base.yaml\nby_length: {bounds: [20, 10]}\nvariants: [{name: a}]", ["the bounds must rise"]),
        (
            "base: base.yaml\nbaseline: null\nvariants: [{name: a, equal_parameters: true}]",
            ["equal_parameters requires a baseline"],
        ),
        (
            "base: base.yaml\nseeds: 0\nvariants: [{name: a}]",
            ["found 0, expected a whole number of at least 1"],
        ),
        ("base: base.yaml\nvariants: [{name: a", ["not valid YAML"]),
    ],
)
def test_problems_have_their_place_and_a_hint(text: str, messages: list[str], tmp_path: Path) -> None:
    found = problems(text, tmp_path)
    for message in messages:
        assert message in found


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    found = problems("base: no.yaml\nmetrics: [aer]\nvariants: [{name: a/b}, {name: c, options: [d]}]", tmp_path)
    assert found.startswith("4 problems in ")


def test_paths_are_relative_to_the_file_and_recipes_have_names(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("", "utf-8")
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "many.yaml"
    file.write_text("base: ../base.yaml\nvariants: [{name: a, base: low-resource}]\n", "utf-8")
    sweep = load_sweep(file)
    assert sweep.name == "many"
    assert sweep.base is not None
    assert Path(sweep.base).samefile(tmp_path / "base.yaml")
    assert Path(str(sweep.variants[0].base)).name == "low-resource.yaml"


def test_every_variant_that_is_not_valid_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).write_text("x\n", "utf-8")
    variants = [
        {"name": "size", "options": ["model.sise=3"]},
        {"name": "bleu", "options": ["training.validation.metric=blue"]},
        {"name": "right", "options": ["training.label_smoothing=0"]},
    ]
    Path("s.yaml").write_text(yaml.safe_dump({"base": "low-resource", "options": TEXT, "variants": variants}), "utf-8")
    sweep = load_sweep(Path("s.yaml"))
    with pytest.raises(ConfigError, match=r"(?s)variant size: .*model\.sise.*variant bleu: .*metric"):
        make_plan(sweep, [], only=None)
    plan = make_plan(sweep, [], only=["right"])
    assert [variant.name for variant in plan.variants] == ["base", "right"]
    assert [run.name for run in plan.runs] == [f"s-{name}-{seed}" for seed in (1, 2, 3) for name in ("base", "right")]
    assert [run.config.seed for run in plan.runs] == [1, 1, 2, 2, 3, 3]


# ---------------------------------------------------------------------------------------------- the sweeps that ship


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_every_variant_of_the_sweeps_is_a_valid_configuration(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sweep = load_sweep(file)
    assert len({(variant.base, tuple(variant.options)) for variant in sweep.variants}) == len(sweep.variants)
    for variant in sweep.variants:
        base = variant.base or sweep.base
        assert base is not None
        text = TEXT if sweep.corpus is not None else []
        load_config(Path(base), [*text, *sweep.options, *variant.options], check_files=False)


def test_variants_of_the_recipe_change_it_and_not_how_it_is_measured() -> None:
    sweep = load_sweep(CONFIGS / "sweeps" / "low-resource.yaml")
    base = load_config(Path(str(sweep.base)), TEXT, check_files=False)
    changed = 0
    for variant in sweep.variants:
        config = load_config(Path(str(sweep.base)), [*TEXT, *variant.options], check_files=False)
        changed += config != base
        assert (config.data.valid, config.data.test) == (base.data.valid, base.data.test)
        assert config.training.validation == base.training.validation, f"{variant.name} is measured in another way"
    assert changed > len(sweep.variants) / 2


def test_guided_variants_differ_in_the_guidance_alone() -> None:
    sweep = load_sweep(CONFIGS / "sweeps" / "attention-scores.yaml")
    options = {variant.name: set(variant.options) for variant in sweep.variants}
    scores = [name for name in options if not name.endswith("-guided")]
    assert len(scores) == 5
    for name in scores:
        assert options[f"{name}-guided"] - options[name] == {"training.guided_alignment.weight=0.3"}


def test_the_papers_are_all_in_their_sweep() -> None:
    sweep = load_sweep(CONFIGS / "sweeps" / "papers.yaml")
    assert {variant.name for variant in sweep.variants} == {file.stem for file in (CONFIGS / "papers").glob("*.yaml")}


@pytest.mark.parametrize("corpus", sorted((CONFIGS / "corpora").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("recipe", ["low-resource", "low-resource-cpu", "small-cpu", "medium"])
def test_every_corpus_gives_its_text_to_every_recipe(
    recipe: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its text only: its sizes suit small models."""
    monkeypatch.chdir(tmp_path)
    text = yaml.safe_load(corpus.read_text("utf-8"))["data"]
    files = [
        path for pair in (*text["train"], text["valid"], *text["test"]) for path in (pair["source"], pair["target"])
    ]
    for file in map(Path, files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("a\n", "utf-8")
    file = CONFIGS / "recipes" / f"{recipe}.yaml"
    config = load_config(file, corpus_options(corpus))
    assert [config.data.train[0].source, config.data.test[0].target] == [files[0], files[-1]]
    generic = load_config(file, ["data.valid={tsv: a.tsv}", "data.train=[{tsv: a.tsv}]", *LANGUAGES], check_files=False)
    assert config.model == generic.model
    assert config.training == generic.training


def test_a_corpus_without_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("none.yaml").write_text("data: {source_language: en}\nmodel: {tyop: 1}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"(?s)none\.yaml:1: data\.train.*data\.valid") as caught:
        corpus_options(Path("none.yaml"))
    assert "tyop" not in str(caught.value)


def test_paths_have_variables_and_gold_links_are_found_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("KIND", "base")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("base.yaml", "gold.txt"):
        (tmp_path / name).write_text("", encoding="utf-8")
    text = 'base: ~/$KIND.yaml\nmetrics: [aer]\ngold: gold.txt\nvariants: [{name: a, base: "${KIND}.yaml"}]\n'
    (tmp_path / "sweep.yaml").write_text(text, encoding="utf-8")
    sweep = load_sweep(Path("../sweep.yaml"))
    assert sweep.base == str(tmp_path / "base.yaml")
    assert sweep.variants[0].base == "../base.yaml"
    assert sweep.gold == "../gold.txt"
    monkeypatch.delenv("KIND")
    with pytest.raises(ConfigError, match=r"variants.0.base: the environment variable KIND is not set"):
        load_sweep(Path("../sweep.yaml"))


def test_the_models_of_the_story_have_about_the_same_size_and_attention_is_one_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "exercise"
    folder.mkdir(parents=True)
    for name in ("train", "more", "valid", "test"):
        for language in ("en", "de"):
            (folder / f"{name}.{language}").write_text("a\n", encoding="utf-8")
    models = {
        run.variant: run.config for run in make_plan(load_sweep(CONFIGS / "sweeps/story.yaml"), [], only=None).runs
    }
    size = models["attention"].tokenizer.vocabulary_size
    numbers = {name: count_parameters(config.model, (size, size)) for name, config in models.items()}
    assert list(numbers) == ["rnn", "lstm", "attention"]
    assert max(numbers.values()) < 1.05 * min(numbers.values())
    page = (ROOT / "docs/guide/experiments.md").read_text("utf-8")
    assert [f"{number:,}" in page for number in numbers.values()] == [True] * 3
    lstm, attention = (models[name].model_dump(exclude={"name"}) for name in ("lstm", "attention"))
    assert attention["model"]["attention"].pop("score") == "dot"
    assert lstm["model"]["attention"].pop("score") == "none"
    assert attention == lstm
