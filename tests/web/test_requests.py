"""POST /predict and what stands beside it, by real requests to `pneumo serve`."""

import base64
import io
import json
import math
from dataclasses import replace

import httpx
import numpy as np
import pytest
from dicoms import film
from PIL import Image
from served import png, posted, raw, serving

from pneumo import __version__
from pneumo.serving import guard, output
from pneumo.serving.predict import predictions, read
from pneumo.web import pictures
from pneumo.web.metrics import reason

NOISE = np.random.default_rng(0).integers(0, 4096, (60, 50), dtype=np.uint16)


def test_rows_are_those_of_pneumo_predict_in_the_order_sent(address, loaded, tmp_path):
    images = [(f"{at}.png", png(at)) for at in range(11)]
    images[4:4] = [("broken.png", png(3)[:-20]), ("film.dcm", film(NOISE, ViewPosition="LATERAL"))]
    for name, data in images:
        (tmp_path / name).write_bytes(data)
    expected = [output.row(loaded, one) for one in predictions(loaded, [tmp_path / name for name, _ in images])]
    answer = posted(address, *images)
    assert answer.status_code == 200
    found = answer.json()
    assert [row["image"] for row in found] == [name for name, _ in images]
    for row, wanted, (name, _) in zip(found, expected, images, strict=True):
        assert list(row) == list(output.COLUMNS)
        probability = row.pop("probability"), wanted.pop("probability")
        assert probability[0] == pytest.approx(probability[1], abs=2e-6)  # other neighbours in the batch
        assert row == wanted | {"image": name}
    assert found[4]["error"] == "PNG is truncated: it has no IEND chunk"
    assert "view LATERAL: the model was trained on PA, AP" in found[5]["warnings"]
    assert guard.WARNING in found[5]["warnings"]


def test_an_image_alone_gives_the_very_row_of_pneumo_predict(address, loaded, tmp_path):
    (tmp_path / "film.png").write_bytes(png(7))
    (expected,) = predictions(loaded, [tmp_path / "film.png"])
    (row,) = posted(address, ("film.png", png(7))).json()
    assert row == json.loads(json.dumps(output.row(loaded, expected))) | {"image": "film.png"}


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("C:\\films\\a.png", "a.png"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("Lunge ä 肺.png", "Lunge ä 肺.png"),
        ("", ""),
    ],
)
def test_a_name_is_repeated_and_never_used_as_a_path(loaded, name, sent):
    body = (
        f'--x\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n\r\n'.replace(
            "\\", "\\\\"
        ).encode()
        + png()
        + b"\r\n--x--\r\n"
    )
    with serving(loaded) as url:
        answer = httpx.post(f"{url}/predict", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    (row,) = answer.json()
    assert (row["image"], row["error"]) == (sent, None)


def opened(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_pictures_are_the_film_with_its_own_sides_and_the_pixels_that_the_model_had(address, loaded, tmp_path):
    (tmp_path / "film.dcm").write_bytes(film(NOISE))
    (row,) = posted(address, ("film.dcm", film(NOISE)), params={"heatmap": "true"}).json()
    assert opened(row["film"]).shape == (60, 50)
    size = loaded.contract.image_size
    assert opened(row["seen"]).shape == (size, size)
    (broken,) = posted(address, ("notes.txt", b"no image"), params={"heatmap": "true"}).json()
    assert (broken["film"], broken["seen"], broken["heatmap"]) == (None, None, None)


def test_each_heat_map_is_that_of_its_own_image(address, loaded):
    images = [(f"{seed}.png", png(seed)) for seed in range(6)]
    images[2:2] = [("broken.png", b"")]
    rows = posted(address, *images, params={"heatmap": "true"}).json()
    strongest = []
    for row, (name, data) in zip(rows, images, strict=True):
        pixels = read(loaded, name, data).pixels
        if pixels is None:
            assert row["heatmap"] is None
            continue
        (heat,) = loaded.heat(pixels[None])
        expected = np.asarray(Image.open(io.BytesIO(pictures.heat(heat))))
        assert np.abs(opened(row["heatmap"]).astype(int) - expected).max() <= 1  # other neighbours in the batch
        strongest.append(expected[..., 3].max())
    assert max(strongest) > 200, "evidence is found somewhere"


def turned(orientation):
    """JPEG, 80 x 40 in the file."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.open(io.BytesIO(png(1, (80, 40)))).save(file, format="JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "fit", "sides"),
    [
        (png(1, (80, 40)), "stretch", (80, 40)),
        (png(1, (80, 40)), "pad", (80, 80)),
        (turned(1), "stretch", (80, 40)),
        (turned(6), "stretch", (40, 80)),
        (png(1, (3000, 2000)), "stretch", (1024, 683)),
        (film(NOISE, PixelAspectRatio=[2, 1]), "stretch", (50, 120)),
    ],
)
def test_a_film_is_shown_upright_with_the_sides_of_what_the_heat_map_covers(data, fit, sides):
    image = Image.open(io.BytesIO(pictures.film(data, fit)))
    if sides == (50, 120):  # enlarged along one side alone: not beyond the longer one
        assert abs(image.width / image.height - 50 / 120) < 0.01
    else:
        assert image.size == sides
    assert np.asarray(image).std() > 10


def test_the_heat_is_transparent_where_there_is_none():
    rgba = np.asarray(Image.open(io.BytesIO(pictures.heat(np.array([[0, 0.5], [1, 2]], dtype=np.float32)))))
    assert rgba[..., 3].tolist() == [[0, 108], [217, 217]]
    lightness = rgba[..., :3].sum(axis=-1).ravel()
    assert (np.diff(lightness[:3].astype(int)) > 0).all()


def test_health_names_the_model(address, loaded):
    health = httpx.get(f"{address}/health").json()
    assert (health["status"], health["model"], health["weights"]) == ("ok", "tiny", loaded.weights)
    assert (health["version"], health["token"]) == (__version__, False)


def test_metrics_count_answers_decisions_refusals_and_flags(loaded):
    with serving(loaded) as url:
        decided = [row["decision"] for row in posted(url, *((f"{at}", png(at)) for at in range(3))).json()]
        posted(url, ("secret-name.png", b"text"), ("film.dcm", film(NOISE)))
        httpx.get(f"{url}/secret-path")
        text = httpx.get(f"{url}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['pneumo_requests_total{path="/predict",status="200"}']) == 2
    assert float(values['pneumo_requests_total{path="other",status="404"}']) == 1
    assert float(values['pneumo_request_seconds_count{path="/predict"}']) == 2
    assert float(values['pneumo_images_refused_total{reason="other format"}']) == 1
    assert float(values["pneumo_requests_in_flight"]) == 1  # this one
    counted = sum(float(values[f'pneumo_predictions_total{{decision="{label}"}}']) for label in ("normal", "pneumonia"))
    assert counted == len(decided) + 1
    assert float(values["pneumo_images_flagged_total"]) >= 1
    assert "secret" not in text
    assert "python_gc" not in text, "a registry of its own"


def test_what_the_model_leaves_to_a_reader_is_unsure(loaded):
    with serving(replace(loaded, margin=math.inf)) as url:
        (row,) = posted(url, ("a.png", png())).json()
        assert row["decision"] == "unsure"
        assert 'pneumo_predictions_total{decision="unsure"} 1.0' in httpx.get(f"{url}/metrics").text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("file of 9 bytes; expected at most 8", "too large"),
        ("text file; expected JPEG, PNG or DICOM", "other format"),
        ("31 x 40 pixels; expected at least 32 a side", "size in pixels"),
        ("blank: every pixel is 0", "blank"),
        ("set aside: not a radiograph: CT Image Storage, modality CT; expected one of CR", "no single film"),
        ("JPEG is truncated: it has no end marker", "truncated"),
        ("PNG cannot be decoded: broken data stream", "damaged"),
    ],
)
def test_errors_are_counted_by_few_reasons(error, words):
    assert reason(error) == words


def test_openapi_describes_the_form_and_the_docs_page_loads_nothing_from_elsewhere(address):
    api = httpx.get(f"{address}/openapi.json").json()
    assert set(api["paths"]) == {"/predict", "/health", "/metrics"}
    form = api["paths"]["/predict"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["images"]["items"]["format"] == "binary"
    assert list(api["components"]["schemas"]["Row"]["properties"])[:8] == list(output.COLUMNS)
    for path in ("/", "/docs", "/static/page.js", "/static/card.js", "/static/docs.js", "/static/server.js"):
        answer = httpx.get(f"{address}{path}")
        assert answer.status_code == 200
        assert "http" not in answer.text.replace("http-equiv", ""), path


PROBLEMS = [
    ("GET", "/nothing", {}, 404),
    ("GET", "/predict", {}, 405),
    ("POST", "/predict", {"content": b"x"}, 415),
    ("POST", "/predict", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 415),
    ("POST", "/predict", {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
    ("POST", "/predict", {"files": {"other": ("a.png", b"x")}}, 422),
    ("POST", "/predict", {"files": {"images": (None, "text")}}, 422),
    ("POST", "/predict?heatmap=perhaps", {"files": {"images": ("a.png", b"x")}}, 422),
    ("GET", "/static/../app.py", {}, 404),
    ("GET", "/static/%2e%2e/app.py", {}, 404),
    ("GET", "/static//etc/passwd", {}, 404),
]


@pytest.mark.parametrize(("method", "path", "options", "status"), PROBLEMS)
def test_a_refusal_is_a_sentence_with_a_remedy(address, method, path, options, status):
    answer = httpx.request(method, f"{address}{path}", **options)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"].endswith(".")
    assert problem["remedy"].endswith((".", "film.dcm"))


def test_no_path_of_a_request_reaches_the_disk(address):
    for path in ("/static/../app.py", "/../../../etc/passwd", "/static/%2e%2e%2fapp.py", "//etc/passwd"):
        answer = raw(address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404"), path


def test_every_answer_has_the_security_headers(address):
    for answer in (
        httpx.get(f"{address}/"),
        httpx.get(f"{address}/nothing"),
        httpx.get(f"{address}/", headers={"Host": "evil.example"}),
        posted(address, ("a.png", png())),
    ):
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
