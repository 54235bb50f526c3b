"""What the site of the documentation adds to `docs/`: the README as its first page, and a page for each room's face.

`mkdocs.yml` names this file as its hook. The pages themselves are plain Markdown, as a forge shows them; what the
Markdown of the site takes otherwise is written over here.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY: Final = Path(__file__).parents[1]
PACKAGE: Final = REPOSITORY / "quant_organism"
FENCE: Final = re.compile(r"^( *)(`{3,})")
LINK: Final = re.compile(r"\[([^][]*(?:\[[^][]*\][^][]*)*)\]\(([^()\s]+)\)")


def faces() -> dict[str, str]:
    """Return the folders of the package whose faces promise names: the page of each, and its dotted name."""
    modules = {
        ".".join(path.parent.relative_to(REPOSITORY).parts): path for path in sorted(PACKAGE.rglob("__init__.py"))
    }
    return {
        f"python/{name.removeprefix('quant_organism.')}.md": name
        for name, path in modules.items()
        if name.count(".") >= 1 and _promised(path)
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the stars of the navigation."""
    assert config.nav is not None
    config.nav = [_spelled_out(entry) for entry in config.nav]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README as the first page, and the pages of the rooms."""
    home = (REPOSITORY / "README.md").read_text()
    home = f"---\nhide: [navigation]\n---\n\n{home}"
    files.append(File.generated(config, "index.md", content=re.sub(r"\]\(docs/", "](", home)))
    for page, name in faces().items():
        promised = ", ".join(_promised(PACKAGE.joinpath(*name.split(".")[1:], "__init__.py")))
        text = f"---\ntitle: {name}\n---\n\n# {name}\n\n::: {name}\n    options:\n      members: [{promised}]\n"
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Give lists and comments the form that the site's Markdown needs, and show files of the repository as text."""
    if page.file.src_uri.startswith("python/"):
        return markdown
    return "\n".join(_lines(markdown, page.file.src_uri))


def _lines(markdown: str, page: str) -> list[str]:
    lines: list[str] = []
    inside = ""
    for line in markdown.split("\n"):
        fence = FENCE.match(line)
        if inside:
            lines.append(_deeper(line))
            inside = "" if fence and fence[2] == inside and line.strip() == inside else inside
            continue
        if fence:
            inside = fence[2]
            lines.append(_deeper(line))
        elif re.fullmatch(r"<!-- .* -->", line):
            lines.append("")
        else:
            lines.append(LINK.sub(lambda link: _reachable(link, page), _deeper(line)))
    return lines


def _deeper(line: str) -> str:
    """Return a line that belongs to an item of a list with the four spaces that it needs here."""
    return f"{'    ' if line.strip() else ''}{line.lstrip(' ')}" if re.match(r" {2,3}\S", line) else line


def _reachable(link: re.Match[str], page: str) -> str:
    text, target = link[1], link[2]
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target.partition("#")[0]))
    if re.match(r"[a-z]+:", target) or path.startswith("docs/") or target.startswith("#"):
        return link[0]
    if not (REPOSITORY / path).exists():
        raise PluginError(f"docs/{page}: there is no {path}")
    return text


def _spelled_out(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {title: _spelled_out(below) for title, below in entry.items()}
    if isinstance(entry, list):
        return [each for below in entry for each in _below(below)]
    return entry


def _below(entry: Any) -> list[Any]:
    if isinstance(entry, dict) and isinstance(star := next(iter(entry.values())), str) and star.endswith("/*"):
        return [{next(iter(entry)): _pages(star)}]
    if isinstance(entry, str) and entry.endswith("/*"):
        return _pages(entry)
    return [_spelled_out(entry)]


def _pages(star: str) -> list[Any]:
    folder = star.removesuffix("/*")
    if folder == "python":
        return [{name.removeprefix("quant_organism."): page} for page, name in faces().items()]
    return sorted(f"{folder}/{page.name}" for page in (REPOSITORY / "docs" / folder).glob("*.md"))


def _promised(face: Path) -> list[str]:
    for node in ast.parse(face.read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return sorted(ast.literal_eval(node.value))
    return []
