"""Hydra finds this file and runs it: it adds to what conf/ may say. DVC composes from here, too.

`${local_path:KEY}` is the path that KEY beside `inputs` names; `${local_path:KEY,OTHER}` is that of OTHER where KEY is
null. `${site_names:}` lists `sites`, `${site_folder:}` is the folder of their images, where there are any, and
`${by_site:}` a value of train.imbalance. `${replicates:SECTION}` has an entry for each candidate of SECTION and seed.
"""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from pydantic import ValidationError

from pneumo.params.replicates import Seeds
from pneumo.params.replicates import replicates as of_seeds
from pneumo.sources import local

PROJECT = Path(__file__).resolve().parents[3]


def local_path(key: str, otherwise: str | None = None, *, _parent_: Any) -> str:
    source = _parent_._get_parent()  # of `inputs`
    return local.path(source[key], source._get_full_key(key), source[otherwise] if otherwise else None, project=PROJECT)


def site_names(*, _root_: Any) -> ListConfig:
    return OmegaConf.create(sorted(_root_.sites))


def site_folder(*, _root_: Any) -> str:
    return "data/sites" if _root_.sites else "pneumo/data"  # DVC needs something to watch, which it watches anyway


def by_site(*, _root_: Any) -> str:
    return "sites" if _root_.sites else "weights"


def replicates(section: str, *, _root_: Any) -> DictConfig:
    try:
        seeds = Seeds.model_validate(OmegaConf.to_container(OmegaConf.masked_copy(_root_.train, "seeds")))
    except ValidationError:
        return OmegaConf.create({})  # the check of all parameters says what is wrong
    made = of_seeds(_root_[section], seeds.seeds)
    return OmegaConf.create({name: replicate.model_dump() for name, replicate in made.items()})


for resolver in (local_path, site_names, site_folder, by_site, replicates):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
