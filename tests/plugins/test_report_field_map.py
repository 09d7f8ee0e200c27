"""The picture of a field: each square says what the tables say."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from fairbench_reports import field_map
from fairbench_reports._field import fields
from field_helpers import deciding, parts, run_of, two_datasets
from stored_runs import stored_run

from fairbench.api import Predictions
from fairbench.errors import NotApplicable

WIDER = "above the coin, at a wider gap than the baseline's"


def scored(repeat, samples):
    """Return right decisions with scores, so that one threshold for all is as right."""
    return Predictions.from_score(0.2 + 0.6 * samples.y)


def said(found):
    """Return under the only rule by method what its squares say."""
    (under,) = fields(found)
    return {each.label: field_map.squares(each, under) for each in under.overall}


def area(picture, colour):
    """Return how many pixels of a picture have a colour, "#RRGGBB" or "white"."""
    from matplotlib import image
    from matplotlib.colors import to_rgb

    pixels = image.imread(io.BytesIO(picture))[..., :3]
    return int((np.abs(pixels - to_rgb(colour)) < 1 / 512).all(axis=2).sum())


def test_a_square_has_the_verdict_and_the_points_of_the_tables(tmp_path):
    assert said(two_datasets(tmp_path)) == {
        "threshold": [("above the coin", "+40.0")] * 2,
        "tree": [("above the coin", "+20.0")] * 2,
        "boosting": [("not told apart", "+0.0")] * 2,
        "logistic": [("no verdict", "")] * 2,
    }


def test_what_lies_above_both_below_or_at_a_wider_gap_is_told_apart(tmp_path):
    both = {"mlp": scored, "tree": deciding(refused=1), "boosting": lambda _, samples: Predictions(1 - samples.y)}
    assert said(run_of(tmp_path / "both", both)) == {
        "tree": [("above both", "+20.0")],
        "boosting": [("below the coin", "-100.0")],
    }
    wider = {"mlp": deciding(refused=2), "tree": deciding()}
    assert said(run_of(tmp_path / "wider", wider)) == {"tree": [(WIDER, "+10.0")]}


def test_a_method_that_was_not_run_on_a_dataset_has_an_empty_square_there(tmp_path):
    methods = {"mlp": deciding(), "tree": deciding(1), "threshold": deciding(1, 1)}
    found = run_of(tmp_path, methods, ("german", "ricci"))
    kept = [r for r in found.records if (r.cell.dataset.name, r.cell.method.name) != ("ricci", "tree")]
    found = type(found)(kept, found.run, len(kept), found.labels, found.path)
    assert said(found)["tree"] == [("above the coin", "+20.0"), ("no verdict", "")]


def test_the_picture_shows_them(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the extra plots")
    found = two_datasets(tmp_path)
    made = field_map.render(found)
    assert made == field_map.render(found)
    width, height = struct.unpack(">II", made[16:24])
    assert (width, height) == (1200, 472)  # four lines, at 150 dots an inch
    sky, grey, blue = (field_map.KINDS[kind][0] for kind in ("above the coin", "no verdict", "above both"))
    square = 150 * 0.42 * 150 * 0.2  # pixels, of which numbers and edges take some
    assert 4 * 0.6 < area(made, sky) / square < 4.6  # and one in the legend
    assert 2 * 0.8 < area(made, grey) / square < 2.6
    assert area(made, blue) == 0  # nothing is above both here, so the legend does not name it


def test_two_rules_stand_side_by_side(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need the extra plots")
    found = run_of(tmp_path, {"mlp": deciding(), "tree": deciding(1)}, [f"d{number}" for number in range(12)])
    (under,) = fields(found)
    sky = field_map.KINDS["above the coin"][0]
    made = []
    for shown in ([under], [under, under]):
        monkeypatch.setattr(field_map, "fields", lambda results, shown=shown: shown)
        picture = field_map.render(found)
        made.append((struct.unpack(">I", picture[16:20])[0], area(picture, sky)))
    (narrow, once), (wide, twice) = made
    assert wide > narrow
    assert twice / once == pytest.approx(2, rel=0.1)


def test_a_run_without_rules_has_no_picture(tmp_path):
    found = stored_run(tmp_path, {"mlp": deciding(), "tree": deciding(1)}, {"german": parts()})
    assert field_map.render(found) == b""


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    def missing():
        raise NotApplicable("figures need the package 'matplotlib'")

    monkeypatch.setattr(field_map, "require_matplotlib", missing)
    with pytest.raises(NotApplicable, match="matplotlib"):
        field_map.render(two_datasets(tmp_path))
