"""A recipe says what it is and refuses a slip."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import slicing
from jobs.slicing import SLICERS, Recipe, RecipeError, load_recipe, recipe_names

LEAST = {"name": "x", "version": "1", "slicer": "builtin", "material": "PLA"}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_is_right(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.slicer in SLICERS
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"infil": 0.2}, "recipe.unknown_key", "infil"),
        ({"material": 3}, "recipe.bad_value", "material"),
        ({"nozzle_c": "hot"}, "recipe.bad_value", "nozzle_c"),
        ({"nozzle_c": 210.5}, "recipe.bad_value", "nozzle_c"),
        ({"perimeters": True}, "recipe.bad_value", "perimeters"),
        ({"supports": 1}, "recipe.bad_value", "supports"),
        ({"infill": float("nan")}, "recipe.bad_value", "infill"),
        ({"infill": 15}, "recipe.out_of_range", "infill"),
        ({"layer_height_mm": 0.0}, "recipe.out_of_range", "layer_height_mm"),
    ],
)
def test_a_slip_is_named(change, code, field):
    with pytest.raises(RecipeError) as refusal:
        Recipe.from_json({**LEAST, **change})
    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_an_unknown_key_comes_with_the_nearest_right_one():
    with pytest.raises(RecipeError) as refusal:
        Recipe.from_json({**LEAST, "infil": 0.2})
    assert refusal.value.fields["nearest"] == "infill"


@pytest.mark.parametrize("key", LEAST)
def test_what_is_needed_is_missed(key):
    with pytest.raises(RecipeError, match="missing"):
        Recipe.from_json({other: value for other, value in LEAST.items() if other != key})


def test_the_lab_s_own_recipe_wins_and_adds(tmp_path: Path):
    text = 'version = "2"\nslicer = "builtin"\nmaterial = "ABS"\n'
    (tmp_path / "pla-standard.toml").write_text(text)
    (tmp_path / "abs.toml").write_text(text)
    assert load_recipe("pla-standard", tmp_path).material == "ABS"
    assert "abs" in recipe_names(tmp_path)
    assert "pla-draft" in recipe_names(tmp_path)


@pytest.mark.parametrize("name", ["nope", "../pla-standard", "", "."])
def test_an_unknown_recipe_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(RecipeError) as refusal:
        load_recipe(name, tmp_path)
    assert "pla-standard" in str(refusal.value.fields["known"])


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "bad.toml").write_text("version = ")
    with pytest.raises(RecipeError) as refusal:
        load_recipe("bad", tmp_path)
    assert refusal.value.code == "recipe.unreadable"


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)


@given(st.dictionaries(st.sampled_from([*Recipe.__slots__, "odd"]), VALUES))
def test_any_values_always_make_a_recipe_or_a_refusal(values):
    try:
        recipe = Recipe.from_json({**LEAST, **values})
    except RecipeError:
        return
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_every_key_is_in_the_readme_of_the_recipes():
    readme = (Path(slicing.__file__).parent / "recipes" / "README.md").read_text(encoding="utf-8")
    assert not [key for key in Recipe.__slots__ if key != "name" and f"`{key}`" not in readme]
