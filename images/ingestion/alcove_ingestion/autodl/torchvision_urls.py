"""``model_urls`` in the modules of torchvision's models, which public submissions import to load pretrained weights.

torchvision 0.13 has enumerations of weights in its place. There is no network in a run: ``model_zoo.load_url`` finds
the file under the last part of its address, in the folder that the submission brings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_MODELS = "torchvision.models."
_WEIGHTS = "_Weights"
_EARLIER_FILES = {
    "alexnet": "alexnet-owt-4df8aa71.pth",
    "resnet18": "resnet18-5c106cde.pth",
    "resnet34": "resnet34-333f7ec4.pth",
    "resnet50": "resnet50-19c8e357.pth",
    "resnet101": "resnet101-5d3b4d8f.pth",
    "resnet152": "resnet152-b121ed2d.pth",
    "squeezenet1_0": "squeezenet1_0-a815701f.pth",
    "squeezenet1_1": "squeezenet1_1-f364aa15.pth",
}
"""Weights that were saved anew since, under another name."""


def add_model_urls() -> None:
    """Of every module of torchvision's models that is imported from now on; torchvision itself is not loaded."""
    sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_MODELS):
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is not None and isinstance(found.loader, SourceFileLoader):
            found.loader = _Loader(found.loader.name, found.loader.path)
        return found


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if urls := dict(_find_urls(module)):
            vars(module).setdefault("model_urls", urls)


def _find_urls(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Each architecture with the address of its first weights, by the earlier name of their file."""
    for name, weights in vars(module).items():
        if name.endswith(_WEIGHTS) and weights.__module__ == module.__name__ and len(weights):
            architecture = name.removesuffix(_WEIGHTS).lower()
            folder, _, file = next(iter(weights)).url.rpartition("/")
            yield architecture, f"{folder}/{_EARLIER_FILES.get(architecture, file)}"
