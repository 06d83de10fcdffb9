"""What a text names of this repository and the repository does not have.

Looked at are links, words in backticks, paths that begin with a folder of ours, dotted names of our packages, roles
such as ``:class:`X```, and headings of our pages.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.unit.docs.project import Module, Project, parse_module

USERS_OWN = {
    "model.py", "hackathon.yaml", "submission.yaml", "competition.yaml", "conformance.yaml", "images.yaml",
    "images-arm64.yaml", "values.yaml", "kustomization.yaml",
}  # fmt: skip
"""Files that readers make themselves, or that are in many folders."""
OUR_KINDS = "py|c|h|md|toml|tpl|proto|yaml"
_SPAN = re.compile(r"(?<!`)(`{1,2})([^`]+)\1(?!`)")
_ROLE = re.compile(r":(?:mod|class|func|meth|data|attr|exc|obj|const):`~?([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
_DOTTED = re.compile(r"(?<![\w./-])alcove_\w+(?:\.\w+)*")
_PLAIN_PATH = re.compile(r"(?<![\w./<>{}$*@-])[\w-]+(?:/[\w.*-]+)+\.\w+")
_FILE_NAME = re.compile(rf"[\w-]+(?:/[\w-]+)*\.(?:{OUR_KINDS})")
_HEADING_OF = re.compile(r'((?:[\w-]+/)*[\w-]+\.md),((?:(?:,| and)? "[^"]+")+)')


def anchor(heading: str) -> str:
    """How a link names a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(page: str) -> list[str]:
    """Headings of a page in Markdown, without its fenced blocks."""
    return re.findall(r"^#+ (.+?)\s*$", re.sub(r"^```.*?^```", "", page, flags=re.M | re.S), re.M)


def in_page(project: Project, path: str, text: str) -> list[str]:
    """What the page at ``path`` (relative to the root) names and is not there."""
    folder = (project.root / path).parent
    wrong = [*_wrong_links(folder, text), *_wrong_headings(project, text)]
    text = _LINK.sub("", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return [*wrong, *_wrong_words(project, _HEADING_OF.sub("", text))]


def in_python(project: Project, path: str, source: str) -> list[str]:
    """What docstrings and comments of a Python file name and is not there."""
    wrong = []
    module: Module | None = None
    for text in _prose(source):
        roles = _ROLE.findall(text)
        if roles:
            module = module or _module_of(project, path, source)
            wrong += [f":role:`{name}`" for name in roles if not project.resolves_in(module, name)]
        wrong += _wrong_headings(project, text)
        wrong += _wrong_words(project, _ROLE.sub("", _HEADING_OF.sub("", text)))
    return wrong


def in_comments(project: Project, text: str) -> list[str]:
    """What any other file (YAML, C, Makefile …) names and is not there."""
    return [*_wrong_headings(project, text), *_wrong_plain(project, _HEADING_OF.sub("", text))]


def _module_of(project: Project, path: str, source: str) -> Module:
    inside = next(
        (path[len(s) + 1 :] for s in project.sources if s != "." and path.startswith(s + "/")), path
    )
    dotted = inside.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return parse_module(dotted, project.root / path, source)


def _prose(source: str) -> Iterator[str]:
    """Strings that are statements of their own (docstrings), and comments; comments of adjacent lines as one."""
    comments: list[str] = []
    last_line = 0
    starts = True
    text = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last_line + 1:
                yield " ".join(comments)
                comments = []
            comments.append(token.string.lstrip("# "))
            last_line = token.start[0]
        elif token.type == tokenize.NEWLINE:
            if text:
                yield " ".join(text.split())
            starts, text = True, ""
        elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            text = token.string if starts and token.type == tokenize.STRING else ""
            starts = False
    yield " ".join(comments)


def _wrong_links(folder: Path, text: str) -> Iterator[str]:
    for shown, target, fragment in _LINK.findall(text):
        if "://" in target:
            continue
        path = (folder / target).resolve() if target else None
        if path and not path.exists():
            yield f"link {target}"
            continue
        name = shown.strip("`")
        if path and _FILE_NAME.fullmatch(name) and not path.as_posix().endswith("/" + name):
            yield f"{name} links to {target}"
        page = path.read_text() if path and path.suffix == ".md" else "" if path else text
        if fragment and page and fragment not in {anchor(heading) for heading in headings(page)}:
            yield f"heading #{fragment} of {target or 'this page'}"


def _wrong_headings(project: Project, text: str) -> Iterator[str]:
    for page, named in _HEADING_OF.findall(text):
        path = project.root / page
        there = headings(path.read_text()) if path.exists() else []
        yield from (f'{page}, "{name}"' for name in re.findall(r'"([^"]+)"', named) if name not in there)


def _wrong_words(project: Project, text: str) -> Iterator[str]:
    spans = [span for _, span in _SPAN.findall(text)]
    for word in (word.strip(".,;:()") for span in spans for word in span.split()):
        if not re.search(r"[<>{}$…|=]", word) and not _is_there(project, word):
            yield word
    yield from _wrong_plain(project, _SPAN.sub("", text))


def _is_there(project: Project, word: str) -> bool:
    """Whether a word in backticks is right, as far as it names something of ours."""
    if "/" in word and word.split("/")[0] in project.tops:
        return project.has_path(word) or project.ends_with(word)
    if _FILE_NAME.fullmatch(word):
        return word in USERS_OWN or project.ends_with(word)
    return not _DOTTED.fullmatch(word) or _has_name(project, word)


def _wrong_plain(project: Project, text: str) -> Iterator[str]:
    for path in _PLAIN_PATH.findall(text):
        if path.split("/")[0] in project.tops and not project.has_path(path) and not project.ends_with(path):
            yield path
    yield from (name for name in _DOTTED.findall(text) if not _has_name(project, name))


def _has_name(project: Project, name: str) -> bool:
    """Whether a name that begins with ``alcove_`` is there: of Python, or a metric that Prometheus sees."""
    modules = (project.module(f"alcove_operator.{of}") for of in ("metrics", "store_metrics", "board_series"))
    made = "".join(module.path.read_text() for module in modules if module)
    # Of a histogram, Prometheus sees three series.
    is_metric = any(f'"{known}"' in made for known in (name, re.sub("_(bucket|count|sum)$", "", name)))
    return is_metric or project.resolves(name) or project.ends_with(name)
