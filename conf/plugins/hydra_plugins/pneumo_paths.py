"""Hydra finds this file and runs it: it adds `${local_path:...}` to what conf/ may say. DVC composes from here, too."""

from functools import partial
from pathlib import Path

from omegaconf import OmegaConf

from pneumo.sources import local

PROJECT = Path(__file__).resolve().parents[3]

OmegaConf.register_new_resolver("local_path", partial(local.path, project=PROJECT), replace=True)
