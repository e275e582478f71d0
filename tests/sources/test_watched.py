"""DVC watches the table and the folder, and leaves the user's files as they are."""

import stat

import pytest
from clones import clone_to, ran, run
from listed import contents


@pytest.mark.slow
def test_a_changed_byte_in_table_or_folder_runs_download_again_and_originals_stay(tmp_path):
    clone, films, table = clone_to(tmp_path / "pneumo"), tmp_path / "films", tmp_path / "labels.csv"
    films.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (films / name).write_text(f"film {name}")
    table.write_text("image,label\na.png,1\nb.png,0\nc.png,1\n")
    overrides = (f"data.path={films}", f"data.table={table}", "data.labels.pneumonia=[1]", "data.labels.normal=[0]")
    command = ("dvc", "exp", "run", "download", *(f"-S{one}" for one in ("data=table", *overrides)))
    assert ran(run(clone, *command).stdout) == ["download"]
    assert ran(run(clone, "dvc", "repro", "download").stdout) == []
    assert ",1," in (clone / "data/raw/images.csv").read_text().splitlines()[3]

    table.write_text(table.read_text().replace("c.png,1", "c.png,0"))
    assert ran(run(clone, "dvc", "repro", "download").stdout) == ["download"]
    assert ",0," in (clone / "data/raw/images.csv").read_text().splitlines()[3]

    (films / "a.png").write_text("film A.png")
    assert ran(run(clone, "dvc", "repro", "download").stdout) == ["download"]
    assert contents(clone / "data/raw")["a.png"] == b"film A.png"

    for name in ("a.png", "b.png"):  # whatever DVC did with data/raw
        assert stat.S_IMODE((films / name).stat().st_mode) & stat.S_IWUSR
    (films / "b.png").write_text("overwritten")
    assert contents(clone / "data/raw")["b.png"] == b"film b.png", "what was packed is a copy"
