"""Where images come from. Every source leaves `raw/{train,val,test}/{NORMAL,PNEUMONIA}/*` and nothing else."""

FOLDERS = tuple(f"{part}/{label}" for part in ("train", "val", "test") for label in ("NORMAL", "PNEUMONIA"))
