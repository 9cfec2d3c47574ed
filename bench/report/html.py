"""HTML as values: elements with text and children, escaped by `xml.etree`, and a document around them that loads nothing.

Knows no results and no pages.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

Child = ET.Element | str | None


def element(tag: str, *children: Child, **attributes: str | None) -> ET.Element:
    """Make an element. `class_` is the class, `aria_label` is aria-label; what is None is left out."""
    made = ET.Element(
        tag,
        {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None},
    )
    add(made, *children)
    return made


def add(parent: ET.Element, *children: Child) -> None:
    """Add text and elements at the end of an element."""
    for child in children:
        if isinstance(child, str):
            if len(parent):
                parent[-1].tail = (parent[-1].tail or "") + child
            else:
                parent.text = (parent.text or "") + child
        elif child is not None:
            parent.append(child)


def document(title: str, style: str, script: str, *body: Child) -> str:
    """Write a whole page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # Nothing is loaded, not even by mistake.
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
        ),
        element("title", title),
        element("style", style),
    )
    root = element("html", head, element("body", *body, element("script", script)), lang="en")
    return f"<!doctype html>\n{ET.tostring(root, encoding='unicode', method='html')}\n"
