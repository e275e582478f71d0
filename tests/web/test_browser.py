"""The page in a real Chromium."""

import json
import shutil
from urllib.parse import urlsplit

import browser
import numpy as np
import pytest
from bundles import draw
from dicoms import film
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from served import posted, started

from pneumo.serving import guard

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (browser.CHROMIUM and browser.DRIVER),
        reason="chromium or chromedriver is not installed: apt-get install chromium chromium-driver",
    ),
]
NOTICE = "Not for diagnosis."
TOKEN = "a-token-of-24-characters"


@pytest.fixture(scope="module")
def driver():
    with browser.chromium() as driver:
        yield driver


@pytest.fixture
def page(driver, address):
    """Opened, with the model's name on it; afterwards the console has no error."""
    browser.emulate(driver)
    driver.get(address)
    driver.get_log("browser")
    WebDriverWait(driver, 30).until(lambda _: "Model tiny" in driver.find_element(By.ID, "model").text)
    yield driver
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three kinds of films, and what is none."""
    folder = tmp_path_factory.mktemp("films")
    paths = draw(folder, 2) + draw(folder, 1, suffix=".jpeg")
    pixels = np.random.default_rng(0).integers(0, 4096, (60, 50), dtype=np.uint16)
    (folder / "film.dcm").write_bytes(film(pixels, BodyPartExamined="FOOT"))
    (folder / "notes <b>.txt").write_text("no image")
    return [*paths, folder / "film.dcm", folder / "notes <b>.txt"]


def part(card, selector):
    return card.find_element(By.CSS_SELECTOR, selector)


def seen_width(page, card):
    return page.execute_script("return arguments[0].naturalWidth", part(card, ".film"))


def test_files_that_are_dropped_each_get_their_own_answer(page, address, files):
    browser.drop(page, files)
    cards = browser.cards(page, len(files))
    assert list(cards) == [path.name for path in files]
    for path in files:
        (row,) = posted(address, (path.name, path.read_bytes())).json()
        card = cards[path.name]
        if row["error"]:
            assert part(card, ".state").text == f"No prediction: {row['error']}"
            assert not part(card, ".answer").is_displayed()
            assert not part(card, ".picture").is_displayed()
            continue
        assert part(card, ".number").text == f"{100 * row['probability']:.1f} %"
        assert part(card, ".decision").text.lower() == row["decision"]
        assert [item.text for item in card.find_elements(By.CSS_SELECTOR, ".warnings li")] == row["warnings"]
        assert part(card, ".warning-title").is_displayed() == bool(row["warnings"])
        assert row["weights"][:12] in part(card, ".by").text
    assert guard.WARNING in part(cards["film.dcm"], ".warnings").text
    assert "body part FOOT" in part(cards["film.dcm"], ".warnings").text
    assert seen_width(page, cards["film.dcm"]) == 50, "a DICOM film is shown, too"


def test_many_files_do_not_change_places(page, address, tmp_path):
    paths = draw(tmp_path / "many", 24)
    browser.drop(page, paths)
    shown = {name: part(card, ".number").text for name, card in browser.cards(page, 24).items()}
    rows = posted(address, *((path.name, path.read_bytes()) for path in paths)).json()
    assert shown == {row["image"]: f"{100 * row['probability']:.1f} %" for row in rows}
    assert len(set(shown.values())) > 12


def test_files_are_chosen_in_the_dialog_and_the_list_is_cleared(page, files):
    chooser = page.find_element(By.ID, "files")
    for _ in range(2):  # the same file twice
        chooser.send_keys(str(files[0]))
        browser.cards(page, 1)
        page.find_element(By.ID, "clear").click()
        assert not page.find_elements(By.CSS_SELECTOR, ".card")
        assert not page.find_element(By.ID, "results").is_displayed()


def press(page, *keys):
    """Keys of the keyboard, wherever the focus is."""
    ActionChains(page).send_keys(*keys).perform()


def test_everything_works_from_the_keyboard(page, files):
    page.execute_cdp_cmd("Page.setInterceptFileChooserDialog", {"enabled": True})
    page.execute_script("document.getElementById('files').addEventListener('click', () => { window.opened = true; })")
    press(page, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "files"
    press(page, Keys.SPACE)
    assert page.execute_script("return window.opened"), "the key opens the dialog"
    page.execute_cdp_cmd("Page.setInterceptFileChooserDialog", {"enabled": False})
    page.switch_to.active_element.send_keys(str(files[0]))
    (card,) = browser.cards(page, 1).values()
    press(page, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "clear"
    press(page, Keys.TAB)
    slider = page.switch_to.active_element
    assert slider.accessible_name == f"Heat map over {files[0].name}"
    before = float(part(card, ".heat").value_of_css_property("opacity"))
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert float(part(card, ".heat").value_of_css_property("opacity")) == pytest.approx(before + 0.1)
    press(page, Keys.TAB)
    assert page.switch_to.active_element.accessible_name == f"As the model saw it: {files[0].name}"
    press(page, Keys.SPACE)
    WebDriverWait(page, 10).until(lambda _: seen_width(page, card) == 40)
    assert "as the model saw it" in part(card, ".film").get_attribute("alt")


def test_the_heat_map_lies_over_the_film_and_fades(page, files):
    browser.drop(page, files[:1])
    (card,) = browser.cards(page, 1).values()
    film_box, heat_box = part(card, ".film").rect, part(card, ".heat").rect
    assert all(abs(film_box[side] - heat_box[side]) < 1 for side in film_box)
    slider = part(card, ".fade input")
    for key, opacity in ((Keys.HOME, 0), (Keys.END, 1)):
        slider.send_keys(key)
        assert float(part(card, ".heat").value_of_css_property("opacity")) == opacity


def test_what_happens_is_said_to_a_screen_reader(page, files):
    assert page.find_element(By.ID, "files").accessible_name == "Choose images"
    live = page.find_element(By.ID, "live")
    assert (live.get_attribute("role"), live.get_attribute("aria-live")) == ("status", "polite")
    browser.drop(page, files[-1:])
    browser.cards(page, 1)
    assert live.get_attribute("textContent") == ("notes <b>.txt: no prediction: text file; expected JPEG, PNG or DICOM")
    browser.drop(page, files[:1])
    browser.cards(page, 2)
    assert live.get_attribute("textContent").startswith(f"{files[0].name}: ")
    assert "probability of pneumonia" in live.get_attribute("textContent")


def test_a_file_too_large_is_refused_before_it_is_sent(page, tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(33 * 1024**2)
    browser.drop(page, [tmp_path / "huge.png"])
    (card,) = browser.cards(page, 1).values()
    assert "larger than 32 MiB" in part(card, ".state").text


def test_a_folder_is_told_from_a_server_that_is_gone(page, tmp_path):
    (tmp_path / "folder").mkdir()
    browser.drop(page, [tmp_path / "folder"])
    (card,) = browser.cards(page, 1).values()
    assert "choose the files in it" in part(card, ".state").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [None, 360])
def test_axe_finds_no_violation_and_a_phone_does_not_scroll_sideways(page, files, scheme, width):
    browser.emulate(page, scheme=scheme, width=width)
    assert browser.violations(page) == []
    browser.drop(page, files)
    browser.cards(page, len(files))
    assert browser.violations(page) == []
    wide = page.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]
    page.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    notice = page.find_element(By.CSS_SELECTOR, ".notice")
    assert NOTICE in notice.text
    top = page.execute_script("return arguments[0].getBoundingClientRect().top", notice)
    assert 0 <= top < 10, "always in sight"


def test_nothing_is_loaded_from_elsewhere(page, address, files):
    browser.drop(page, files[:1])
    browser.cards(page, 1)
    names = page.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert {urlsplit(name).netloc for name in names if not name.startswith("data:")} == {urlsplit(address).netloc}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_for_programs_lists_the_requests(page, address, scheme):
    browser.emulate(page, scheme=scheme, width=360)
    page.get(f"{address}/docs")
    WebDriverWait(page, 30).until(lambda _: page.find_elements(By.CSS_SELECTOR, "#list section"))
    heads = [head.text for head in page.find_elements(By.CSS_SELECTOR, "#list h2")]
    assert heads == ["GET /health", "POST /predict", "GET /metrics", "Row", "Health", "Problem"]
    assert browser.violations(page) == []
    assert page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_the_token_is_asked_for_once_and_is_not_in_the_address(driver, exported, files):
    with started(exported, PNEUMO_TOKEN=TOKEN) as (_, url):
        browser.emulate(driver)
        driver.get(url)
        form = driver.find_element(By.ID, "token-form")
        WebDriverWait(driver, 30).until(lambda _: form.is_displayed())
        assert browser.violations(driver) == []
        browser.drop(driver, files[:2])
        for token, shown in (("wrong-token-of-24-letters", True), (TOKEN, False)):
            driver.find_element(By.ID, "token").send_keys(token, Keys.ENTER)
            if shown:
                error = driver.find_element(By.ID, "token-error")
                WebDriverWait(driver, 30).until(lambda _, error=error: "token" in error.text)
                driver.find_element(By.ID, "token").clear()
        cards = browser.cards(driver, 2)
        assert not form.is_displayed()
        assert all(part(card, ".number").text for card in cards.values())
        assert TOKEN not in driver.current_url
        driver.refresh()
        WebDriverWait(driver, 30).until(lambda _: "Model tiny" in driver.find_element(By.ID, "model").text)
        assert not driver.find_element(By.ID, "token-form").is_displayed(), "once for a tab"
        driver.execute_script("sessionStorage.clear()")


def test_a_model_that_was_exported_without_heat_maps_is_shown_without(driver, exported, files, tmp_path):
    shutil.copytree(exported, tmp_path / "older")
    about = json.loads((tmp_path / "older/model.json").read_text())
    del about["onnx"]["heat"]
    (tmp_path / "older/model.json").write_text(json.dumps(about))
    with started(tmp_path / "older") as (_, url):
        browser.emulate(driver)
        driver.get(url)
        browser.drop(driver, files[:1])
        (card,) = browser.cards(driver, 1).values()
        assert part(card, ".film").is_displayed()
        assert part(card, ".no-heat").text.startswith("No heat map: this model was exported without them.")
        assert not part(card, ".fade").is_displayed()
        assert not part(card, ".heat").is_displayed()


def test_a_server_that_is_gone_is_an_error_of_the_file(driver, exported, files):
    with started(exported) as (_, url):
        browser.emulate(driver)
        driver.get(url)
        WebDriverWait(driver, 30).until(lambda _: "Model tiny" in driver.find_element(By.ID, "model").text)
    browser.drop(driver, files[:1])
    (card,) = browser.cards(driver, 1).values()
    assert "cannot be reached" in part(card, ".state").text
    driver.get_log("browser")
