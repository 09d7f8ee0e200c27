"""The page in headless Chromium: sorting, filters, themes, the keyboard, and what a checker of accessibility finds."""

from __future__ import annotations

import importlib
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from fairbench_reports import html
from page_helpers import CHINESE, SCRIPT, hostile_run, small_run
from test_page import bare, loop

pytestmark = pytest.mark.documents

OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
SERIOUS = ("serious", "critical")
SMALLEST = """return Math.min(...Array.from(document.querySelectorAll('body *'))
    .filter((e) => e.checkVisibility() && Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => parseFloat(getComputedStyle(e).fontSize)))"""
OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


@contextmanager
def chromium(profile):
    """Start a browser that remembers nothing but what it puts in this folder."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the extra test")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs the programs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(300)
    started.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write the pages: of a run with verdicts, of one with hostile names, and of a loop."""
    folder = tmp_path_factory.mktemp("pages")
    records = [loop("mlp", repeat, [0.9, 0.8, 0.7 + repeat / 10], alike=[2] if repeat else []) for repeat in (0, 1)]
    runs = {
        "small": small_run(tmp_path_factory.mktemp("small")),
        "hostile": hostile_run(tmp_path_factory.mktemp("hostile")),
        "loop": bare(records, 2),
        "nothing": bare(planned=3),
    }
    for name, results in runs.items():
        (folder / f"{name}.html").write_text(html.render(results), encoding="ascii")
    return folder


def opened(browser, files, name, *, width=1280, dark=False, script=True):
    """Open a page in a window of this width and theme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    browser.get((files / f"{name}.html").as_uri())
    return browser


def found(browser, selector):
    return browser.find_elements("css selector", selector)


def comes(browser, happens):
    """Wait until something is so that the browser does in a moment of its own."""
    support = importlib.import_module("selenium.webdriver.support.ui")
    support.WebDriverWait(browser, 300).until(lambda _: happens())


def shown_methods(browser, selector):
    return [each.get_attribute("data-method") for each in found(browser, selector) if each.is_displayed()]


PAGES = [("small", False), ("small", True), ("loop", False), ("loop", True), ("hostile", False), ("nothing", True)]


@pytest.mark.parametrize(("name", "dark"), PAGES)
def test_no_error_no_serious_violation_no_overflow_and_no_small_letter(browser, files, name, dark):
    axe = pytest.importorskip("axe_core_python.selenium", reason="needs axe-core-python, of the extra test").Axe()
    for width in (375, 1280):
        opened(browser, files, name, width=width, dark=dark)
        browser.execute_script(OPEN_ALL)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(SMALLEST) >= 12
    violations = axe.run(browser)["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations if each["impact"] in SERIOUS] == []
    assert browser.get_log("browser") == []


def test_a_click_on_a_heading_sorts_and_another_one_reverses(browser, files):
    opened(browser, files, "small")
    table = "table.verdicts"
    heads = found(browser, f"{table} thead th")
    gap = next(place for place, head in enumerate(heads) if head.text.startswith("gap"))

    def column():
        cells = found(browser, f"{table} tbody tr td:nth-child({gap + 1})")
        return [float(cell.text.rstrip("~")) for cell in cells[:4]]  # of the first table, which has four methods

    as_given = column()
    heads[gap].find_element("css selector", "button").click()
    assert heads[gap].get_attribute("aria-sort") == "ascending"
    assert column() == sorted(as_given) != as_given
    heads[gap].find_element("css selector", "button").click()
    assert heads[gap].get_attribute("aria-sort") == "descending"
    assert column() == sorted(as_given, reverse=True)
    heads[0].find_element("css selector", "button").click()
    assert heads[gap].get_attribute("aria-sort") == "none"


def test_a_better_value_comes_first_and_a_missing_one_last(browser, files):
    opened(browser, files, "small")
    head = next(each for each in found(browser, "table.sortable th[data-better=higher]") if "accuracy" in each.text)
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "descending"
    rows = found(browser, "table.sortable:not(.verdicts) tbody tr")
    names = [row.get_attribute("data-method") for row in rows if row.is_displayed()]
    assert names[0] == "fair_maml"
    assert names[-1] == "cnn"  # it has no value


def test_methods_and_verdicts_are_filtered_in_plots_and_tables(browser, files):
    opened(browser, files, "small")
    assert set(shown_methods(browser, ".mark")) == {"mlp", "fair_maml", "tree", "boosting", "ffml"}
    field = found(browser, "#f-method")[0]
    field.send_keys("tree, FAIR")
    assert set(shown_methods(browser, ".mark")) == {"fair_maml", "tree"}
    assert set(shown_methods(browser, "tbody tr[data-method]")) == {"fair_maml", "tree"}
    assert "4 of 10 points shown" in found(browser, "#f-count")[0].text
    found(browser, "#filters button[type=reset]")[0].click()
    comes(browser, lambda: len(set(shown_methods(browser, ".mark"))) == 5)
    found(browser, "input[value=above]")[0].click()
    assert "fair_maml" not in shown_methods(browser, ".mark")
    assert "mlp" in shown_methods(browser, ".mark")  # the baseline has no verdict to be filtered by
    assert "fair_maml" not in shown_methods(browser, "table.verdicts tbody tr")


def test_sections_are_filtered_by_the_rule_that_chose_their_points(browser, files, tmp_path):
    from dataclasses import replace

    from fairbench.cells import Choice

    records = []
    for rule in ("max accuracy", "max accuracy subject to dp <= 0.05"):
        for repeat in (0, 1):
            made = loop("mlp", repeat, [0.8])
            scenario = Choice("selected", {"rule": rule})
            records.append(replace(made, cell=replace(made.cell, scenario=scenario)))
    (tmp_path / "rules.html").write_text(html.render(bare(records, 4)), encoding="ascii")
    opened(browser, tmp_path, "rules")
    assert len([each for each in found(browser, "section.part") if each.is_displayed()]) == 2
    next(each for each in found(browser, "#f-rule option") if each.text == "max accuracy").click()
    (left,) = [each for each in found(browser, "section.part") if each.is_displayed()]
    assert left.get_attribute("data-rule") == "max accuracy"


def test_the_theme_is_that_of_the_system_until_one_is_chosen_which_is_remembered(files, tmp_path):
    def paper():
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    def comes_back(colour):  # Chromium may store what a page remembers after the next page has asked for it
        comes(browser, lambda: browser.refresh() or paper() == colour)

    with chromium(tmp_path) as browser:  # of its own: no other page may find a theme chosen here
        opened(browser, files, "small", dark=True)
        dark = paper()
        opened(browser, files, "small")
        light = paper()
        assert dark != light
        toggle = found(browser, "#theme")[0]
        assert toggle.text == "Dark"
        toggle.click()
        assert paper() == dark
        comes_back(dark)
        found(browser, "#theme")[0].click()
        assert paper() == light
        opened(browser, files, "small", dark=True)
        comes_back(light)


def test_the_keyboard_reaches_points_and_shows_their_parameters(browser, files):
    from selenium.webdriver.common.keys import Keys

    opened(browser, files, "small")
    plot = "svg.plot[role=group]"
    marks = found(browser, f"{plot} .mark")[:5]
    assert [each.get_attribute("tabindex") for each in marks] == ["0", "-1", "-1", "-1", "-1"]
    browser.execute_script("arguments[0].focus()", marks[0])
    tip = found(browser, "#tip")[0]
    assert tip.text.startswith("mlp\naccuracy 0.")
    for _ in range(4):
        browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert tip.text.startswith("ffml")
    assert "parameters: epochs=3" in tip.text
    assert "makes the same decision for everybody" in tip.text
    assert [each.get_attribute("tabindex") for each in marks] == ["-1", "-1", "-1", "-1", "0"]
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert tip.text.startswith("mlp")  # round to the first
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()


def test_the_pointer_shows_what_is_said_of_a_point_within_the_window(browser, files):
    from selenium.webdriver.common.action_chains import ActionChains

    for width in (1280, 375):
        opened(browser, files, "small", width=width)
        mark = next(each for each in found(browser, ".mark") if each.get_attribute("data-method") == "fair_maml")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark)
        ActionChains(browser).move_to_element(mark.find_element("css selector", "use")).perform()
        tip = found(browser, "#tip")[0]
        assert tip.text.startswith("fair_maml\naccuracy")
        box = tip.rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_names_run_nothing_and_stay_text(browser, files):
    opened(browser, files, "hostile")
    assert browser.title.startswith(SCRIPT)
    assert {SCRIPT, CHINESE} <= set(shown_methods(browser, ".mark"))
    heads = [each.text for each in found(browser, "tbody th")]
    assert SCRIPT in heads
    assert CHINESE in heads
    assert browser.execute_script("return document.scripts.length") == 1


def test_without_script_tables_and_plots_are_there_and_no_dead_button(browser, files):
    opened(browser, files, "small", script=False)
    try:
        assert len([each for each in found(browser, "svg.plot") if each.is_displayed()]) == 2
        assert found(browser, "table.verdicts")[0].is_displayed()
        assert not [each for each in found(browser, "button, input, select") if each.is_displayed()]
        assert found(browser, ".mark title")  # what a browser shows under the pointer
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_command_is_copied_as_it_stands(browser, tmp_path):
    sessions = [{"command": ["run", "--methods", "mlp,tree"]}]
    (tmp_path / "page.html").write_text(html.render(bare([], 0, sessions=sessions)), encoding="ascii")
    opened(browser, tmp_path, "page")
    browser.execute_script("window.setTimeout = () => 0")  # what the button says is not taken back
    button = found(browser, ".copy")[0]
    button.click()
    comes(browser, lambda: button.text in ("Copied", "Selected"))


def test_two_thousand_cells_are_less_than_five_megabytes_and_can_be_sorted(browser, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks" / "speed"))
    speed = importlib.import_module("page")
    results = speed.written(tmp_path, *speed.SIZES[2_000])
    assert len(results.records) == 2_000
    text = html.render(results)
    assert len(text) < 5e6
    (tmp_path / "large.html").write_text(text, encoding="ascii")
    opened(browser, tmp_path, "large")
    head = found(browser, "table.verdicts thead th")[1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", head)
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(("width", "lines"), [(1280, 1), (800, 1), (390, 2)])
def test_a_long_name_leaves_room_for_the_contents(browser, tmp_path, width, lines):
    results = small_run(tmp_path)
    results.run["suite"]["name"] = ",".join(["fairlearn_threshold_optimizer"] * 4)
    (tmp_path / "long.html").write_text(html.render(results), encoding="ascii")
    page = opened(browser, tmp_path, "long", width=width)
    links = found(page, ".top nav a")
    assert len({link.location["y"] for link in links}) == lines
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
