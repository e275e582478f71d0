from pathlib import Path
from xml.etree import ElementTree

from pneumo.report.figures import style


def test_every_figure_is_svg_whose_letters_stay_letters(reported: Path) -> None:
    for path in (reported / "reports/figures").iterdir():
        drawing = ElementTree.parse(path).getroot()
        assert drawing.tag.endswith("}svg"), path
        assert list(drawing.iter("{http://www.w3.org/2000/svg}text")), path


def test_a_backbone_has_the_same_colour_in_any_company() -> None:
    everyone = style.palette(["cnn", "vgg16", "vgg19", "inceptionv3", "resnet50", "densenet121", "mine"])
    assert all(style.palette([name]) == {name: everyone[name]} for name in everyone)
    assert len(set(everyone.values())) == 7
    assert len(set(style.palette(["a", "b", "c", "d", "e"]).values())) == 5
