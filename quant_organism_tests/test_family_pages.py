"""Every family has a page and a picture, and both say what the register says; if not, `make pages` mends it."""

import io

import numpy as np
import pytest
from PIL import Image

from quant_organism.strategies import family_names, get_family, random_genome, ranking_family_names
from quant_organism_tests.family_pages import GATES, INDEX, LIFE, PAGES, PICTURES, picture, refreshed

MOST_BYTES = 60 * 1024
NAMES = sorted((*family_names(), *ranking_family_names()))
every_family = pytest.mark.parametrize("family", NAMES)


def test_there_is_a_page_for_each_family_and_for_nothing_else():
    assert sorted(page.stem for page in PAGES.glob("*")) == NAMES
    assert sorted(page.stem for page in PICTURES.glob("*")) == NAMES


@pytest.mark.parametrize("block", ["families", "common genes", "book genes"])
def test_the_index_lists_what_is_registered(block):
    assert f"<!-- {block} -->" in INDEX.read_text()
    assert refreshed(INDEX) == INDEX.read_text()


def test_the_table_of_gates_is_that_of_the_shipped_profiles():
    assert "<!-- gates -->" in GATES.read_text()
    assert refreshed(GATES) == GATES.read_text()


@pytest.mark.parametrize("block", ["moves", "numbers"])
def test_the_table_of_moves_is_that_of_the_machine(block):
    assert f"<!-- {block} -->" in LIFE.read_text()
    assert refreshed(LIFE) == LIFE.read_text()


def test_every_picture_of_the_docs_is_small_and_shown():
    shown = "".join(page.read_text() for page in (*PAGES.parent.glob("*.md"), PAGES.parent.parent / "README.md"))
    pictures = sorted(PICTURES.parent.glob("*.png"))
    assert {picture.name: picture.stat().st_size for picture in pictures if picture.stat().st_size > 150 * 1024} == {}
    assert [picture.name for picture in pictures if f"images/{picture.name})" not in shown] == []


@every_family
def test_a_page_states_the_genes_of_the_register(family):
    page = PAGES / f"{family}.md"
    text = page.read_text()
    assert text.startswith(f"# {family}\n")
    assert "<!-- facts -->" in text
    assert "<!-- genes -->" in text
    assert refreshed(page) == text
    for spec in get_family(family).own_genes:
        assert f"| `{spec.name}` |" in text
        assert f"| {spec.bounds} | {spec.drawn_from} | {spec.unit} | {spec.description} |" in text


@every_family
def test_a_page_states_the_warm_up_of_any_genome(family):
    text = (PAGES / f"{family}.md").read_text()
    formula = text.split("**Warm-up.** `")[1].split("`")[0] if "**Warm-up.** `" in text else None
    assert (formula is None) == (family in ("composite", "conditions"))
    for seed in range(20 if formula else 0):
        genes = random_genome(np.random.default_rng(seed), family).genes
        known = {name: int(value) if str(value).isdigit() else value for name, value in genes.items()}
        assert eval(formula, {"max": max} | known) == get_family(family).warmup(genes)


@every_family
def test_the_picture_on_a_page_is_the_one_that_the_gallery_draws(family):
    assert f"(../images/families/{family}.png)" in (PAGES / f"{family}.md").read_text()
    stored = (PICTURES / f"{family}.png").read_bytes()
    assert len(stored) <= MOST_BYTES
    shown, drawn = (
        np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=int) for data in (stored, picture(family))
    )
    assert shown.shape == drawn.shape
    # Other fonts shift the edges of letters; targets that come a bar late change more than 1 % of the pixels.
    assert np.mean(np.abs(shown - drawn) > 8) < 0.005
