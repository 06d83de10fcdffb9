"""Readers get plain, modern words: none of those below is in a page, the chart, an example or a message."""

from __future__ import annotations

import io
import re
import tokenize

import pytest

from tests.unit.docs.pages import REPOSITORY
from tests.unit.docs.test_references import files

WORDS = re.compile(
    r"\b(anew|befell|befallen|is to be had|can be had|is no name|apply it anew|stands once|mend(?:ed|s)?|hither|thither"
    r"|thereof|therein|whereof|whence|wherein|herein|hereby|naught|unto|shall)\b",
    re.I,
)
FOLDERS = (
    "docs/",
    "helm/",
    "examples/",
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "images/",
    "tests/cluster/",
    "tests/demo/",
)
ENDINGS = (".md", ".yaml", ".tpl", ".txt", ".json", ".html", "Makefile", "Dockerfile")
PACKAGES = re.compile(r"(?:tests/(?:cluster|demo)|helm/alcove/files|(?:\w+/)+alcove_\w+)/.+\.py")


def uses(text: str) -> list[str]:
    """The words of the list that ``text`` has, in lower case and with single spaces."""
    return [" ".join(word.lower().split()) for word in WORDS.findall(" ".join(text.split()))]


def strings(source: str) -> str:
    """The string literals of a Python file, and what f-strings say, without comments and docstrings."""
    found = []
    starts = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING and not starts:
            found.append(token.string)
        if token.type == tokenize.NEWLINE:
            starts = True
        elif token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT):
            starts = False
    return "\n".join(found)


def test_pages_chart_and_examples_are_in_plain_words() -> None:
    texts = [file for file in files(*ENDINGS) if file.startswith(FOLDERS)]
    assert "docs/design.md" in texts
    wrong = {file: uses((REPOSITORY / file).read_text()) for file in texts}
    assert not {file: words for file, words in wrong.items() if words}


def test_messages_are_in_plain_words() -> None:
    python = [file for file in files(".py") if PACKAGES.fullmatch(file)]
    wrong = {file: uses(strings((REPOSITORY / file).read_text())) for file in python}
    assert not {file: words for file, words in wrong.items() if words}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mend it and apply it\nanew", ["mend", "apply it anew"]),
        ("recommend a renewed amendment", []),
        ("Befell", ["befell"]),
    ],
)
def test_a_word_of_the_list_is_found(text: str, words: list[str]) -> None:
    assert sorted(uses(text)) == sorted(words)


def test_strings_leave_out_comments_and_docstrings() -> None:
    source = '"""Made anew."""\nx = f("said anew", f"{y} befell")  # anew\n'
    assert sorted(uses(strings(source))) == ["anew", "befell"]
