"""Markdown as a page: its tables, the tags that it has, and the text that is not code."""

from html.parser import HTMLParser

from markdown_it import MarkdownIt


class Cells(HTMLParser):
    """Tables as lists of rows of text, how deep the open tags are at the end, and what stands outside of code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        if "code" not in self.open:
            self.words += data


def rendered(text: str) -> Cells:
    return Cells(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
