"""What the repository holds: its files, and the names that its Python modules define."""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

NOT_OURS = {
    "__pycache__",
    "build",
    "out",
    ".git",
    ".venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}


@dataclass(frozen=True)
class Module:
    """Names of one Python file, without running it."""

    dotted: str
    path: Path
    names: frozenset[str]
    """Defined or imported at any depth of the module, but not within a class."""
    imported: dict[str, str]
    """Name to the dotted name that it was imported from."""
    classes: dict[str, tuple[frozenset[str], tuple[str, ...]]]
    """Of each class: its members, and its bases as they are written."""
    anywhere: frozenset[str]
    """Every name that the file defines, members of classes among them."""


def _targets(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.attr]
    if isinstance(node, ast.arg):
        return [node.arg]
    return []


def parse_module(dotted: str, path: Path, source: str) -> Module:
    """Lists what ``source`` defines and imports."""
    package = dotted if path.name == "__init__.py" else dotted.rpartition(".")[0]
    imported: dict[str, str] = {}
    classes: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}
    anywhere: set[str] = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        anywhere.update(_targets(node))
        if isinstance(node, ast.ClassDef):
            members = frozenset(name for inner in ast.walk(node) for name in _targets(inner))
            classes[node.name] = members - {node.name}, tuple(ast.unparse(base) for base in node.bases)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*parent, *([node.module] if node.module else [])])
            imported |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
    names = {name for statement in tree.body for inner in ast.walk(statement) for name in _targets(inner)}
    return Module(dotted, path, frozenset(names | set(imported)), imported, classes, frozenset(anywhere))


@dataclass(frozen=True)
class Project:
    root: Path
    sources: tuple[str, ...]
    """Folders, relative to ``root``, whose sub-folders are packages."""
    _modules: dict[str, Module | None] = field(default_factory=dict)

    @cached_property
    def files(self) -> frozenset[str]:
        """Paths relative to the root, of files and folders, without what tools leave there."""
        found = set()
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in NOT_OURS]
            found |= {(Path(folder) / name).relative_to(self.root).as_posix() for name in (*folders, *files)}
        return frozenset(found)

    @cached_property
    def _ends(self) -> frozenset[str]:
        """The last parts of each path, as many as one likes."""
        split = [file.split("/") for file in self.files]
        return frozenset("/".join(parts[start:]) for parts in split for start in range(len(parts)))

    @cached_property
    def tops(self) -> frozenset[str]:
        return frozenset(file.split("/")[0] for file in self.files if "/" in file)

    def has_path(self, path: str) -> bool:
        """Whether there is such a file or folder; ``*`` stands for any characters of a name."""
        path = path.rstrip("/")
        return any(self.root.glob(path)) if "*" in path else path in self.files

    def ends_with(self, path: str) -> bool:
        """Whether a file or folder of the repository ends with these parts."""
        return path.rstrip("/") in self._ends

    def module(self, dotted: str) -> Module | None:
        """The module of that name; None if it is not one of the project's."""
        if dotted not in self._modules:
            self._modules[dotted] = self._load(dotted)
        return self._modules[dotted]

    def _load(self, dotted: str) -> Module | None:
        inner = dotted.replace(".", "/")
        for source in self.sources:
            for name in (f"{inner}.py", f"{inner}/__init__.py"):
                path = self.root / source / name
                if path.is_file():
                    return parse_module(dotted, path, path.read_text())
        return None

    def resolves(self, dotted: str) -> bool:
        """Whether a module, a name in a module or a member of a class has this dotted name."""
        if self.module(dotted):
            return True
        parts = dotted.split(".")
        for length in range(len(parts) - 1, 0, -1):
            module = self.module(".".join(parts[:length]))
            if module:
                return self._within(module, parts[length:])
        return False

    def _within(self, module: Module, parts: list[str]) -> bool:
        name, *rest = parts
        if name not in module.names:
            return False
        if not rest:
            return True
        if name in module.imported and name not in module.classes:
            origin = module.imported[name]
            ours = any(self.module(".".join(origin.split(".")[:n])) for n in range(1, origin.count(".") + 2))
            return not ours or self.resolves(".".join([origin, *rest]))
        members, bases = module.classes.get(name, (frozenset(), ()))
        return rest[0] in members or any(
            self._within(module, [*base.split("[")[0].split("."), *rest])
            for base in bases
            if base[0].isalpha()
        )

    def resolves_in(self, module: Module, name: str) -> bool:
        """Whether ``name``, as a docstring of ``module`` writes it, leads somewhere."""
        parent = module.dotted if module.path.name == "__init__.py" else module.dotted.rpartition(".")[0]
        if name.startswith("."):
            return self.resolves(parent + name)
        if self.resolves(name) or self.module(f"{parent}.{name}"):
            return True
        parts = name.split(".")
        return self._within(module, parts) or (len(parts) == 1 and name in module.anywhere)
