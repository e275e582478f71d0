"""Public data sets as conf/data/ describes them, on a few rows each in their own format."""

from pathlib import Path

import pytest
from composed import source

from pneumo import sources
from pneumo.data import listing
from pneumo.params import Inputs

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
NIH = {
    "Data_Entry_2017_v2020.csv": [
        NIH_HEADER,
        "00000001_000.png,Cardiomegaly,0,1,58,M,PA,2682,2749,0.143,0.143,",
        "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,",
        "00000061_015.png,Effusion|Pneumonia,15,61,77,M,AP,3056,2544,0.139,0.139,",
        "00000061_019.png,No Finding,19,61,77,M,AP,3056,2544,0.139,0.139,",
    ],
    "test_list.txt": ["00000061_015.png", "00000061_019.png"],
    "train_val_list.txt": ["00000001_000.png", "00000002_000.png"],
    "images_001/images/00000001_000.png": [],
    "images_001/images/00000002_000.png": [],
    "images_002/images/00000061_015.png": [],
    "images_002/images/00000061_019.png": [],
}
RSNA = {
    "stage_2_detailed_class_info.csv": [
        "patientId,class",
        "0004cfab-14fd-4e49-80ba-63a80b6bddd6,No Lung Opacity / Not Normal",
        "003d8fa0-6bf1-40ed-b54c-ac657f8495c5,Normal",
        "00436515-870c-4b36-a041-de91049b9ab4,Lung Opacity",
        "00436515-870c-4b36-a041-de91049b9ab4,Lung Opacity",
    ],
    "stage_2_train_images/0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm": [],
    "stage_2_train_images/003d8fa0-6bf1-40ed-b54c-ac657f8495c5.dcm": [],
    "stage_2_train_images/00436515-870c-4b36-a041-de91049b9ab4.dcm": [],
    "stage_2_test_images/0000a175-0e68-4ca4-b1af-167204a7e0bc.dcm": [],
}
VINDR = {  # a few of the 28 columns
    "annotations/image_labels_train.csv": [
        "image_id,rad_id,Pleural effusion,Pneumonia,Other diseases,No finding",
        "000434271f63a053c4128a0ba6352c7f,R6,0.0,0.0,0.0,1.0",
        "000434271f63a053c4128a0ba6352c7f,R2,0.0,0.0,0.0,1.0",
        "000434271f63a053c4128a0ba6352c7f,R3,0.0,0.0,1.0,0.0",
        "00053190460d56c53cc3e57321387478,R11,0.0,1.0,0.0,0.0",
        "00053190460d56c53cc3e57321387478,R2,1.0,1.0,0.0,0.0",
        "00053190460d56c53cc3e57321387478,R1,0.0,0.0,0.0,1.0",
        "0005e8e3701dfb1dd93d53e2ff537b6e,R7,1.0,0.0,0.0,0.0",
        "0005e8e3701dfb1dd93d53e2ff537b6e,R10,0.0,1.0,0.0,0.0",
        "0005e8e3701dfb1dd93d53e2ff537b6e,R8,0.0,0.0,0.0,1.0",
    ],
    "annotations/image_labels_test.csv": [
        "image_id,Pleural effusion,Pneumonia,Other disease,No finding",
        "002a34c58c5b758217ed1f584ccbcfe9,0,0,0,1",
        "004f33259ee4aef671c2b95d54e4be68,1,1,0,0",
    ],
    "train/000434271f63a053c4128a0ba6352c7f.dicom": [],
    "train/00053190460d56c53cc3e57321387478.dicom": [],
    "train/0005e8e3701dfb1dd93d53e2ff537b6e.dicom": [],
    "test/002a34c58c5b758217ed1f584ccbcfe9.dicom": [],
    "test/004f33259ee4aef671c2b95d54e4be68.dicom": [],
}
CHEXPERT_HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,"
    "Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
CHEXPERT = {
    "train.csv": [
        CHEXPERT_HEADER,
        "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0",
        "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,",
        "CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,1.0,,,-1.0,1.0,,,,,1.0,",
        "CheXpert-v1.0-small/train/patient00003/study1/view1_frontal.jpg,Male,41,Frontal,PA,,,,,,1.0,,-1.0,,0.0,,,,",
    ],
    "valid.csv": [
        CHEXPERT_HEADER,
        "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,"
        "0.0,1.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0",
        "CheXpert-v1.0-small/valid/patient64542/study1/view1_frontal.jpg,Male,70,Frontal,PA,"
        "1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0",
    ],
    "train/patient00001/study1/view1_frontal.jpg": [],
    "train/patient00002/study1/view2_lateral.jpg": [],
    "train/patient00002/study2/view1_frontal.jpg": [],
    "train/patient00003/study1/view1_frontal.jpg": [],
    "valid/patient64541/study1/view1_frontal.jpg": [],
    "valid/patient64542/study1/view1_frontal.jpg": [],
}
SETS = {  # files, images as (path, label, patient, part, details), left out
    "nih": (
        NIH,
        [
            ("images_001/images/00000002_000.png", 0, "2", "train", {"view": "PA", "age": "81", "sex": "M"}),
            ("images_002/images/00000061_015.png", 1, "61", "test", {"view": "AP", "age": "77", "sex": "M"}),
            ("images_002/images/00000061_019.png", 0, "61", "test", {"view": "AP", "age": "77", "sex": "M"}),
        ],
        {
            "images_001/images/00000001_000.png": "Finding Labels is 'Cardiomegaly'",
            "train_val_list.txt": "not in the table",
        },
    ),
    "rsna": (
        RSNA,
        [
            (f"stage_2_train_images/{name}.dcm", label, name, "", {})
            for name, label in (
                ("003d8fa0-6bf1-40ed-b54c-ac657f8495c5", 0),
                ("00436515-870c-4b36-a041-de91049b9ab4", 1),
            )
        ],
        {
            "stage_2_test_images/0000a175-0e68-4ca4-b1af-167204a7e0bc.dcm": "not in the table",
            "stage_2_train_images/0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm": "class is 'No Lung Opacity / Not Normal'",
        },
    ),
    "vindr": (
        VINDR,
        [
            (f"{part}/{name}.dicom", label, f"image:{part}/{name}.dicom", part, {})
            for part, name, label in (
                ("test", "002a34c58c5b758217ed1f584ccbcfe9", 0),
                ("test", "004f33259ee4aef671c2b95d54e4be68", 1),
                ("train", "000434271f63a053c4128a0ba6352c7f", 0),
                ("train", "00053190460d56c53cc3e57321387478", 1),
            )
        ],
        {"train/0005e8e3701dfb1dd93d53e2ff537b6e.dicom": "no majority among its 3 rows"},
    ),
    "chexpert": (
        CHEXPERT,
        [
            (f"{path}.jpg", label, path.split("/")[1], "test" if path.startswith("valid") else "train", details)
            for path, label, details in (
                (
                    "train/patient00001/study1/view1_frontal",
                    0,
                    {"view": "Frontal", "projection": "AP", "age": "68", "sex": "Female"},
                ),
                (
                    "train/patient00002/study1/view2_lateral",
                    1,
                    {"view": "Lateral", "projection": "", "age": "83", "sex": "Female"},
                ),
                (
                    "valid/patient64541/study1/view1_frontal",
                    1,
                    {"view": "Frontal", "projection": "AP", "age": "73", "sex": "Male"},
                ),
                (
                    "valid/patient64542/study1/view1_frontal",
                    0,
                    {"view": "Frontal", "projection": "PA", "age": "70", "sex": "Male"},
                ),
            )
        ],
        {
            "train/patient00002/study2/view1_frontal.jpg": "Pneumonia is '', No Finding is ''",
            "train/patient00003/study1/view1_frontal.jpg": "Pneumonia is '-1.0', No Finding is ''",
        },
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_a_public_set_is_read_by_its_own_file(name, tmp_path):
    files, images, left_out = SETS[name]
    top, raw = tmp_path / name, tmp_path / "raw"
    for path, lines in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text("".join(f"{line}\n" for line in lines))
    composed = source(f"data={name}", "data.path=tests")
    table = Path(composed.inputs.table).name
    inputs = Inputs(images=str(top), table=str(top / table if (top / table).is_file() else top))
    sources.obtain(composed.model_copy(update={"inputs": inputs}), raw, tmp_path)
    found = listing.read(raw)
    assert [(row.image, row.label, row.patient, row.source_split, row.details) for row in found] == images
    assert not [row for row in found if row.rejected]
    rows = (line.partition(",") for line in (raw / "left_out.csv").read_text().splitlines()[1:])
    assert {path: reason.strip('"') for path, _, reason in rows} == left_out
